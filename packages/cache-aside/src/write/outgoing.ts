import type { Awaitable } from '../compression.ts';
import type { Member } from '../groups/groups.ts';
import { checkTags, type Keeping } from '../options.ts';
import { jittered, tailMs } from '../policy.ts';
import type { Content } from '../redis/keyspace.ts';
import type { ValueFormat } from '../value.ts';

/** A value made ready to be written. */
export interface Outgoing {
  readonly envelope: Content;
  /** For how long its key lives. */
  readonly keptMs: number;
  readonly member: Member;
  /** As every process will read it; `undefined` for the knowledge that there is none. */
  readonly value: unknown;
}

/** How a value is to be kept. `ttlMs`: as the policy says, if not said. */
export interface Kept extends Keeping {
  readonly ttlMs: number | undefined;
}

/**
 * Makes ready what a user writes, who is told in the words of `where` what is wrong with it. At once
 * unless the value is large; what is the user's has been copied when this returns.
 *
 * Throws or rejects: `ConfigError` for bad tags, `CodecError`, what a function for tags throws.
 */
export function outgoing(
  where: string,
  format: ValueFormat,
  name: string,
  value: unknown,
  epoch: number,
  { policy, tags, ttlMs }: Kept,
): Awaitable<Outgoing> {
  const isAbsent = value === undefined;
  const answered = typeof tags === 'function' ? (isAbsent ? [] : tags(value as never)) : tags;
  const member: Member = {
    epoch,
    tags: isAbsent ? [] : checkTags(answered ?? [], `${where}: tags`),
  };
  const facts = {
    ttlMs: jittered(ttlMs ?? (isAbsent ? policy.negativeTtlMs : policy.ttlMs), policy),
    tailMs: isAbsent ? 0 : tailMs(policy),
    loadMs: 0,
    ...member,
  };
  const done = ({ envelope, header, value: kept }: Awaited<ReturnType<ValueFormat['encode']>>) => ({
    envelope,
    keptMs: header.ttlMs + header.tailMs,
    member,
    value: kept,
  });
  const encoded = format.encode(value, name, facts);
  return encoded instanceof Promise ? encoded.then(done) : done(encoded);
}

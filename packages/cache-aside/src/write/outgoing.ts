import type { Awaitable } from '../compression.ts';
import { atEpoch } from '../envelope.ts';
import type { Member } from '../groups/groups.ts';
import { checkTags, type Keeping } from '../options.ts';
import { jittered, tailMs } from '../policy.ts';
import type { Content } from '../redis/keyspace.ts';
import type { Encoded, ValueFormat } from '../value.ts';

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
 * if the epoch is known and unless the value is large. What is the user's, who may change it at once, has
 * been copied when this returns. What cannot be written is refused before the epoch is asked for.
 *
 * Throws or rejects: `ConfigError` for bad tags, `CodecError`, what a function for tags throws.
 */
export function outgoing(
  where: string,
  format: ValueFormat,
  name: string,
  value: unknown,
  epoch: number | (() => Promise<number>),
  { policy, tags, ttlMs }: Kept,
): Awaitable<Outgoing> {
  const isAbsent = value === undefined;
  const answered = typeof tags === 'function' ? (isAbsent ? [] : tags(value as never)) : tags;
  const checked = isAbsent ? [] : checkTags(answered ?? [], `${where}: tags`);
  const facts = {
    ttlMs: jittered(ttlMs ?? (isAbsent ? policy.negativeTtlMs : policy.ttlMs), policy),
    tailMs: isAbsent ? 0 : tailMs(policy),
    loadMs: 0,
  };
  const encode = (at: number): Awaitable<Outgoing> => {
    const member: Member = { epoch: at, tags: checked };
    const done = ({ envelope, header, value: kept }: Encoded): Outgoing => ({
      envelope,
      keptMs: header.ttlMs + header.tailMs,
      member,
      value: kept,
    });
    const encoded = format.encode(value, name, { ...facts, ...member });
    return encoded instanceof Promise ? encoded.then(done) : done(encoded);
  };
  return typeof epoch === 'number' ? encode(epoch) : encodeAt(epoch, encode);
}

async function encodeAt(
  epoch: () => Promise<number>,
  encode: (epoch: number) => Awaitable<Outgoing>,
): Promise<Outgoing> {
  const made = await encode(0);
  const at = await epoch();
  return {
    ...made,
    envelope: atEpoch(made.envelope, at),
    member: { ...made.member, epoch: at },
  };
}

import type { CommandPort } from '@redcache/core';
import { runScript, type Script } from '@redcache/core/toolkit';
import { FOREIGN_HEADER, type Header, readEnvelope } from '../envelope.ts';
import { BatchError } from '../errors.ts';
import { bytesOf, type Content, type Keyspace } from '../redis/keyspace.ts';
import { expire } from '../scripts/expire.ts';
import { touch } from '../scripts/touch.ts';
import type { Counters } from '../stats.ts';
import type { FencedWrites } from './fenced-writes.ts';

/**
 * Unconditional writes. Each takes the placeholder of a running load away, so that what is being
 * loaded is not stored (I8).
 */
export class Writer {
  readonly #writes: FencedWrites;
  readonly #keyspace: Keyspace;
  readonly #counters: Counters;
  readonly #prefix: string;

  constructor(parts: {
    readonly writes: FencedWrites;
    readonly keyspace: Keyspace;
    readonly counters: Counters;
    /** Put before the names that users give; errors speak of names. */
    readonly prefix: string;
  }) {
    this.#writes = parts.writes;
    this.#keyspace = parts.keyspace;
    this.#counters = parts.counters;
    this.#prefix = parts.prefix;
  }

  /** Sends: `SET key envelope PX ttl`. */
  async set(name: string, envelope: Content, ttlMs: number): Promise<void> {
    const key = this.#prefix + name;
    const command = ['SET', key, envelope, 'PX', String(ttlMs)];
    await this.#writes.run([key], (port) => port.send(command), { name });
    this.#counters.writes += 1;
    this.#counters.bytesWritten += bytesOf(envelope);
  }

  /** Sends: EVALSHA `touch` (1 key). Resolves: the header of what was there, if there was anything. */
  async touch(name: string, ttlMs: number): Promise<Header | undefined> {
    const reply = await this.#change(name, touch, [String(ttlMs)]);
    const [done, line] = reply as readonly [number, string?];
    if (done !== 1) return undefined;
    const found = readEnvelope(line ?? '');
    // What only looked like ours at its beginning has no groups that anybody could read either.
    return found.is === 'value' || found.is === 'absent' ? found.header : FOREIGN_HEADER;
  }

  /** Sends: EVALSHA `expire` (1 key). Resolves whether there was anything. */
  async expire(name: string): Promise<boolean> {
    return (await this.#change(name, expire, [])) === 1;
  }

  /** Sends: `DEL` with up to 500 keys at a time, all at once; in a cluster one for each key. */
  async delete(names: readonly string[]): Promise<void> {
    const keys = names.map((name) => this.#prefix + name);
    const parts = this.#keyspace.together(keys);
    const outcomes = await Promise.allSettled(
      parts.map((part) => {
        const name = names.length === 1 ? names[0] : undefined;
        return this.#writes.run(part, (port) => port.send(['DEL', ...part]), { name });
      }),
    );
    const errors = new Map<string, unknown>();
    let place = 0;
    for (const [i, outcome] of outcomes.entries())
      for (const _ of parts[i] ?? []) {
        if (outcome.status === 'rejected') errors.set(names[place] as string, outcome.reason);
        place += 1;
      }
    this.#counters.deletes += names.length - errors.size;
    throwFor(names, errors);
  }

  async #change(name: string, script: Script, args: readonly string[]): Promise<unknown> {
    const key = this.#prefix + name;
    const send = (port: CommandPort): Promise<unknown> => runScript(port, script, [key], args);
    const reply = await this.#writes.run([key], send, { name });
    this.#counters.writes += 1;
    return reply;
  }
}

/** Throws: the error of the only key, or a `BatchError` if there are several. */
export function throwFor(names: readonly string[], errors: ReadonlyMap<string, unknown>): void {
  if (errors.size === 0) return;
  if (names.length === 1) throw errors.get(names[0] as string);
  const succeeded = names.filter((name) => !errors.has(name));
  throw new BatchError(`${errors.size} of ${names.length} keys failed`, succeeded, errors);
}

import { BatchError } from '../errors.ts';
import { chunks } from '../redis/keyspace.ts';
import type { Counters } from '../stats.ts';
import type { FencedWrites } from './fenced-writes.ts';

/**
 * Unconditional writes. Each takes the placeholder of a running load away, so that what is being
 * loaded is not stored (I8).
 */
export class Writer {
  readonly #writes: FencedWrites;
  readonly #counters: Counters;
  readonly #prefix: string;

  constructor(parts: {
    readonly writes: FencedWrites;
    readonly counters: Counters;
    /** Put before the names that users give; errors speak of names. */
    readonly prefix: string;
  }) {
    this.#writes = parts.writes;
    this.#counters = parts.counters;
    this.#prefix = parts.prefix;
  }

  /** Sends: `SET key envelope PX ttl`. */
  async set(name: string, envelope: string, ttlMs: number): Promise<void> {
    await this.#write([name], (keys) => ['SET', ...keys, envelope, 'PX', String(ttlMs)]);
    this.#counters.writes += 1;
  }

  /** Sends: `DEL` with up to 500 keys at a time, all at once. */
  async delete(names: readonly string[]): Promise<void> {
    const parts = chunks(names);
    const outcomes = await Promise.allSettled(
      parts.map((part) => this.#write(part, (keys) => ['DEL', ...keys])),
    );
    const succeeded: string[] = [];
    const errors = new Map<string, unknown>();
    for (const [i, outcome] of outcomes.entries())
      for (const name of parts[i] ?? [])
        if (outcome.status === 'fulfilled') succeeded.push(name);
        else errors.set(name, outcome.reason);
    this.#counters.deletes += succeeded.length;
    if (errors.size === 0) return;
    if (names.length === 1) throw errors.get(names[0] as string);
    throw new BatchError(`${errors.size} of ${names.length} keys failed`, succeeded, errors);
  }

  #write(
    names: readonly string[],
    commandFor: (keys: readonly string[]) => readonly string[],
  ): Promise<unknown> {
    const keys = names.map((name) => this.#prefix + name);
    const [name] = names.length === 1 ? names : [];
    return this.#writes.run(keys, (port) => port.send(commandFor(keys)), name);
  }
}

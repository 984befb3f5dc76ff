import { OutcomeUnknownError, type TrackingCache } from '@redcache/core';
import { isServerError, TIMED_OUT } from '@redcache/core/toolkit';
import { BatchError } from '../errors.ts';
import { chunks, type Keyspace } from '../redis/keyspace.ts';
import type { Counters } from '../stats.ts';
import type { UncertainKeys } from './uncertain.ts';

/**
 * Unconditional writes. Each fences its keys from before the send until the reply, so that once it
 * has resolved every later read in this process sees it or something newer (I6), and takes the
 * placeholder of a running load away, so that what is being loaded is not stored (I8).
 */
export class Writer {
  readonly #engine: TrackingCache;
  readonly #keyspace: Keyspace;
  readonly #uncertain: UncertainKeys;
  readonly #counters: Counters;
  readonly #prefix: string;

  constructor(parts: {
    readonly engine: TrackingCache;
    readonly keyspace: Keyspace;
    readonly uncertain: UncertainKeys;
    readonly counters: Counters;
    /** Put before the names that users give; errors speak of names. */
    readonly prefix: string;
  }) {
    this.#engine = parts.engine;
    this.#keyspace = parts.keyspace;
    this.#uncertain = parts.uncertain;
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

  async #write(
    names: readonly string[],
    commandFor: (keys: readonly string[]) => readonly string[],
  ): Promise<void> {
    const keys = names.map((name) => this.#prefix + name);
    const fences = new Map(keys.map((key) => [key, this.#engine.fence([key])]));
    const settle = (): void => {
      for (const fence of fences.values()) fence.settle();
    };
    let reply: Promise<unknown> | undefined;
    let cause: unknown;
    try {
      const written = await this.#keyspace.write(commandFor(keys));
      reply = written.reply;
      if ((await written.outcome) !== TIMED_OUT) return settle();
    } catch (error) {
      if (isServerError(error)) {
        settle();
        throw error;
      }
      cause = error;
    }
    this.#counters.unknownOutcomes += 1;
    this.#uncertain.add(fences, reply);
    throw new OutcomeUnknownError(
      'Redis did not answer, so the write may or may not have taken effect; ' +
        'what it was about is deleted as soon as Redis answers again',
      { cause, ...(names.length === 1 && { key: names[0] }) },
    );
  }
}

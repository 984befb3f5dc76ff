import { type CommandPort, OutcomeUnknownError, type TrackingCache } from '@redcache/core';
import { isServerError, TIMED_OUT } from '@redcache/core/toolkit';
import type { Keyspace } from '../redis/keyspace.ts';
import type { Counters } from '../stats.ts';
import type { Remedy, UncertainKeys } from './uncertain.ts';

export interface FencedWrite {
  /** Of the only key, as its user calls it. */
  readonly name?: string | undefined;
  /**
   * What becomes of the keys if the server refuses: they stand as they are, or are to be deleted like
   * those of a write that went unanswered, since what stands there is known to be outdated.
   */
  readonly onRefusal?: 'delete';
  /** What makes good what went unanswered, behind the delete of the first key. */
  readonly remedy?: Remedy;
}

/**
 * Writes that fence their keys from before the send until the reply, so that once one has resolved
 * every later read in this process sees it or something newer (I6). What goes unanswered is uncertain
 * from then on (I13).
 */
export class FencedWrites {
  readonly #engine: TrackingCache;
  readonly #keyspace: Keyspace;
  readonly #uncertain: UncertainKeys;
  readonly #counters: Counters;

  constructor(parts: {
    readonly engine: TrackingCache;
    readonly keyspace: Keyspace;
    readonly uncertain: UncertainKeys;
    readonly counters: Counters;
  }) {
    this.#engine = parts.engine;
    this.#keyspace = parts.keyspace;
    this.#uncertain = parts.uncertain;
    this.#counters = parts.counters;
  }

  /** Throws: `OutcomeUnknownError` if it went unanswered; the server's error if it refused. */
  async run<T>(
    keys: readonly string[],
    send: (port: CommandPort) => Promise<T>,
    { name, onRefusal, remedy }: FencedWrite = {},
  ): Promise<T> {
    const fences = new Map(keys.map((key) => [key, this.#engine.fence([key])]));
    const settle = (): void => {
      for (const fence of fences.values()) fence.settle();
    };
    let reply: Promise<T> | undefined;
    let cause: unknown;
    try {
      const written = await this.#keyspace.write(send);
      reply = written.reply;
      const outcome = await written.outcome;
      if (outcome !== TIMED_OUT) {
        settle();
        return outcome;
      }
    } catch (error) {
      if (isServerError(error)) {
        if (onRefusal === 'delete') this.#uncertain.add(fences, undefined);
        else settle();
        throw error;
      }
      cause = error;
    }
    this.#counters.unknownOutcomes += 1;
    this.#uncertain.add(fences, reply, remedy); // guard: I13
    throw new OutcomeUnknownError(
      'Redis did not answer, so the write may or may not have taken effect; ' +
        'what it was about is deleted as soon as Redis answers again',
      { cause, ...(name !== undefined && { key: name }) },
    );
  }
}

import type { CommandPort, Fetched, TrackingCache, TrackingSession } from '@redcache/core';
import { runScript } from '@redcache/core/toolkit';
import { readEpoch } from '../scripts/read-epoch.ts';

/** The way to the keys of a cache. Throws: `UnavailableError` when Redis cannot be asked in time. */
export interface Asking {
  ask<T>(key: string, send: (port: CommandPort) => Promise<T>): Promise<T>;
  sessionFor(key: string): TrackingSession;
}

/** Nobody has begun one, or nobody remembers. */
export type Epoch = number | 'none';

/** What an epoch is counted with against `maxBytes`. */
const EPOCH_BYTES = 8;

/**
 * Epochs that stand in Redis, each under a key of its own, and what this process knows of them: copies
 * that are tracked like any other, so that they are gone the moment somebody begins a new one.
 */
export class Epochs {
  readonly #engine: TrackingCache;
  readonly #redis: Asking;

  constructor(engine: TrackingCache, redis: Asking) {
    this.#engine = engine;
    this.#redis = redis;
  }

  /** What this process knows of it. Synchronous. */
  known(key: string): Epoch | undefined {
    return this.#engine.lookup(key)?.value as Epoch | undefined;
  }

  /** What it knew of it when the connection was lost, if nobody has begun a new one before. */
  suspected(key: string): Epoch | undefined {
    return this.#engine.suspect(key)?.value as Epoch | undefined;
  }

  /**
   * The epoch under `key`, once for all who ask meanwhile.
   *
   * Sends: nothing if it is known here; else `GET` and `PTTL`.
   */
  async find(key: string): Promise<Epoch> {
    return this.#engine.read<Epoch>([key], `epoch ${key}`, () => this.#fetch(key), this.#at(key));
  }

  /**
   * The same for one that has to be: where there is none it begins now.
   *
   * Sends: nothing if it is known here; else EVALSHA `read-epoch` (1 key), EVAL once on NOSCRIPT.
   */
  async have(key: string): Promise<number> {
    return this.#engine.read<number>([key], `epoch ${key}`, () => this.#begin(key), this.#at(key));
  }

  #at(key: string): { readonly session: TrackingSession; readonly rest: string } {
    return { session: this.#redis.sessionFor(key), rest: '' };
  }

  async #fetch(key: string): Promise<Fetched<Epoch>> {
    const [text, pttl] = await this.#redis.ask(key, (port) =>
      Promise.all([port.send(['GET', key]), port.send(['PTTL', key])]),
    );
    const epoch = epochIn(text);
    const kind = epoch === 'none' ? 'negative' : 'present';
    const left = Number(pttl);
    // It ended between the two.
    if (epoch !== 'none' && left === -2) return { value: 'none', cache: 'uncacheable' };
    const remaining = left < 0 ? 'none' : left;
    return { value: epoch, cache: { kind, remaining, valueBytes: EPOCH_BYTES } };
  }

  async #begin(key: string): Promise<Fetched<number>> {
    const reply = await this.#redis.ask(key, (port) => runScript(port, readEpoch, [key], []));
    const [text, isNew] = reply as readonly unknown[];
    const epoch = epochIn(text);
    // Too large to be counted with. Earlier than all: what carries it counts as outdated (G1).
    if (epoch === 'none') return { value: 0, cache: 'uncacheable' };
    // The push of our own that follows would be taken for somebody else's.
    if (isNew === 1) return { value: epoch, cache: 'uncacheable' };
    return { value: epoch, cache: { kind: 'present', remaining: 'none', valueBytes: EPOCH_BYTES } };
  }
}

function epochIn(text: unknown): Epoch {
  const epoch = Number(text ?? Number.NaN);
  return Number.isSafeInteger(epoch) && epoch > 0 ? epoch : 'none';
}

import {
  type Clock,
  type Guard,
  type TrackingCache,
  type TrackingSession,
  UnavailableError,
} from '@redcache/core';
import type { SingleFlight } from '@redcache/core/toolkit';
import { publish } from '../channels.ts';
import type { Keyspace } from '../redis/keyspace.ts';
import type { Counters } from '../stats.ts';
import { type Encoded, TAIL_MS, type ValueFormat } from '../value.ts';
import type { Background } from './background.ts';
import { gaveUp, type LoadAll, type Loaded, runLoader } from './loader.ts';
import type { Claim, Reading } from './reading.ts';
import type { SharedRead } from './shared-read.ts';
import { allAborted } from './signals.ts';

/** Loads keys that were won: calls the loader once, then settles each key by itself. */
export class Loading {
  readonly #engine: TrackingCache;
  readonly #session: TrackingSession;
  readonly #keyspace: Keyspace;
  readonly #format: ValueFormat;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #hardMs: number;
  readonly #flights: SingleFlight<SharedRead>;
  readonly #background: Background;

  constructor(parts: {
    readonly engine: TrackingCache;
    readonly session: TrackingSession;
    readonly keyspace: Keyspace;
    readonly format: ValueFormat;
    readonly counters: Counters;
    readonly clock: Clock;
    readonly hardMs: number;
    readonly flights: SingleFlight<SharedRead>;
    readonly background: Background;
  }) {
    this.#engine = parts.engine;
    this.#session = parts.session;
    this.#keyspace = parts.keyspace;
    this.#format = parts.format;
    this.#counters = parts.counters;
    this.#clock = parts.clock;
    this.#hardMs = parts.hardMs;
    this.#flights = parts.flights;
    this.#background = parts.background;
  }

  /** Never rejects: what goes wrong reaches the callers of the keys. */
  async load(claims: readonly Claim[]): Promise<void> {
    const load = claims[0]?.read.load;
    if (load === undefined) return;
    const guards = claims.map((claim) => this.#watchLoad(claim));
    try {
      const loaded = await this.#run(load, claims);
      if (loaded === 'gave up') return await this.#loadUntold(claims);
      await Promise.all(claims.map((claim) => this.#finish(claim, loaded)));
    } catch (error) {
      for (const { read, lease } of claims) {
        if (lease !== undefined) this.#background.track(lease.life.release());
        if (!read.shared.landed) read.shared.fail(error);
      }
    } finally {
      for (const guard of guards) this.#engine.release(guard);
    }
  }

  /**
   * The leases were lost and the loader stopped when it was told so, but its callers still want the
   * value (I8). Without a lease it is told nothing more, so that changes without end starve nobody.
   */
  #loadUntold(claims: readonly Claim[]): Promise<void> {
    const wanted = claims.filter(({ read }) => !read.shared.landed);
    return this.load(wanted.map(({ read }) => ({ read, lease: undefined })));
  }

  /**
   * Callers may join until the key changes. With a lease pushes are its to judge, since some are our
   * own; without one none is.
   */
  #watchLoad({ read: { key, shared }, lease }: Claim): Guard {
    this.#flights.reattach(shared);
    const onBroken = (by: 'push' | 'severed'): void => {
      if (by === 'severed' || lease === undefined) shared.detach();
    };
    return this.#engine.guard([key], onBroken, this.#session);
  }

  async #run(load: LoadAll, claims: readonly Claim[]): Promise<Loaded | 'gave up'> {
    const names = claims.map(({ read }) => read.name);
    const abandoned = allAborted(claims.map(({ read }) => read.shared.signal));
    // All callers may have left while the last of the keys was being won.
    abandoned.signal.throwIfAborted();
    this.#counters.loads += claims.length;
    const lost = claims.every(({ lease }) => lease !== undefined)
      ? allAborted(claims.flatMap(({ lease }) => (lease ? [lease.life.signal] : [])))
      : undefined;
    try {
      return await runLoader(load, names, {
        hardMs: this.#hardMs,
        clock: this.#clock,
        abandoned: abandoned.signal,
        lost: lost?.signal,
      });
    } catch (error) {
      if (lost !== undefined && gaveUp(error, lost.signal)) return 'gave up';
      this.#counters.loadFailures += claims.length;
      throw error;
    } finally {
      abandoned.stop();
      lost?.stop();
    }
  }

  async #finish({ read, lease }: Claim, loaded: Loaded): Promise<void> {
    const { key, name, shared, policy } = read;
    try {
      const value = loaded.values.get(name);
      const longestMs = value === undefined ? policy.negativeTtlMs : policy.ttlMs;
      const ttlMs = loaded.ttlMs ?? longestMs;
      const facts = { ttlMs, tailMs: TAIL_MS, loadMs: loaded.tookMs };
      const encoding = this.#format.encode(value, name, facts);
      const encoded = encoding instanceof Promise ? await encoding : encoding;
      let stored = false;
      if (lease !== undefined && !loaded.skipped) {
        // The fill compares in Redis, so the lease has nothing more to say.
        lease.life.end();
        stored = await this.#fill(read, lease.placeholder, encoded, ttlMs);
      } else if (lease !== undefined) this.#background.track(lease.life.release());
      publish('redcache:cache:load', () => ({ key, ms: loaded.tookMs, stored }));
      shared.land(encoded.value);
    } catch (error) {
      if (lease !== undefined) this.#background.track(lease.life.release());
      shared.fail(error);
    }
  }

  /** Stores what was loaded in Redis, if our lease still stands (I8), and keeps a copy here. */
  async #fill(
    { key, shared, policy }: Reading,
    mark: string,
    encoded: Encoded,
    ttlMs: number,
  ): Promise<boolean> {
    const guard = this.#engine.guard([key], () => shared.detach(), this.#session);
    try {
      const stored = await this.#keyspace.fill(key, mark, encoded.envelope as string, ttlMs);
      if (stored)
        this.#engine.fill(guard, key, encoded.value, {
          kind: encoded.kind,
          remaining: Math.min(ttlMs, policy.localTtlMs),
          valueBytes: encoded.bytes,
          by: 'own-write',
        });
      else this.#counters.lostLeases += 1;
      return stored;
    } catch (error) {
      // Stored or not, the value is good for its callers; others need not wait for the lease to end.
      if (!(error instanceof UnavailableError)) throw error;
      this.#background.track(this.#keyspace.release(key, mark));
      this.#counters.unavailable += 1;
      publish('redcache:cache:unavailable', () => ({ key, error }));
      return false;
    } finally {
      this.#engine.release(guard);
    }
  }
}

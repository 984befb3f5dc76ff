import { type Guard, type TrackingCache, UnavailableError } from '@redcache/core';
import { publish } from '../channels.ts';
import { LoadTimeoutError } from '../errors.ts';
import type { Groups } from '../groups/groups.ts';
import type { Instruments, LoadCause } from '../instruments.ts';
import { checkTags } from '../options.ts';
import { isPlain, jittered, tailMs } from '../policy.ts';
import { bytesOf, type Keyspace } from '../redis/keyspace.ts';
import type { Counters } from '../stats.ts';
import { within } from '../time-limit.ts';
import type { Encoded } from '../value.ts';
import type { Background } from './background.ts';
import { Copy } from './copy.ts';
import { judge } from './judgement.ts';
import type { LoadSlots } from './load-slots.ts';
import { gaveUp, type LoadAll, type LoadContext, type Loaded, runLoader } from './loader.ts';
import type { Claim, LoadLease, Reading } from './reading.ts';
import type { RecentErrors } from './recent-errors.ts';
import type { SharedReads } from './shared-reads.ts';
import { allAborted, firstAborted } from './signals.ts';

export interface LoadingParts {
  readonly engine: TrackingCache;
  readonly keyspace: Keyspace;
  readonly groups: Groups;
  readonly instruments: Instruments;
  readonly flights: SharedReads;
  readonly background: Background;
  readonly slots: LoadSlots;
  readonly errors: RecentErrors;
}

/** Loads keys that were won: calls the loader once, then settles each key by itself. */
export class Loading {
  readonly #parts: LoadingParts;

  constructor(parts: LoadingParts) {
    this.#parts = parts;
  }

  /** Never rejects: what goes wrong reaches the callers of the keys. */
  async load(claims: readonly Claim[]): Promise<void> {
    const { load, counters } = claims[0]?.read ?? {};
    if (load === undefined || counters === undefined) return;
    const guards = claims.map((claim) => this.#watchLoad(claim));
    try {
      const loaded = await this.#run(load, claims, counters);
      if (loaded instanceof GaveUp) return await this.#loadUntold(claims, loaded.error);
      await Promise.all(claims.map((claim) => this.#finish(claim, loaded)));
    } catch (error) {
      for (const claim of claims) this.#failed(claim, error);
    } finally {
      for (const guard of guards) this.#parts.engine.release(guard);
    }
  }

  /**
   * The leases were lost and the loader stopped when it was told so, but its callers still want the
   * value (I8). Without a lease it is told nothing more, so that changes without end starve nobody.
   * What nobody waits for is not loaded again: it could not be stored.
   */
  #loadUntold(claims: readonly Claim[], error: unknown): Promise<void> {
    const wanted = claims.filter(({ read }) => !read.shared.landed && read.shared.isAwaited);
    for (const { read } of claims)
      if (!read.shared.landed && !read.shared.isAwaited) read.shared.fail(error);
    return this.load(wanted.map(({ read }) => ({ read, lease: undefined })));
  }

  /**
   * Callers may join until the key changes. With a lease in the key itself pushes are its to judge,
   * since some are our own; otherwise, or when it was lost while others were being won, none is.
   */
  #watchLoad({ read: { key, shared }, lease }: Claim): Guard {
    const { engine, keyspace, flights } = this.#parts;
    if (!shared.landed) flights.reattach(shared);
    const isJudged = lease !== undefined && !lease.isBeside && !lease.life.isLost;
    const onBroken = (by: 'push' | 'severed'): void => {
      if (by === 'severed' || !isJudged) shared.detach();
    };
    return engine.guard([key], onBroken, keyspace.sessionFor(key));
  }

  async #run(
    load: LoadAll,
    claims: readonly Claim[],
    counters: Counters,
  ): Promise<Loaded | GaveUp> {
    const { engine, instruments } = this.#parts;
    const { clock } = engine;
    const names = claims.map(({ read }) => read.name);
    const abandoned = allAborted(claims.map(({ read }) => read.shared.signal));
    const isLeased = claims.every(({ lease }) => lease !== undefined);
    let lost: ReturnType<typeof allAborted> | undefined;
    let giveBack = (): void => {};
    let startedAtMs: number | undefined;
    try {
      // All callers may have left while the last of the keys was being won.
      abandoned.signal.throwIfAborted();
      // Nothing is stored, and every process loads: the source is to bear that.
      if (!isLeased) giveBack = await this.#slot(claims, abandoned.signal); // guard: I12
      counters.loads += claims.length;
      lost = isLeased
        ? allAborted(claims.flatMap(({ lease }) => (lease ? [lease.life.signal] : [])))
        : undefined;
      const bounds = {
        hardMs: claims[0]?.read.policy.hardMs ?? 0,
        clock,
        abandoned: abandoned.signal,
        lost: lost?.signal,
        stale: this.#staleOf(claims),
      };
      startedAtMs = clock.nowMs();
      return await instruments.load(
        () => ({ keys: names, cause: causeOf(claims), family: claims[0]?.read.family }),
        () => runLoader(load, names, bounds),
      );
    } catch (error) {
      if (lost !== undefined && gaveUp(error, lost.signal)) return new GaveUp(error);
      if (!abandoned.signal.aborted) this.#tellFailed(claims, error, startedAtMs);
      throw error;
    } finally {
      if (startedAtMs !== undefined) counters.loadTime.record(clock.nowMs() - startedAtMs);
      giveBack();
      abandoned.stop();
      lost?.stop();
    }
  }

  /** Waits for those before no longer than a loader may run. */
  async #slot([claim]: readonly Claim[], abandoned: AbortSignal): Promise<() => void> {
    const { engine, slots } = this.#parts;
    const hardMs = claim?.read.policy.hardMs ?? 0;
    const late = new AbortController();
    const ending = firstAborted([abandoned, late.signal]);
    const timer = engine.clock.setTimer(hardMs, () =>
      late.abort(
        new LoadTimeoutError(
          `Redis is away, and others load: the loader was not called within ${hardMs} ms`,
        ),
      ),
    );
    try {
      return await slots.take(ending.signal);
    } finally {
      timer.cancel();
      ending.stop();
    }
  }

  #tellFailed(claims: readonly Claim[], error: unknown, startedAtMs: number | undefined): void {
    const { clock } = this.#parts.engine;
    const ms = startedAtMs === undefined ? 0 : clock.nowMs() - startedAtMs;
    for (const { read } of claims) {
      const { key, counters } = read;
      counters.loadFailures += 1;
      publish('redcache:cache:load-failed', () => ({ key, ms, error, cause: causeOfRead(read) }));
    }
  }

  #staleOf(claims: readonly Claim[]): LoadContext['stale'] {
    const aged = claims.length === 1 ? claims[0]?.read.aged?.untouched : undefined;
    if (aged === undefined) return undefined;
    return { value: aged.value, ageMs: aged.ageMs(this.#parts.engine.clock.nowMs()) };
  }

  #failed({ read, lease }: Claim, error: unknown): void {
    const { background, errors, engine } = this.#parts;
    const { key, shared, policy, counters } = read;
    if (lease !== undefined) background.track(lease.life.release());
    const isAbandoned = shared.signal.aborted;
    if (!isAbandoned) errors.note(key, error, policy.errorTtlMs);
    if (!isAbandoned && (shared.landed || read.behind !== undefined))
      publish('redcache:cache:refresh-failed', () => ({ key, error }));
    if (shared.landed) return;
    const stale = this.#servableFor(read);
    if (stale === undefined || isAbandoned || !shared.isAwaited) {
      shared.fail(error);
      return;
    }
    counters.staleHits += 1;
    const ageMs = stale.ageMs(engine.clock.nowMs());
    publish('redcache:cache:stale-if-error', () => ({ key, error, ageMs }));
    shared.offer({ value: stale.value, source: 'redis', copy: stale, failure: error });
  }

  /** What may be served now that the load has failed (I4). */
  #servableFor({ key, policy, aged, renews }: Reading): Copy | undefined {
    const { engine, groups } = this.#parts;
    // Whoever insists on what is new is told that there is none.
    if (renews || (policy.staleIfErrorMs === 0 && policy.graceMs === 0)) return undefined;
    const untouched = aged?.untouched;
    const copy = untouched ?? (engine.suspect(key)?.value as Copy | undefined);
    if (!(copy instanceof Copy) || (untouched === undefined && !groups.wasCurrent(copy)))
      return undefined;
    const isOver = judge(copy, policy, engine.clock.nowMs(), 0) === 'over';
    return isOver ? undefined : copy;
  }

  async #finish(claim: Claim, loaded: Loaded): Promise<void> {
    const { background, engine } = this.#parts;
    const { read, lease } = claim;
    const { key, name, shared, policy, format } = read;
    try {
      const value = loaded.values.get(name);
      const isAbsent = value === undefined;
      const tags = tagsOf(read, value);
      const ttlMs = jittered(
        loaded.ttlMs ?? (isAbsent ? policy.negativeTtlMs : policy.ttlMs),
        policy,
      );
      const encoding = format.encode(value, name, {
        ttlMs,
        tailMs: isAbsent ? 0 : tailMs(policy),
        loadMs: loaded.tookMs,
        epoch: lease?.epoch,
        tags,
      });
      const encoded =
        encoding instanceof Promise
          ? await within(
              encoding,
              {
                ...{ clock: engine.clock, signal: shared.signal },
                forMs: policy.hardMs - loaded.tookMs,
              },
              `the loaded value of '${name}' was not judged`,
            )
          : encoding;
      let copy: Copy | undefined;
      if (lease !== undefined && !loaded.skipped) {
        // The fill compares in Redis, so the lease has nothing more to say.
        lease.life.end();
        copy = await this.#fill(read, lease, encoded);
      } else if (lease !== undefined) background.track(lease.life.release());
      const stored = copy !== undefined;
      const cause = causeOfRead(read);
      publish('redcache:cache:load', () => ({ key, ms: loaded.tookMs, stored, cause }));
      shared.offer({ value: encoded.value, source: 'loader', ...(copy && { copy }) });
    } catch (error) {
      this.#failed(claim, error);
    }
  }

  /** Stores what was loaded in Redis, if our lease still stands (I8), and keeps a copy here. */
  async #fill(read: Reading, lease: LoadLease, encoded: Encoded): Promise<Copy | undefined> {
    const { engine, keyspace, groups, background } = this.#parts;
    const { key, shared, policy, counters } = read;
    const { header } = encoded;
    const leftMs = header.ttlMs + header.tailMs;
    const guard = engine.guard([key], () => shared.detach(), keyspace.sessionFor(key));
    try {
      const sentAtMs = engine.clock.nowMs();
      const member = { epoch: lease.epoch, tags: header.tags };
      const [stored] = await Promise.all([
        lease.fill(encoded.envelope, leftMs),
        // Without it the value counts as outdated at its first look.
        groups.keep(member, leftMs).catch(() => {}),
      ]);
      if (!stored) {
        counters.lostLeases += 1;
        publish('redcache:cache:lost-lease', () => ({ key }));
        return undefined;
      }
      counters.bytesWritten += bytesOf(encoded.envelope);
      const freshUntilMs = sentAtMs + header.ttlMs;
      const copy = new Copy(
        { ...header, ...member, value: encoded.value, freshUntilMs },
        isPlain(policy) && header.tailMs === 0 && header.tags.length === 0,
      );
      engine.fill(guard, key, copy, {
        kind: encoded.kind,
        remaining: Math.min(leftMs, policy.localTtlMs),
        valueBytes: encoded.bytes,
        by: 'own-write',
      });
      return copy;
    } catch (error) {
      // Stored or not, the value is good for its callers; others need not wait for the lease to end.
      if (!(error instanceof UnavailableError)) throw error;
      background.track(lease.release());
      counters.unavailable += 1;
      publish('redcache:cache:unavailable', () => ({ key, error }));
      return undefined;
    } finally {
      engine.release(guard);
    }
  }
}

/** What the loader rejected with when it was told that its lease was lost. */
class GaveUp {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

function causeOf([claim]: readonly Claim[]): LoadCause {
  return claim === undefined ? 'miss' : causeOfRead(claim.read);
}

function causeOfRead({ behind, renews, aged }: Reading): LoadCause {
  if (behind !== undefined) return behind;
  if (renews) return 'asked';
  return aged === undefined ? 'miss' : 'aged';
}

function tagsOf({ tags, name }: Reading, value: unknown): readonly string[] {
  if (tags === undefined || value === undefined) return [];
  if (typeof tags !== 'function') return tags;
  return checkTags((tags as (value: unknown) => unknown)(value), `the tags of '${name}'`);
}

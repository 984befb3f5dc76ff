import { randomUUID } from 'node:crypto';
import {
  type Clock,
  type Guard,
  type TrackingCache,
  type TrackingSession,
  UnavailableError,
} from '@redcache/core';
import { SingleFlight } from '@redcache/core/toolkit';
import { publish } from '../channels.ts';
import type { Awaitable } from '../compression.ts';
import { placeholder } from '../envelope.ts';
import type { Policy, Settings } from '../options.ts';
import type { Keyspace, Seen } from '../redis/keyspace.ts';
import type { Counters } from '../stats.ts';
import type { Decoded, ValueFormat } from '../value.ts';
import type { UncertainKeys } from '../write/uncertain.ts';
import { Background } from './background.ts';
import { loadLease } from './load-lease.ts';
import type { LoadAll } from './loader.ts';
import { Loading } from './loading.ts';
import type { Claim, Reading } from './reading.ts';
import { SharedRead } from './shared-read.ts';
import { relay } from './signals.ts';
import { Wake } from './wake.ts';

/** A waiter tries again this long after the lease it saw must have ended, in case no push comes. */
const SLACK_MS = 10;

/**
 * What there is under a key. `loading`: under somebody else's lease; `wake` already listens.
 * `changed`: it was so, but the push that it is over came with the answer.
 */
type Look =
  | { readonly is: 'answer'; readonly value: unknown }
  | { readonly is: 'loading'; readonly leftMs: number; readonly wake: Wake }
  | { readonly is: 'changed' }
  | { readonly is: 'nothing'; readonly unreadable: string }
  | { readonly is: 'unavailable'; readonly error: unknown };

/**
 * The read path behind a local miss, as a story: look into Redis; if somebody loads the key wait for
 * the push and look again; if there is nothing take the lease, load, and store under it. All callers
 * of a key share one story; an invalidation lets the next caller begin another (I1).
 */
export class Reader {
  readonly #engine: TrackingCache;
  readonly #session: TrackingSession;
  readonly #keyspace: Keyspace;
  readonly #uncertain: UncertainKeys;
  readonly #format: ValueFormat;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #hardMs: number;
  readonly #loads = new SingleFlight<SharedRead>();
  readonly #looks = new SingleFlight<SharedRead>();
  readonly #active = new Set<SharedRead>();
  readonly #background = new Background();
  readonly #loading: Loading;

  constructor(parts: {
    readonly engine: TrackingCache;
    readonly session: TrackingSession;
    readonly keyspace: Keyspace;
    readonly uncertain: UncertainKeys;
    readonly format: ValueFormat;
    readonly counters: Counters;
    readonly settings: Settings;
  }) {
    this.#engine = parts.engine;
    this.#session = parts.session;
    this.#keyspace = parts.keyspace;
    this.#uncertain = parts.uncertain;
    this.#format = parts.format;
    this.#counters = parts.counters;
    this.#clock = parts.settings.clock;
    this.#hardMs = parts.settings.hardMs;
    const { clock, hardMs } = parts.settings;
    const [flights, background] = [this.#loads, this.#background];
    this.#loading = new Loading({ ...parts, clock, hardMs, flights, background });
  }

  /**
   * Answers the values of these keys, all of which missed here, in their order.
   *
   * Sends for a value that is there: `GET` and `PTTL` (`MGET` and `PTTL`s for several keys). For one
   * that is not: EVALSHA `acquire` and, after the loader, EVALSHA `fill`. Joining costs nothing.
   */
  async read(
    wanted: readonly { readonly name: string; readonly key: string }[],
    load: LoadAll | undefined,
    policy: Policy,
    signal: AbortSignal | undefined,
  ): Promise<unknown[]> {
    signal?.throwIfAborted();
    const flights = load === undefined ? this.#looks : this.#loads;
    const led: Reading[] = [];
    const giveUpAtMs = this.#clock.nowMs() + this.#hardMs;
    const leave = signal && wanted.length > 1 ? relay(signal) : undefined;
    const answers = wanted.map(({ name, key }) => {
      const joined = flights.joinable(key);
      if (joined !== undefined) this.#counters.coalesced += 1;
      const shared = joined ?? flights.begin(new SharedRead(flights, key));
      if (joined === undefined) led.push({ name, key, shared, load, policy, giveUpAtMs });
      return shared.join(leave?.signal ?? signal);
    });
    if (leave !== undefined) void Promise.allSettled(answers).then(leave.stop);
    if (led.length > 0) this.#background.track(this.#lead(led));
    return Promise.all(answers);
  }

  /** Ends every story under way with `reason`, and waits until Redis knows. */
  async close(reason: unknown): Promise<void> {
    for (const shared of [...this.#active]) shared.abort(reason);
    await this.#background.settled();
  }

  async #lead(led: readonly Reading[]): Promise<void> {
    for (const { shared } of led) this.#active.add(shared);
    try {
      await this.#story(led);
    } catch (error) {
      for (const { shared } of led) if (!shared.landed) shared.fail(error);
    } finally {
      for (const { shared } of led) this.#active.delete(shared);
    }
  }

  async #story(led: readonly Reading[]): Promise<void> {
    const looks = await this.#look(led);
    const claims: Claim[] = [];
    const waits: Promise<void>[] = [];
    const act = async (read: Reading, look: Look): Promise<void> => {
      // Nobody waits any more; an answer that is here already has been kept.
      if (read.shared.landed) return look.is === 'loading' ? look.wake.disarm() : undefined;
      switch (look.is) {
        case 'answer':
          return read.shared.land(look.value);
        case 'loading':
          waits.push(this.#waitAndRetry(read, look));
          return;
        case 'changed':
          waits.push(this.#again(read));
          return;
        case 'unavailable':
          return this.#withoutRedis(read, look.error, claims);
        case 'nothing': {
          if (read.load === undefined) return read.shared.land(undefined);
          const taken = await this.#take(read, look.unreadable);
          if (taken.is === 'claim') claims.push(taken.claim);
          // Still there: bytes that no text can name stand under the key, and can't be replaced.
          else if (taken.is === 'nothing' && taken.unreadable === look.unreadable)
            claims.push({ read, lease: undefined });
          // What was found unreadable has been replaced meanwhile by something else of the kind.
          else if (taken.is === 'nothing') waits.push(this.#again(read));
          else await act(read, taken);
          return;
        }
      }
    };
    await Promise.all(led.map((read, i) => act(read, looks[i] as Look)));
    if (claims.length > 0) await this.#loading.load(claims);
    await Promise.all(waits);
  }

  /** Looks into Redis, but for keys about which it is not to be believed now (I13). */
  async #look(led: readonly Reading[]): Promise<Look[]> {
    if (this.#uncertain.size === 0) return this.#lookInRedis(led);
    const asked = led.filter(({ key }) => !this.#uncertain.has(key));
    const looks = asked.length > 0 ? await this.#lookInRedis(asked) : [];
    const found = new Map(asked.map((read, i) => [read, looks[i] as Look]));
    const error = new UnavailableError('the last write of the key went unanswered');
    return led.map((read) => found.get(read) ?? { is: 'unavailable', error });
  }

  /** Reads the keys under guards; what is found is kept here if nothing happened meanwhile (I2). */
  async #lookInRedis(led: readonly Reading[]): Promise<Look[]> {
    const guards = led.map((read) => this.#watch(read));
    try {
      const [only] = led;
      const seen =
        led.length === 1 && only !== undefined
          ? [await this.#keyspace.read(only.key)]
          : await this.#keyspace.readMany(led.map(({ key }) => key));
      const decoding = this.#decodeAll(led, seen);
      const found = decoding instanceof Promise ? await decoding : decoding;
      return led.map((read, i) =>
        this.#accept(read, guards[i] as Guard, seen[i] as Seen, found[i]),
      );
    } catch (error) {
      for (const guard of guards) this.#engine.release(guard);
      if (error instanceof UnavailableError) return led.map(() => ({ is: 'unavailable', error }));
      throw error;
    }
  }

  /** At once, unless one of the values is large: what is known under a guard is best used in its turn. */
  #decodeAll(
    led: readonly Reading[],
    seen: readonly Seen[],
  ): Awaitable<readonly (Decoded | undefined)[]> {
    const found = led.map(({ key }, i) => this.#decode(key, seen[i] as Seen));
    return found.some((each) => each instanceof Promise)
      ? Promise.all(found)
      : (found as (Decoded | undefined)[]);
  }

  #decode(key: string, { text }: Seen): Awaitable<Decoded> | undefined {
    return text === null ? undefined : this.#format.decode(text, key);
  }

  /** From now on the story is a new one: callers may join, until something happens to the key. */
  #watch({ key, shared, load }: Reading): Guard {
    (load === undefined ? this.#looks : this.#loads).reattach(shared);
    return this.#engine.guard([key], () => shared.detach(), this.#session);
  }

  #accept(read: Reading, guard: Guard, seen: Seen, found: Decoded | undefined): Look {
    const { key, policy } = read;
    if (found?.is === 'value' || found?.is === 'absent') {
      this.#counters.redisHits += 1;
      const value = found.is === 'value' ? found.value : undefined;
      if (seen.remaining === 'unknown') this.#engine.release(guard);
      else
        this.#engine.fill(guard, key, value, {
          kind: found.is === 'value' ? 'present' : 'negative',
          remaining: shorter(seen.remaining, policy.localTtlMs),
          valueBytes: found.is === 'value' ? found.bytes : 0,
        });
      return { is: 'answer', value };
    }
    // Without an end it is nobody's who is alive: acquiring replaces it.
    const abandoned = found?.is === 'loading' && seen.remaining === 'none';
    if (found?.is === 'loading' && !abandoned && !guard.disturbed) {
      // Listening before the guard is closed: between the two nothing can be missed.
      const wake = new Wake(this.#engine, key);
      this.#engine.release(guard);
      return { is: 'loading', leftMs: leaseLeftMs(seen), wake };
    }
    this.#engine.release(guard);
    if (found === undefined || abandoned) return { is: 'nothing', unreadable: '' };
    if (found.is === 'loading') return { is: 'changed' };
    publish('redcache:cache:unreadable', () => ({ key, reason: found.reason }));
    return { is: 'nothing', unreadable: seen.text ?? '' };
  }

  async #waitAndRetry(read: Reading, { leftMs, wake }: Look & { is: 'loading' }): Promise<void> {
    const { key, shared, giveUpAtMs } = read;
    if (read.load === undefined) {
      wake.disarm();
      return shared.land(undefined);
    }
    this.#loads.reattach(shared);
    this.#counters.waits += 1;
    const patienceMs = giveUpAtMs - this.#clock.nowMs();
    const cause = await wake.wait(this.#clock, Math.min(leftMs, patienceMs), shared.signal);
    if (cause === 'aborted') return;
    publish('redcache:cache:woken', () => ({ key, cause }));
    if (cause === 'push') this.#counters.wokenByPush += 1;
    if (cause === 'timer') this.#counters.wokenByTimer += 1;
    return this.#again(read);
  }

  /** Begins anew, unless others have kept the caller from it for too long (I9). */
  async #again(read: Reading): Promise<void> {
    if (this.#clock.nowMs() < read.giveUpAtMs) return this.#lead([read]);
    if (read.load === undefined) return read.shared.land(undefined);
    return this.#loading.load([{ read, lease: undefined }]);
  }

  #withoutRedis(read: Reading, error: unknown, claims: Claim[]): void {
    this.#counters.unavailable += 1;
    publish('redcache:cache:unavailable', () => ({ key: read.key, error }));
    if (read.policy.onUnavailable === 'throw') read.shared.fail(error);
    else if (read.load === undefined) read.shared.land(undefined);
    else claims.push({ read, lease: undefined });
  }

  async #take(
    read: Reading,
    unreadable: string,
  ): Promise<Look | { readonly is: 'claim'; readonly claim: Claim }> {
    const { key, policy } = read;
    const mark = placeholder(randomUUID());
    const life = loadLease(read, mark, {
      engine: this.#engine,
      keyspace: this.#keyspace,
      clock: this.#clock,
      hardMs: this.#hardMs,
    });
    const guard = this.#watch(read);
    try {
      life.acquiring();
      const { leaseMs } = policy;
      const acquired = await this.#keyspace.acquire({
        key,
        placeholder: mark,
        leaseMs,
        unreadable,
      });
      if (acquired.is === 'taken') {
        life.abandon();
        const decoding = this.#decode(key, acquired.seen);
        const found = decoding instanceof Promise ? await decoding : decoding;
        return this.#accept(read, guard, acquired.seen, found);
      }
    } catch (error) {
      life.abandon();
      this.#engine.release(guard);
      if (error instanceof UnavailableError) return { is: 'unavailable', error };
      throw error;
    }
    this.#engine.release(guard);
    life.held(1);
    return { is: 'claim', claim: { read, lease: { life, placeholder: mark } } };
  }
}

function shorter(remaining: number | 'none', localTtlMs: number): number | 'none' {
  if (remaining === 'none') return localTtlMs === Number.POSITIVE_INFINITY ? 'none' : localTtlMs;
  return Math.min(remaining, localTtlMs);
}

/** How long to wait at most for a load that was seen. */
function leaseLeftMs({ remaining }: Seen): number {
  return typeof remaining === 'number' ? remaining + SLACK_MS : 0;
}

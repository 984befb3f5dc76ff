import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { type Clock, type Guard, type TrackingCache, UnavailableError } from '@redcache/core';
import { publish } from '../channels.ts';
import type { Awaitable } from '../compression.ts';
import { FOREIGN_HEADER, type Header, placeholder } from '../envelope.ts';
import { freshnessLeftMs } from '../freshness.ts';
import type { Groups } from '../groups/groups.ts';
import type { Instruments } from '../instruments.ts';
import type { Wish } from '../options.ts';
import { isPlain, tailMs } from '../policy.ts';
import { bytesOf, type Content, type Keyspace, type Seen } from '../redis/keyspace.ts';
import { type RefreshCause, Refreshes } from '../refresh/refreshes.ts';
import type { Counters } from '../stats.ts';
import { within } from '../time-limit.ts';
import type { Decoded, ValueFormat } from '../value.ts';
import type { UncertainKeys } from '../write/uncertain.ts';
import { Aged } from './aged.ts';
import { type Answer, NOTHING } from './answer.ts';
import { Background } from './background.ts';
import { Copy } from './copy.ts';
import { judge } from './judgement.ts';
import { type LeaseGround, placeholderLease, refreshKey, refreshLease } from './load-lease.ts';
import { LoadSlots } from './load-slots.ts';
import type { LoadAll } from './loader.ts';
import { Loading } from './loading.ts';
import type { Claim, Reading } from './reading.ts';
import { RecentErrors } from './recent-errors.ts';
import { SharedRead } from './shared-read.ts';
import { SharedReads } from './shared-reads.ts';
import { relay } from './signals.ts';
import { Wake } from './wake.ts';

/** A waiter tries again this long after the lease it saw must have ended, in case no push comes. */
const SLACK_MS = 10;
/**
 * A waiter who is not told of what happens to a key looks again after so long: while the slot of the key
 * moves to another node nobody listens where it stands.
 */
const UNHEARD_MS = 100;
/** As many keys of one call are loaded at a time by a loader that takes one. */
const MOST_SIDE_BY_SIDE = 32;
/** As much of what is to be replaced is named to Redis: any header begins with less. */
const NAMED_BYTES = 160;
/** After a refresh that failed: a source that is away is not asked by every read of every process. */
const REFRESH_PAUSE_MS = 1_000;

/**
 * What there is under a key. `aged`: a value that may be served only if it comes to that. `loading`:
 * under somebody else's lease; `wake` already listens. `changed`: it was so, but the push that it is
 * over came with the answer; or what was read is not heard of, as that `load`. `nothing`: nothing to be
 * served; `replaces` names what stands there all the same. `failed`: nobody could say in time what it is.
 */
type Look =
  | { readonly is: 'answer'; readonly answer: Answer }
  | { readonly is: 'aged'; readonly copy: Copy }
  | { readonly is: 'loading'; readonly leftMs: number; readonly wake: Wake }
  | { readonly is: 'changed'; readonly load?: { readonly holder: string; readonly leftMs: number } }
  | { readonly is: 'nothing'; readonly replaces: Content }
  | { readonly is: 'unavailable'; readonly error: unknown }
  | { readonly is: 'failed'; readonly error: unknown };

type Answered = Look & { readonly is: 'answer' };
type Failed = Look & { readonly is: 'failed' };

export interface Wanted {
  readonly name: string;
  readonly key: string;
}

/** How what is wanted is read and written. */
export interface Manner {
  readonly load: LoadAll | undefined;
  /** The loader is called for each key by itself, a bounded number of them at a time. */
  readonly loadsApart: boolean;
  readonly format: ValueFormat;
  readonly wish: Wish;
  /** Who counts what becomes of it. */
  readonly counters: Counters;
  /** Whose values they are, if they are a family's. */
  readonly family: string | undefined;
}

/**
 * The read path behind a local miss, as a story: look into Redis; if somebody loads the key wait for
 * the push and look again; if there is nothing take the lease, load, and store under it; if what is
 * there has aged, load it anew under a lease beside it. All callers of a key share one story; an
 * invalidation lets the next caller begin another (I1).
 */
export class Reader {
  readonly #engine: TrackingCache;
  readonly #keyspace: Keyspace;
  readonly #groups: Groups;
  readonly #uncertain: UncertainKeys;
  readonly #instruments: Instruments;
  readonly #clock: Clock;
  readonly #loads: SharedReads;
  readonly #looks: SharedReads;
  readonly #active = new Set<SharedRead>();
  readonly #background = new Background();
  readonly #refreshes = new Refreshes();
  readonly #errors: RecentErrors;
  /** Of loads that nobody waited for: no caller gets these. */
  readonly #refreshErrors: RecentErrors;
  readonly #loading: Loading;
  #isClosed = false;

  constructor(parts: {
    readonly engine: TrackingCache;
    readonly keyspace: Keyspace;
    readonly groups: Groups;
    readonly uncertain: UncertainKeys;
    readonly instruments: Instruments;
    readonly maxLoadsWithoutRedis: number;
  }) {
    this.#engine = parts.engine;
    this.#keyspace = parts.keyspace;
    this.#groups = parts.groups;
    this.#uncertain = parts.uncertain;
    this.#instruments = parts.instruments;
    this.#clock = parts.engine.clock;
    this.#loads = new SharedReads(this.#engine, this.#keyspace);
    this.#looks = new SharedReads(this.#engine, this.#keyspace);
    this.#errors = new RecentErrors(this.#clock);
    this.#refreshErrors = new RecentErrors(this.#clock);
    this.#loading = new Loading({
      ...parts,
      flights: this.#loads,
      background: this.#background,
      slots: new LoadSlots(parts.maxLoadsWithoutRedis),
      errors: this.#errors,
    });
  }

  /**
   * Answers these keys, all of which missed here, in their order.
   *
   * Sends for a value that is there: `GET` and `PTTL` (`MGET` and `PTTL`s for several keys), and what
   * {@link Groups.isCurrent} does. For one that is not: EVALSHA `acquire` and, after the loader, EVALSHA
   * `fill`; `refresh-acquire` and `refresh-fill` for one that has aged. Joining costs nothing.
   */
  async read(wanted: readonly Wanted[], manner: Manner): Promise<Answer[]> {
    return Promise.all(this.#begin(wanted, manner));
  }

  /** As {@link read}, of one. */
  readOne(wanted: Wanted, manner: Manner): Promise<Answer> {
    const { signal } = manner.wish;
    signal?.throwIfAborted();
    const led: Reading[] = [];
    const answer = this.#beginOne(wanted, manner, signal, led);
    if (led.length > 0) this.#background.track(this.#lead(led));
    return answer;
  }

  /** As {@link read}, but settles when every key has, with what became of each. */
  readEach(
    wanted: readonly Wanted[],
    manner: Manner,
  ): Promise<readonly PromiseSettledResult<Answer>[]> {
    return Promise.allSettled(this.#begin(wanted, manner));
  }

  #begin(wanted: readonly Wanted[], manner: Manner): Promise<Answer>[] {
    const { signal } = manner.wish;
    signal?.throwIfAborted();
    const led: Reading[] = [];
    const leave = signal && wanted.length > 1 ? relay(signal) : undefined;
    const answers = wanted.map((one) => this.#beginOne(one, manner, leave?.signal ?? signal, led));
    if (leave !== undefined) void Promise.allSettled(answers).then(leave.stop);
    if (led.length > 0) this.#background.track(this.#lead(led));
    return answers;
  }

  /** Joins whoever reads the key already, or adds it to what is to be read now. */
  #beginOne(
    { name, key }: Wanted,
    manner: Manner,
    signal: AbortSignal | undefined,
    led: Reading[],
  ): Promise<Answer> {
    const { load, wish, counters } = manner;
    const { refresh } = wish;
    // Where something may be served though it has aged, it is looked for first.
    const looks = load === undefined || refresh || tailMs(wish.policy) > 0;
    const failed = looks ? undefined : this.#errors.find(key);
    if (failed !== undefined) return Promise.reject(failed.error);
    const flights = load === undefined ? this.#looks : this.#loads;
    const joined = refresh ? undefined : flights.joinable(key);
    if (joined !== undefined) {
      counters.coalesced += 1;
      return joined.join(signal);
    }
    const shared = flights.begin(this.#sharedRead(key, manner));
    led.push(this.#reading({ name, key }, manner, shared));
    return shared.join(signal);
  }

  /** Loads a value anew that is served meanwhile, as soon as there is room. Nobody waits for it. */
  refresh(wanted: Wanted, copy: Copy, manner: Manner, cause: RefreshCause): void {
    if (manner.load === undefined || copy.id === '' || this.#isClosed) return;
    const { name, key } = wanted;
    if (this.#refreshes.has(key)) return;
    if ((this.#errors.find(key) ?? this.#refreshErrors.find(key)) !== undefined) return;
    const before = this.#refreshes.dropped;
    // Those who wait for a turn are to run in the context of their caller, not of whoever ended.
    const run = AsyncResource.bind(() => this.#refresh({ name, key }, copy, manner, cause));
    this.#refreshes.ask(key, run);
    const dropped = this.#refreshes.dropped - before;
    manner.counters.refreshesDropped += dropped;
    if (dropped > 0) publish('redcache:cache:refresh-dropped', () => ({ key, cause }));
    else {
      manner.counters.refreshes[cause] += 1;
      publish('redcache:cache:refresh', () => ({ key, cause }));
    }
  }

  /** Somebody has written the key: what a loader said of it before counts no more. */
  wrote(key: string): void {
    this.#errors.forget(key);
    this.#refreshErrors.forget(key);
  }

  /** Whoever asks from now on begins anew; those who wait already go on. */
  detachAll(): void {
    for (const shared of this.#active) shared.detach(); // guard: I1
  }

  /** Ends every story under way with `reason`, and waits until Redis knows. */
  async close(reason: unknown): Promise<void> {
    this.#isClosed = true;
    this.#refreshes.close();
    for (const shared of [...this.#active]) shared.end(reason);
    await this.#background.settled();
  }

  #sharedRead(key: string, { load, wish }: Manner): SharedRead {
    const flights = load === undefined ? this.#looks : this.#loads;
    return new SharedRead(flights, key, wish.policy.onAbandoned === 'finish');
  }

  #reading(
    { name, key }: Wanted,
    manner: Manner,
    shared: SharedRead,
    behind?: RefreshCause,
  ): Reading {
    const { load, loadsApart, format, counters, family } = manner;
    const { policy, tags, refresh } = manner.wish;
    const giveUpAtMs = this.#clock.nowMs() + policy.hardMs;
    const renews = refresh && load !== undefined;
    const how = { load, loadsApart, policy, format, tags, counters, family };
    return {
      name,
      key,
      shared,
      ...how,
      renews,
      behind,
      giveUpAtMs,
      aged: undefined,
      seenHolder: undefined,
    };
  }

  async #refresh(wanted: Wanted, copy: Copy, manner: Manner, cause: RefreshCause): Promise<void> {
    const shared = new SharedRead(this.#loads, wanted.key, true);
    const { key } = wanted;
    const failed = (error: unknown): void => this.#refreshErrors.note(key, error, REFRESH_PAUSE_MS);
    shared.promise.then(({ failure }) => failure !== undefined && failed(failure), failed);
    const read = this.#reading(wanted, manner, shared, cause);
    const work = this.#leading([read], async () => {
      read.aged = new Aged(copy, read, this.#ground);
      const taken = await this.#takeRefresh(read, copy);
      // Somebody else does it, has done it, or nobody can.
      if (taken.is !== 'claim') {
        if (taken.is === 'loading') taken.wake.disarm();
        if (taken.is === 'unavailable') this.#tellUnavailable(read, taken.error);
        return shared.land(NOTHING);
      }
      await this.#loading.load([taken.claim]);
    });
    this.#background.track(work);
    await work;
  }

  #lead(led: readonly Reading[]): Promise<void> {
    return this.#leading(led, () => this.#story(led));
  }

  async #leading(led: readonly Reading[], work: () => Promise<void>): Promise<void> {
    for (const { shared } of led) this.#active.add(shared);
    try {
      await work();
    } catch (error) {
      for (const { shared } of led) if (!shared.landed) shared.fail(error);
    } finally {
      for (const read of led) {
        this.#active.delete(read.shared);
        read.aged?.release();
      }
    }
  }

  async #story(led: readonly Reading[]): Promise<void> {
    const looks = await this.#look(led);
    if (looks.every(isAnswer)) return landAll(led, looks);
    const claims: Claim[] = [];
    const waits: Promise<void>[] = [];
    const act = async (read: Reading, look: Look): Promise<void> => {
      // Nobody waits any more; an answer that is here already has been kept.
      if (read.shared.landed) return look.is === 'loading' ? look.wake.disarm() : undefined;
      switch (look.is) {
        case 'answer':
          return read.shared.land(look.answer);
        case 'aged': {
          if (this.#failedLately(read)) return;
          const taken = await this.#renew(read, look.copy);
          if (taken === undefined) return;
          if (taken.is === 'claim') claims.push(taken.claim);
          else await act(read, taken);
          return;
        }
        case 'loading':
          waits.push(this.#waitAndRetry(read, look));
          return;
        case 'changed':
          waits.push(this.#lookAgain(read, look));
          return;
        case 'unavailable':
          return this.#withoutRedis(read, look.error, claims);
        case 'failed':
          return read.shared.fail(look.error);
        case 'nothing': {
          if (read.load === undefined) return this.#landNothing(read);
          if (this.#failedLately(read)) return;
          const taken = await this.#take(read, look.replaces);
          if (taken.is === 'claim') claims.push(taken.claim);
          // Still there, though it was named: nobody can replace it.
          else if (taken.is === 'nothing' && isSame(taken.replaces, look.replaces))
            claims.push({ read, lease: undefined });
          // What was to be replaced is something else of the kind by now.
          else if (taken.is === 'nothing') waits.push(this.#again(read));
          else await act(read, taken);
          return;
        }
      }
    };
    // Whoever waits for a schema to judge his value keeps no other from having theirs.
    await Promise.all(
      led.map((read, i) => {
        const look = looks[i] as Awaitable<Look>;
        return look instanceof Promise ? look.then((found) => act(read, found)) : act(read, look);
      }),
    );
    for (const { read } of claims) read.counters.misses += 1;
    if (claims.length > 0) await this.#load(inOrder(claims, led));
    await Promise.all(waits);
  }

  /** By one call for all, or by one for each where the loader knows no other way. */
  async #load(claims: readonly Claim[]): Promise<void> {
    if (claims.length === 1 || claims[0]?.read.loadsApart !== true)
      return this.#loading.load(claims);
    const queue = claims.values();
    const next = async (): Promise<void> => {
      for (const claim of queue) await this.#loading.load([claim]);
    };
    await Promise.all(Array.from({ length: MOST_SIDE_BY_SIDE }, next));
  }

  /** Looks into Redis, but for keys about which it is not to be believed now (I13). */
  async #look(led: readonly Reading[]): Promise<readonly Awaitable<Look>[]> {
    for (const read of led) forget(read);
    if (this.#uncertain.size === 0) return this.#lookInRedis(led);
    const asked = led.filter(({ key }) => !this.#uncertain.has(key));
    const looks = asked.length > 0 ? await this.#lookInRedis(asked) : [];
    const found = new Map(asked.map((read, i) => [read, looks[i] as Awaitable<Look>]));
    const error = new UnavailableError('the last write of the key went unanswered');
    return led.map((read) => found.get(read) ?? { is: 'unavailable', error });
  }

  /** Reads the keys under guards; what is found is kept here if nothing happened meanwhile (I2). */
  async #lookInRedis(led: readonly Reading[]): Promise<readonly Awaitable<Look>[]> {
    const guards = led.map((read) => this.#watch(read));
    try {
      // Asked for in the same round trip, where it is not known.
      const prepared = this.#groups.prepare();
      prepared?.catch(() => {});
      const seen = await this.#seen(led);
      const found = led.map((read, i) => this.#decode(read, seen[i] as Seen | UnavailableError));
      if (prepared !== undefined) await prepared;
      return led.map((read, i) => {
        const [guard, each] = [guards[i] as Guard, seen[i] as Seen | UnavailableError];
        const decoded = found[i];
        return decoded instanceof Promise
          ? decoded.then((late) => this.#tryToAccept(read, guard, each, late))
          : this.#tryToAccept(read, guard, each, decoded);
      });
    } catch (error) {
      for (const guard of guards) this.#engine.release(guard);
      if (error instanceof UnavailableError) return led.map(() => ({ is: 'unavailable', error }));
      throw error;
    }
  }

  #seen(led: readonly Reading[]): Promise<readonly (Seen | UnavailableError)[]> {
    const as = led[0]?.format.readsBytes ? 'bytes' : 'text';
    const keys = led.map(({ key }) => key);
    return this.#keyspace.readMany(keys, as);
  }

  /**
   * At once, unless the value is large or its schema takes its time: what is known under a guard is best
   * used in its turn. Never rejects.
   */
  #decode(
    read: Reading,
    seen: Seen | UnavailableError,
  ): Awaitable<Decoded | UnavailableError | Failed | undefined> {
    if (seen instanceof UnavailableError) return seen;
    const { key, format, counters } = read;
    const { content } = seen;
    if (content === null) return undefined;
    counters.bytesRead += bytesOf(content);
    const decoding = format.decode(content, key);
    if (decoding instanceof Promise) return this.#inTime(read, decoding);
    if (!needsBytes(decoding)) return decoding;
    // Another process compresses what this one reads as text.
    return this.#inTime(
      read,
      this.#keyspace
        .read(key, 'bytes')
        .then((again) => (again.content === null ? decoding : format.decode(again.content, key))),
    );
  }

  async #inTime(
    { name, shared, giveUpAtMs }: Reading,
    decoding: Promise<Decoded>,
  ): Promise<Decoded | UnavailableError | Failed> {
    const clock = this.#clock;
    const limit = { clock, forMs: giveUpAtMs - clock.nowMs(), signal: shared.signal };
    try {
      return await within(decoding, limit, `the value of '${name}' was not judged`);
    } catch (error) {
      return error instanceof UnavailableError ? error : { is: 'failed', error };
    }
  }

  /** As {@link #accept}, whatever became of the value on its way. */
  #tryToAccept(
    read: Reading,
    guard: Guard,
    seen: Seen | UnavailableError,
    found: Decoded | UnavailableError | Failed | undefined,
  ): Awaitable<Look> {
    const error = seen instanceof UnavailableError ? seen : found;
    if (error instanceof UnavailableError || error?.is === 'failed') {
      this.#engine.release(guard);
      return error instanceof UnavailableError ? { is: 'unavailable', error } : error;
    }
    const look = this.#accept(read, guard, seen as Seen, error);
    return look instanceof Promise ? look.catch(unavailable) : look;
  }

  /** From now on the story is a new one: callers may join, until something happens to the key. */
  #watch({ key, shared, load, renews }: Reading): Guard {
    // Whoever joins one that renews gets what is loaded anew, not what it looks at on the way.
    if (!renews || !shared.landed)
      (load === undefined ? this.#looks : this.#loads).reattach(shared);
    return this.#engine.guard([key], () => shared.detach(), this.#keyspace.sessionFor(key));
  }

  #accept(read: Reading, guard: Guard, seen: Seen, found: Decoded | undefined): Awaitable<Look> {
    const { key } = read;
    if (found?.is === 'value' || found?.is === 'absent') {
      const copy = this.#keep(read, guard, seen, found);
      const standing = this.#groups.standing(copy);
      if (standing === 'unknown') return this.#asked(read, copy, guard.disturbed);
      return standing === 'current' ? this.#judged(read, copy, guard.disturbed) : outdated(copy);
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
    if (found === undefined || abandoned) return { is: 'nothing', replaces: '' };
    if (found.is === 'loading')
      return { is: 'changed', load: { holder: found.holder, leftMs: leaseLeftMs(seen) } };
    if (found.is === 'writing') return { is: 'nothing', replaces: nameOf(seen.content) };
    publish('redcache:cache:unreadable', () => ({ key, reason: found.reason }));
    return { is: 'nothing', replaces: nameOf(seen.content) };
  }

  /** Asks whether the groups of a value have outdated it. */
  async #asked(read: Reading, copy: Copy, isDisturbed: boolean): Promise<Look> {
    const found = new Aged(copy, read, this.#ground);
    try {
      if (!(await this.#groups.isCurrent(copy))) return outdated(copy);
      return this.#judged(read, copy, isDisturbed || found.untouched === undefined);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      return { is: 'unavailable', error };
    } finally {
      found.release();
    }
  }

  /** Files what was read, if nothing has happened meanwhile (I2), and closes the guard. */
  #keep(
    { key, policy }: Reading,
    guard: Guard,
    { remaining }: Seen,
    found: Decoded & { readonly is: 'value' | 'absent' },
  ): Copy {
    const value = found.is === 'value' ? found.value : undefined;
    const copy = this.#copyOf(found.header, value, remaining, guard.openedAtMs, isPlain(policy));
    if (remaining === 'unknown') this.#engine.release(guard);
    else
      this.#engine.fill(guard, key, copy, {
        kind: found.is === 'value' ? 'present' : 'negative',
        remaining: shorter(remaining, policy.localTtlMs),
        valueBytes: found.is === 'value' ? found.bytes : 0,
      });
    return copy;
  }

  #copyOf(
    header: Header,
    value: unknown,
    remaining: Seen['remaining'],
    sinceMs: number,
    plain: boolean,
  ): Copy {
    // One that ended just now was there when it was read, and is kept by nobody.
    const leftMs = remaining === 'unknown' ? 'none' : freshnessLeftMs(header, remaining);
    // What another program wrote belongs to no group, so it is never made stale with one.
    const epoch = header === FOREIGN_HEADER ? Number.POSITIVE_INFINITY : (header.epoch ?? 0);
    return new Copy(
      {
        value,
        id: header.id,
        ttlMs: header.ttlMs,
        loadMs: header.loadMs,
        freshUntilMs: leftMs === 'none' ? Number.POSITIVE_INFINITY : sinceMs + leftMs,
        epoch,
        tags: header.tags,
      },
      plain && header.tailMs === 0 && header.tags.length === 0,
    );
  }

  /**
   * What age makes of a value. `isDisturbed`: somebody may have changed it, before or after it was read;
   * then it is looked at once more before it is taken for one that has merely aged.
   */
  #judged(read: Reading, copy: Copy, isDisturbed: boolean): Look {
    const { policy, load, renews, name, key, counters } = read;
    const aged = (): Look => {
      if (isDisturbed) return { is: 'changed' };
      forget(read);
      read.aged = new Aged(copy, read, this.#ground);
      return { is: 'aged', copy };
    };
    if (renews) return aged();
    const judgement = judge(copy, policy, this.#clock.nowMs(), Math.random());
    const answer: Answer = { value: copy.value, source: 'redis', copy };
    switch (judgement) {
      case 'fresh':
        counters.redisHits += 1;
        return { is: 'answer', answer };
      case 'early':
      case 'hot':
        counters.redisHits += 1;
        this.refresh({ name, key }, copy, mannerOf(read), judgement);
        return { is: 'answer', answer };
      case 'grace':
        if (load !== undefined && (policy.softMs > 0 || copy.id === '')) return aged();
        counters.staleHits += 1;
        this.refresh({ name, key }, copy, mannerOf(read), 'grace');
        return { is: 'answer', answer };
      default:
        return load === undefined ? { is: 'nothing', replaces: '' } : aged();
    }
  }

  /** Whether the loader failed so shortly ago that it is not asked; its callers have their answer then. */
  #failedLately({ key, shared, policy, aged, renews, counters }: Reading): boolean {
    const failed = renews ? undefined : this.#errors.find(key);
    if (failed === undefined) return false;
    const copy = aged?.untouched;
    if (copy === undefined || judge(copy, policy, this.#clock.nowMs(), 0) === 'over')
      shared.fail(failed.error);
    else {
      counters.staleHits += 1;
      shared.land({ value: copy.value, source: 'redis', copy, failure: failed.error });
    }
    return true;
  }

  /** Loads a value anew in place of one that has aged; whoever waits gets that one if it takes long. */
  async #renew(
    read: Reading,
    copy: Copy,
  ): Promise<Look | { readonly is: 'claim'; readonly claim: Claim } | undefined> {
    const { policy, shared } = read;
    const isServable = judge(copy, policy, this.#clock.nowMs(), 0) !== 'over';
    if (policy.softMs > 0 && isServable && !read.renews) this.#serveAfter(read, policy.softMs);
    // What another program wrote has no id to be told by.
    if (copy.id === '') return this.#take(read, '');
    const taken = await this.#takeRefresh(read, copy);
    if (shared.landed && taken.is !== 'claim') {
      if (taken.is === 'loading') taken.wake.disarm();
      return undefined;
    }
    return taken;
  }

  #serveAfter(read: Reading, softMs: number): void {
    const { shared, counters } = read;
    const timer = this.#clock.setTimer(softMs, () => {
      const copy = read.aged?.untouched;
      if (shared.landed || copy === undefined) return;
      counters.staleHits += 1;
      shared.offer({ value: copy.value, source: 'redis', copy });
    });
    const stop = (): void => timer.cancel();
    shared.promise.then(stop, stop);
  }

  async #waitAndRetry(read: Reading, { leftMs, wake }: Look & { is: 'loading' }): Promise<void> {
    const { key, shared, giveUpAtMs, counters, family } = read;
    if (read.load === undefined) {
      wake.disarm();
      return this.#landNothing(read);
    }
    this.#loads.reattach(shared);
    counters.waits += 1;
    publish('redcache:cache:waiting', () => ({ key }));
    const sinceMs = this.#clock.nowMs();
    const patienceMs = giveUpAtMs - sinceMs;
    const cause = await wake.wait(this.#clock, Math.min(leftMs, patienceMs), shared.signal);
    const waitedMs = this.#clock.nowMs() - sinceMs;
    counters.waitTime.record(waitedMs);
    this.#instruments.waited(() => ({ key: read.name, cause, ms: waitedMs, family }));
    if (cause === 'aborted' || shared.landed) return;
    publish('redcache:cache:woken', () => ({ key, cause, waitedMs }));
    if (cause === 'push') counters.wokenByPush += 1;
    if (cause === 'timer') counters.wokenByTimer += 1;
    return this.#again(read);
  }

  /** At once, but for a load that has been seen before: nothing has changed about that. */
  #lookAgain(read: Reading, { load }: Look & { is: 'changed' }): Promise<void> {
    const isKnown = load !== undefined && load.holder === read.seenHolder;
    read.seenHolder = load?.holder;
    if (!isKnown) return this.#again(read);
    const wake = new Wake(this.#engine, read.key);
    const leftMs = Math.min(load.leftMs, UNHEARD_MS);
    return this.#waitAndRetry(read, { is: 'loading', leftMs, wake });
  }

  /** Begins anew, unless others have kept the caller from it for too long (I9). */
  async #again(read: Reading): Promise<void> {
    if (this.#clock.nowMs() < read.giveUpAtMs) return this.#lead([read]);
    if (read.load === undefined) return this.#landNothing(read);
    read.counters.misses += 1;
    return this.#loading.load([{ read, lease: undefined }]);
  }

  #landNothing({ shared, counters }: Reading): void {
    counters.misses += 1;
    shared.land(NOTHING);
  }

  #withoutRedis(read: Reading, error: unknown, claims: Claim[]): void {
    this.#tellUnavailable(read, error);
    if (read.policy.onUnavailable === 'throw') read.shared.fail(error);
    else if (read.load === undefined) this.#landNothing(read);
    else claims.push({ read, lease: undefined });
  }

  #tellUnavailable({ key, counters }: Reading, error: unknown): void {
    counters.unavailable += 1;
    publish('redcache:cache:unavailable', () => ({ key, error }));
  }

  async #take(
    read: Reading,
    replaces: Content,
  ): Promise<Look | { readonly is: 'claim'; readonly claim: Claim }> {
    const { key, policy, format } = read;
    const mark = placeholder(randomUUID());
    const guard = this.#watch(read);
    const lease = placeholderLease(read, mark, 0, this.#ground);
    const { life } = lease;
    try {
      life.acquiring();
      const acquiring = this.#keyspace.acquire({
        key,
        placeholder: mark,
        leaseMs: policy.leaseMs,
        replaces,
        foreign: !format.readsForeign,
        as: format.readsBytes ? 'bytes' : 'text',
      });
      const [acquired, epoch] = await Promise.all([acquiring, this.#groups.now()]);
      if (acquired.is === 'taken') {
        life.abandon();
        const decoding = this.#decode(read, acquired.seen);
        const found = decoding instanceof Promise ? await decoding : decoding;
        return await this.#tryToAccept(read, guard, acquired.seen, found);
      }
      this.#engine.release(guard);
      life.held(1);
      return { is: 'claim', claim: { read, lease: { ...lease, epoch } } };
    } catch (error) {
      life.abandon();
      this.#engine.release(guard);
      if (!(error instanceof UnavailableError)) throw error;
      this.#background.track(lease.release());
      return { is: 'unavailable', error };
    }
  }

  /** The right to load a value anew, under a lease beside it. */
  async #takeRefresh(
    read: Reading,
    copy: Copy,
  ): Promise<Look | { readonly is: 'claim'; readonly claim: Claim }> {
    const { key, policy } = read;
    const at = { key, lease: refreshKey(key), id: copy.id };
    const holder = randomUUID();
    const lease = refreshLease(read, at, holder, 0, this.#ground);
    const { life } = lease;
    // Listening before anything is sent, so that the push that it is over can't be missed.
    const wake = new Wake(this.#engine, at.lease);
    try {
      life.acquiring();
      const acquiring = this.#keyspace.acquireRefresh(at, holder, policy.leaseMs);
      const [acquired, epoch] = await Promise.all([acquiring, this.#groups.now()]);
      if (acquired.is === 'taken') {
        life.abandon();
        return { is: 'loading', leftMs: acquired.leftMs + SLACK_MS, wake };
      }
      wake.disarm();
      if (acquired.is === 'changed') {
        life.abandon();
        return { is: 'changed' };
      }
      life.held(1);
      return { is: 'claim', claim: { read, lease: { ...lease, epoch } } };
    } catch (error) {
      wake.disarm();
      life.abandon();
      if (!(error instanceof UnavailableError)) throw error;
      this.#background.track(lease.release());
      return { is: 'unavailable', error };
    }
  }

  get #ground(): LeaseGround & { readonly groups: Groups } {
    return {
      engine: this.#engine,
      keyspace: this.#keyspace,
      groups: this.#groups,
      clock: this.#clock,
    };
  }
}

/** What is looked for anew is not what was found before. */
function forget(read: Reading): void {
  read.aged?.release();
  read.aged = undefined;
}

function unavailable(error: unknown): Look {
  if (error instanceof UnavailableError) return { is: 'unavailable', error };
  throw error;
}

function mannerOf(read: Reading): Manner {
  const { load, loadsApart, format, policy, tags, counters, family } = read;
  const wish = { policy, tags, signal: undefined, refresh: false };
  return { load, loadsApart, format, wish, counters, family };
}

function isAnswer(look: Awaitable<Look>): look is Answered {
  return !(look instanceof Promise) && look.is === 'answer';
}

/** Nearly always all of it is there. Nobody may wait any more; what was found is kept all the same. */
function landAll(led: readonly Reading[], looks: readonly Answered[]): void {
  for (const [i, { shared }] of led.entries()) shared.offer((looks[i] as Answered).answer);
}

/** As their keys were asked for, whichever was won first. */
function inOrder(claims: readonly Claim[], led: readonly Reading[]): readonly Claim[] {
  if (claims.length < 2) return claims;
  const won = new Map(claims.map((claim) => [claim.read, claim]));
  return led.flatMap((read) => won.get(read) ?? []);
}

function outdated({ id, value }: Copy): Look {
  const kind = value === undefined ? 'n' : 'v';
  return { is: 'nothing', replaces: id === '' ? '' : `rc1 ${kind} ${id} ` };
}

/** What Redis is told of what is to be replaced: how it begins, as far as that is sure to be alike. */
function nameOf(content: Content | null): Content {
  if (content === null) return '';
  if (typeof content !== 'string') return content.subarray(0, NAMED_BYTES);
  return /^[ -~\n]{0,160}/.exec(content)?.[0] ?? '';
}

function isSame(one: Content, other: Content): boolean {
  return Buffer.from(one as string).equals(Buffer.from(other as string));
}

function needsBytes(found: Decoded): boolean {
  return found.is === 'unreadable' && found.asBytes === true;
}

function shorter(remaining: number | 'none', localTtlMs: number): number | 'none' {
  if (remaining === 'none') return localTtlMs === Number.POSITIVE_INFINITY ? 'none' : localTtlMs;
  return Math.min(remaining, localTtlMs);
}

/** How long to wait at most for a load that was seen. */
function leaseLeftMs({ remaining }: Seen): number {
  return typeof remaining === 'number' ? remaining + SLACK_MS : 0;
}

import { callSafely, publish } from './channels.ts';
import type { Clock } from './clock.ts';
import type { Fetched, Filling } from './flight/fetched.ts';
import { type Leading, Load, type LoadEnd, type Place } from './flight/load.ts';
import { SingleFlight } from './flight/single-flight.ts';
import { isWellFormed } from './options.ts';
import { type CacheStats, Counters } from './stats.ts';
import { Entry } from './store/entry.ts';
import { type BreakListener, Guard, Guards, type OnBroken } from './store/guard.ts';
import { policyOf } from './store/policies/policy-of.ts';
import { overheadBytes, Store } from './store/store.ts';
import { Hub, type InvalidationListener } from './tracking/hub.ts';
import type { Invalidation } from './tracking/invalidation.ts';
import { DEFAULT_RULES, type TrackingRules } from './tracking/options.ts';
import { TrackingSession } from './tracking/session.ts';
import type { TrackingState } from './tracking/state.ts';
import { readCacheOptions, type TrackingCacheOptions } from './tracking-cache-options.ts';

/** How a reply is read and where it is filed; see {@link TrackingCache.read}. */
export interface ReadOptions {
  /** The connection that the command travels on; left out: the first one. */
  readonly session?: TrackingSession;
  /**
   * For a command of exactly one key: the command without its key. It is then filed under the key
   * itself, and {@link TrackingCache.lookup} finds it.
   */
  readonly rest?: string | undefined;
}

/** From the best to the worst, as `state` sums up the connections. */
const STATES: readonly TrackingState['is'][] = [
  'tracking',
  'unverified',
  'verifying',
  'enabling',
  'untracked',
  'down',
  'closed',
];

/**
 * The engine: a bounded local copy of what was read from Redis that is dropped the moment Redis says
 * it changed. It does no I/O. A host feeds it connection events and pushes, through
 * {@link attach} or an adapter. One engine may have many connections, each a session of its own.
 *
 * Invariants I1–I6, I12 and I14 of `docs/invariants.md` hold for whatever is read through
 * {@link TrackingCache.read} or between {@link TrackingCache.guard} and {@link TrackingCache.fill}.
 */
export class TrackingCache {
  readonly clock: Clock;
  readonly #ttlMs: number;
  readonly #negativeTtlMs: number;
  readonly #ttlJitter: number;
  readonly #store: Store;
  readonly #guards = new Guards();
  readonly #flights = new SingleFlight<Load>();
  readonly #hub: Hub;
  readonly #counters = new Counters();
  readonly #sessions = new Set<TrackingSession>();
  readonly #onTracked = new Set<() => void>();
  #first: TrackingSession | undefined;
  /** Made because somebody asked for a session before there was one. */
  #stopgap: TrackingSession | undefined;
  #isClosed = false;
  /** Some connection is left alone, since nobody depended on any. */
  #isResting = false;
  #isWarned = false;

  constructor(options?: TrackingCacheOptions) {
    const read = readCacheOptions('createTrackingCache', options);
    this.clock = read.clock;
    this.#ttlMs = read.ttl;
    this.#negativeTtlMs = read.negativeTtl;
    this.#ttlJitter = read.ttlJitter;
    const { onEvicted } = read;
    this.#store = new Store(read, policyOf(read.store), (cause, count) => {
      this.#counters.evictions[cause] += count;
      if (onEvicted !== undefined) callSafely('onEvicted', () => onEvicted(cause, count));
    });
    this.#hub = new Hub(this.#store, this.#guards);
  }

  /** The first connection. If there is none yet, one whose host sees to tracking by itself. */
  get session(): TrackingSession {
    if (this.#first !== undefined) return this.#first;
    this.#stopgap = this.openSession();
    return this.#stopgap;
  }

  /** One more connection. Whoever opens it tells it of what happens there, and closes it in the end. */
  openSession(rules: TrackingRules = DEFAULT_RULES): TrackingSession {
    const session: TrackingSession = new TrackingSession({
      clock: this.clock,
      hub: this.#hub,
      rules,
      isNeeded: () =>
        this.#store.entries > 0 || this.#guards.size > 0 || this.#hub.listenedKeys > 0,
      onRest: () => {
        this.#isResting = true;
      },
      onConnected: () => this.#include(session),
      onUntracked: (reason) => {
        this.#dropSuspects(session); // guard: I4
        this.#warn(reason);
      },
      onTracked: () => {
        this.#dropSuspects(session); // guard: I4
        this.#isWarned = false;
        for (const told of [...this.#onTracked]) callSafely('onTracked', told);
      },
    });
    this.#include(session);
    return session;
  }

  #include(session: TrackingSession): void {
    this.#sessions.add(session);
    if (this.#first === undefined || this.#isUnused(this.#first)) this.#first = session;
    if (this.#isClosed) session.dispatch({ is: 'close' }); // guard: I14
  }

  /** Nobody has to be told twice that nothing is cached, however many connections there are. */
  #warn(reason: unknown): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    publish('redcache:unsupported', () => ({ reason }));
  }

  /** It stands again: what it read before it was lost is of no use, nor what one read that is gone. */
  #dropSuspects(session: TrackingSession): void {
    this.#store.dropSuspects(
      ({ owner }) => owner === session || !this.#sessions.has(owner as TrackingSession),
    );
  }

  /**
   * The connection ended, and perhaps for good: drops what was read there and forgets it. Should it
   * come up again it is known again. `'lost'`: not because somebody wanted it, so that what was read
   * there stays suspect until any connection stands.
   */
  leaveSession(session: TrackingSession, how: 'closed' | 'lost' = 'closed'): void {
    session.dispatch({ is: 'disconnected' }); // guard: I4
    if (!this.#sessions.delete(session)) return;
    if (how === 'closed') this.#store.dropSuspects(({ owner }) => owner === session); // guard: I4
    this.#counters.reconnects += session.takeReconnects();
    this.#counters.silences += session.takeSilences();
    if (this.#stopgap === session) this.#stopgap = undefined;
    if (this.#first !== session) return;
    const others = [...this.#sessions];
    this.#first = others.find((each) => !this.#isUnused(each)) ?? this.#stopgap;
  }

  /** A read before the first connection must not keep that one from the first place. */
  #isUnused(session: TrackingSession): boolean {
    return session === this.#stopgap && session.state.generation === 0;
  }

  /** The connection is gone for good: drops what was read there and forgets it. */
  closeSession(session: TrackingSession): void {
    session.dispatch({ is: 'close' }); // guard: I14
    this.leaveSession(session);
    // It may have been left before.
    this.#store.dropSuspects(({ owner }) => owner === session); // guard: I4
  }

  /** The best state that any connection is in; `down` if there is none. */
  get state(): TrackingState['is'] {
    return this.#best()?.is ?? (this.#isClosed ? 'closed' : 'down');
  }

  #best(): TrackingState | undefined {
    let best: TrackingState | undefined;
    for (const { state } of this.#sessions)
      if (best === undefined || STATES.indexOf(state.is) < STATES.indexOf(best.is)) best = state;
    return best;
  }

  /**
   * The local copy of `key`, if there is one that may be served: its value, or with `rest` the reply
   * of that command. Synchronous; no promise, no I/O.
   */
  lookup(key: string, rest = ''): Entry | undefined {
    return this.#served(this.#store.find(key, rest));
  }

  /**
   * What was read of `key` before its connection was lost, for whoever can neither ask Redis nor anybody
   * else: it may be outdated for as long as that connection is down. Never what was invalidated, or is
   * past its own time, and nothing once the connection is tracked again. Counts as no use. Synchronous.
   */
  suspect(key: string, rest = ''): Entry | undefined {
    const entry = this.#store.find(key, rest);
    return entry?.isSuspect(this.clock.nowMs()) === true ? entry : undefined; // guard: I4
  }

  /** The reply of a command of several keys, if there is a copy that may be served. Synchronous. */
  lookupReply(signature: string): Entry | undefined {
    return this.#served(this.#store.findReply(signature));
  }

  /** Whether this very value is what a look-up would find now. Counts as no use. */
  holds(key: string, rest: string, value: unknown): boolean {
    const entry = this.#store.find(key, rest);
    return entry !== undefined && entry.value === value && entry.serves(this.clock.nowMs());
  }

  #served(entry: Entry | undefined): Entry | undefined {
    if (entry !== undefined) {
      const nowMs = this.clock.nowMs();
      if (entry.serves(nowMs)) {
        this.#counters.hits += 1;
        this.#store.used(entry);
        return entry;
      }
      // One whose connection is silent stays: it may be heard again.
      if (entry.deadlineAtMs <= nowMs) this.#store.delete(entry, 'ttl'); // guard: I12
    }
    this.#counters.misses += 1;
    return undefined;
  }

  /**
   * Answers the reply of a command from here, or has it fetched once for all who ask meanwhile.
   *
   * `keys`: every key the reply depends on. `signature`: the whole command, so that two commands
   * with the same signature have the same reply; it may hold any character. `fetch` sends and says
   * how long what came back may be kept. What it throws reaches every caller that joined.
   */
  read<V>(
    keys: readonly string[],
    signature: string,
    fetch: () => Promise<Fetched<V>>,
    options: ReadOptions = {},
  ): Promise<V> {
    const { session, rest } = options;
    const entry =
      rest === undefined ? this.lookupReply(signature) : this.lookup(keys[0] as string, rest);
    if (entry !== undefined) return Promise.resolve(entry.value as V);
    const joined = this.join<V>(signature);
    if (joined !== undefined) return joined;
    const leading = this.lead<V>(keys, signature, session, rest);
    try {
      fetch().then(
        (fetched) => leading.arrived(fetched),
        (error) => leading.failed(error),
      );
    } catch (error) {
      leading.failed(error);
    }
    return leading.promise;
  }

  /**
   * The fetch of this very command that is under way, if there is one that may be joined (I1): what it
   * answers is to be no older than a hit.
   */
  join<V>(signature: string): Promise<V> | undefined {
    const load = this.#flights.joinable(signature);
    if (load === undefined) return undefined;
    const { source, line, openedAtMs } = load.guard;
    const nowMs = this.clock.nowMs();
    const isHeard = source !== undefined && nowMs < source.servesUntilMs;
    if (!isHeard && nowMs >= openedAtMs + line.rules.maxStalenessMs) return undefined; // guard: I4
    this.#counters.coalesced += 1;
    return load.join() as Promise<V>;
  }

  /**
   * As {@link read} for whoever has looked already and found nothing to {@link join}: send the command
   * now, and say what came of it. `rest` and `session`: see {@link ReadOptions}.
   */
  lead<V>(
    keys: readonly string[],
    signature: string,
    session: TrackingSession = this.session,
    rest?: string,
  ): Leading<V> {
    this.#counters.loads += 1;
    return this.#begin({ keys, signature, rest }, session) as Leading<unknown> as Leading<V>;
  }

  #begin(place: Place, session: TrackingSession): Load {
    const load = this.#flights.begin(new Load(this.#flights, place, this.#ends));
    return load.guardedBy(this.guard(place.keys, load, session));
  }

  readonly #ends: LoadEnd = {
    arrived: (load, fetched) => {
      const nowMs = this.clock.nowMs();
      this.#counters.loadMs += nowMs - load.guard.openedAtMs;
      try {
        this.#land(load, fetched, nowMs);
      } catch (error) {
        this.#ends.failed(load, error);
      }
    },
    failed: (load, error) => {
      this.#counters.failedLoads += 1;
      this.#fail(load, error);
    },
  };

  #land(load: Load, fetched: Fetched<unknown>, nowMs: number): void {
    const { value, cache } = fetched;
    if (cache === 'uncacheable') this.release(load.guard);
    else this.#fill(load.guard, load, value, cache, nowMs);
    load.landWith(fetched);
  }

  #fail(load: Load, error: unknown): void {
    this.release(load.guard); // guard: I12
    load.fail(error);
  }

  /**
   * As {@link read} for several keys at once, each by itself, and looked for already: one that is being
   * fetched is joined, the others are fetched together. `fetch` is given the positions of those and
   * answers for each of them, in that order. Answers a promise for each key.
   */
  loadMany<V>(
    wanted: readonly { readonly key: string; readonly signature: string; readonly rest: string }[],
    fetch: (positions: readonly number[]) => Promise<readonly Fetched<V>[]>,
    session: TrackingSession = this.session,
  ): Promise<V>[] {
    const led: Load[] = [];
    const positions: number[] = [];
    const promises = wanted.map(({ key, signature, rest }, position) => {
      const joined = this.join<V>(signature);
      if (joined !== undefined) return joined;
      const load = this.#begin({ keys: [key], signature, rest }, session);
      led.push(load);
      positions.push(position);
      return load.promise as Promise<V>;
    });
    if (led.length > 0) void this.#fetchAll(led, () => fetch(positions));
    return promises;
  }

  async #fetchAll(
    led: readonly Load[],
    fetch: () => Promise<readonly Fetched<unknown>[]>,
  ): Promise<void> {
    const startMs = this.clock.nowMs();
    this.#counters.loads += 1;
    try {
      const fetched = await fetch();
      const nowMs = this.clock.nowMs();
      this.#counters.loadMs += nowMs - startMs;
      for (const [i, load] of led.entries())
        this.#land(load, fetched[i] as Fetched<unknown>, nowMs);
    } catch (error) {
      this.#counters.failedLoads += 1;
      for (const load of led) this.#fail(load, error);
    }
  }

  /**
   * Watches `keys` from now on; call it before the command is sent. End it with {@link fill} or
   * {@link release}. `onBroken` runs synchronously and before any waiter: once at the first
   * invalidation of a key (`'push'`), once at the first flush, lost connection or own write
   * (`'severed'`). `session`: the connection that the command is sent on; left out: the first one.
   * Where that one is not tracked, while a write of ours to a key is under way, for keys that a
   * broadcast mode leaves out, for a key that is no well-formed text, and without any key the guard
   * is `severed` from the start.
   */
  guard(
    keys: readonly string[],
    onBroken?: OnBroken | BreakListener,
    session: TrackingSession = this.session,
  ): Guard {
    const { source } = session;
    const severed =
      source === undefined || // guard: I1
      keys.length === 0 || // guard: I2
      this.#guards.isFenced(keys) || // guard: I6
      !session.covers(keys) || // guard: I2
      !keys.every(isWellFormed);
    const guard = new Guard({
      keys,
      openedAtMs: this.clock.nowMs(),
      line: session,
      severed,
      listener: typeof onBroken === 'function' ? { broken: onBroken } : onBroken,
    });
    this.#guards.open(guard); // guard: I2
    this.#watch();
    return guard;
  }

  /** Somebody depends on the connections from now on. */
  #watch(): void {
    if (!this.#isResting) return;
    this.#isResting = false;
    for (const session of this.#sessions) session.watch();
  }

  /** Whether any guard is open. */
  get isGuarding(): boolean {
    return this.#guards.size > 0;
  }

  /**
   * Says that a command of these keys is being sent on this connection, for a host that chooses among
   * several: what it reads is tracked there, so guards of the keys that name another are severed (I2).
   * `session` undefined: on none where changes would be pushed.
   */
  sentOn(keys: readonly string[], session: TrackingSession | undefined): void {
    for (const key of keys) this.#guards.severOthers(key, session); // guard: I2
  }

  release(guard: Guard): void {
    this.#guards.close(guard);
  }

  /**
   * Stores the value of `key`, which must be the guard's only key, and closes the guard. Answers
   * whether it was stored: not if anything happened to the key since the guard was opened (I2), nor
   * if no time is left. `rest`: what of the key it is, see {@link lookup}.
   */
  fill(guard: Guard, key: string, value: unknown, filling: Filling, rest = ''): boolean {
    const place = { keys: [key], signature: '', rest };
    return this.#fill(guard, place, value, filling, this.clock.nowMs());
  }

  #fill(guard: Guard, place: Place, value: unknown, filling: Filling, nowMs: number): boolean {
    const entry = this.#guards.close(guard)
      ? this.#entry(guard, place, value, filling, nowMs)
      : undefined;
    const stored = entry !== undefined && this.#store.add(entry);
    if (stored) this.#counters.fills += 1;
    else this.#counters.refusedFills += 1;
    return stored;
  }

  /** What is to be stored; nothing if it may be outdated already, or nobody would say when it is. */
  #entry(
    guard: Guard,
    { keys, signature, rest }: Place,
    value: unknown,
    filling: Filling,
    nowMs: number,
  ): Entry | undefined {
    const { line, source } = guard;
    // It was answered on the connection it was sent on, and that one is tracked.
    if (source === undefined || source !== line.source || !source.tracked) return undefined; // guard: I2, T1
    line.heard(source, guard.openedAtMs);
    const countsEchoes = filling.by === 'own-write' && line.echoesWrites;
    if (countsEchoes ? !guard.intactButForEcho : !guard.intact) return undefined; // guard: I2
    const deadlineAtMs = guard.openedAtMs + Math.min(this.#timeLeftMs(filling), source.maxAgeMs);
    if (!(deadlineAtMs > nowMs)) return undefined; // guard: I3
    const key = rest === undefined ? signature : (keys[0] as string);
    return new Entry({
      kind: filling.kind,
      value,
      deadlineAtMs,
      source,
      key,
      rest: rest ?? '',
      keys: rest === undefined ? keys : undefined,
      bytes: key.length + (rest?.length ?? 0) + filling.valueBytes + overheadBytes(keys.length),
      echoes: countsEchoes ? 1 - guard.pushes : 0,
    });
  }

  #timeLeftMs({ kind, remaining }: Filling): number {
    const longestMs = kind === 'present' ? this.#ttlMs : this.#negativeTtlMs;
    const leftMs = remaining === 'none' ? longestMs : Math.min(remaining, longestMs);
    return this.#ttlJitter === 0 ? leftMs : leftMs * (1 - this.#ttlJitter * Math.random());
  }

  /**
   * Says that a write of ours to `keys` is about to be sent: drops them, lets later callers start
   * anew, and refuses every fill of them until {@link Fence.settle} is called after the reply (I6).
   * A fence that is never settled keeps its keys out of the cache: right for an unknown outcome.
   */
  fence(keys: readonly string[]): Fence {
    for (const key of keys) {
      this.#guards.fence(key); // guard: I6
      this.#store.invalidate(key, 'own-write'); // guard: I6
    }
    let open = true;
    return {
      settle: () => {
        if (!open) return; // guard: I6
        open = false;
        for (const key of keys) {
          this.#guards.unfence(key); // guard: I12
          this.#store.invalidate(key, 'own-write');
        }
      },
    };
  }

  /**
   * Says that a write of ours to `keys` was just sent, or just answered: call it at both moments (I6).
   * Drops their copies and refuses what is being fetched of them. Reads that are sent between the two
   * may be kept until the second. `'all'`: FLUSHALL and the like.
   */
  wrote(keys: readonly string[] | 'all'): void {
    if (keys === 'all') this.#hub.flush('own-write');
    else this.#hub.wrote(keys);
  }

  /**
   * What the server pushed: these keys changed, or `'all'` may have. The store goes first (I5).
   * `session`: the connection that heard it; left out, the only one, or one nobody knows.
   */
  invalidate(keys: readonly string[] | 'all', session?: TrackingSession): void {
    const line = session ?? (this.#sessions.size === 1 ? this.#first : undefined);
    line?.pushed(); // guard: I4
    if (keys === 'all') {
      this.#counters.flushes += 1;
      this.#hub.flush('flush');
      return;
    }
    this.#counters.pushes += keys.length;
    this.#hub.invalidate(keys, line);
  }

  receive(invalidation: Invalidation, session?: TrackingSession): void {
    this.invalidate(invalidation.kind === 'flush' ? 'all' : invalidation.keys, session);
  }

  /**
   * Calls `listener` after every invalidation of `key`, flush and lost connection, once the store
   * has dropped what it held. Answers how to stop it. What a listener throws is reported on
   * `redcache:callback-error`.
   */
  onInvalidation(key: string, listener: InvalidationListener): () => void {
    const stop = this.#hub.listen(key, listener);
    this.#watch();
    return stop;
  }

  /**
   * Calls `listener` whenever a connection has been found to be tracked: after each of its handshakes,
   * and so also after one that was lost. Answers how to stop it. What a listener throws is reported on
   * `redcache:callback-error`.
   */
  onTracked(listener: () => void): () => void {
    // A function of its own, so that the same listener given twice is told twice and removed once.
    const told = (): void => listener();
    this.#onTracked.add(told);
    return () => void this.#onTracked.delete(told);
  }

  stats(): CacheStats {
    const best = this.#best();
    const sessions = [...this.#sessions];
    const tracked = sessions.filter(({ source }) => source?.tracked === true);
    // Without a heartbeat of ours, or not yet, there is no age to tell.
    const heardAt = tracked.map(({ heardAtMs }) => heardAtMs).filter(Number.isFinite);
    const nowMs = this.clock.nowMs();
    const counters = this.#counters;
    return {
      state: this.state,
      ...(best !== undefined && 'reason' in best ? { reason: best.reason } : {}),
      connections: tracked.length,
      heartbeatAgeMs: Math.max(0, ...heardAt.map((heardAtMs) => nowMs - heardAtMs)),
      entries: this.#store.entries,
      bytes: this.#store.bytes,
      ...counters,
      reconnects: sessions.reduce((sum, each) => sum + each.reconnects, counters.reconnects),
      silences: sessions.reduce((sum, each) => sum + each.silences, counters.silences),
      evictions: { ...counters.evictions },
    };
  }

  /** Drops every local copy. Redis is not told. */
  clear(): void {
    this.#hub.flush('clear');
  }

  /** Drops everything for good and wakes everyone who waits. Nothing is stored afterwards. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // First, so that whoever waits is told why, and not that his connection was lost.
    this.#hub.flush('close'); // guard: I14
    for (const session of this.#sessions) session.dispatch({ is: 'close' }); // guard: I14
  }

  /** What a test may look into; no part of the public face. @internal */
  get internals(): Internals {
    return { store: this.#store, guards: this.#guards, hub: this.#hub, flights: this.#flights };
  }
}

interface Internals {
  readonly store: Store;
  readonly guards: Guards;
  readonly hub: Hub;
  readonly flights: SingleFlight<Load>;
}

/** A write of ours that is under way. */
export interface Fence {
  /** The reply is here. Harmless when called again. */
  settle(): void;
}

/** Makes an engine. Throws `ConfigError` for bad options. */
export function createTrackingCache(options?: TrackingCacheOptions): TrackingCache {
  return new TrackingCache(options);
}

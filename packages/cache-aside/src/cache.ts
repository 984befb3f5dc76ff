import {
  ClosedError,
  ConfigError,
  type Duration,
  type Entry,
  type TrackingCache,
} from '@redcache/core';
import { selectsDatabase, type TrackedWay, trackedWay } from '@redcache/core/node-redis';
import { checkKey, durationMs } from '@redcache/core/toolkit';
import { Groups } from './groups/groups.ts';
import { type Instrument, Instruments } from './instruments.ts';
import {
  type CacheOptions,
  checkTags,
  type GetOptions,
  readCacheOptions,
  readGetOptions,
  readSetOptions,
  type SetOptions,
  type Wish,
} from './options.ts';
import { jittered, type Policy, tailMs } from './policy.ts';
import type { Answer, Source } from './read/answer.ts';
import type { Copy } from './read/copy.ts';
import { judge } from './read/judgement.ts';
import { type LoadAll, type Loader, type LoadMany, loadOne, loadSeveral } from './read/loader.ts';
import { Reader } from './read/reader.ts';
import { Keyspace } from './redis/keyspace.ts';
import { type CacheAsideStats, Counters } from './stats.ts';
import { type Encoded, ValueFormat } from './value.ts';
import { FencedWrites } from './write/fenced-writes.ts';
import { UncertainKeys } from './write/uncertain.ts';
import { throwFor, Writer } from './write/writer.ts';

/** What {@link Cache.peek} answers. A known absence is a hit whose value is `undefined`. */
export type Peeked<V> =
  | { readonly hit: true; readonly value: V | undefined }
  | { readonly hit: false };

/** What {@link Cache.getEntry} answers. */
export interface Found<V> {
  /** `undefined` for a key that is absent. */
  readonly value: V | undefined;
  readonly source: Source;
  /** Since it was written, in milliseconds. */
  readonly ageMs: number;
  /** For how long it is fresh yet; 0 for one that has aged, or was not stored. */
  readonly remainingMs: number;
}

/**
 * Values with loaders, in Redis and in every process that reads them: one loader per key across the
 * fleet, and every local copy gone the moment the key changes.
 */
export class Cache {
  readonly #policy: Policy;
  readonly #prefix: string;
  readonly #engine: TrackingCache;
  readonly #way: TrackedWay;
  readonly #keyspace: Keyspace;
  readonly #groups: Groups;
  readonly #format: ValueFormat;
  readonly #counters = new Counters();
  readonly #instruments: Instruments;
  readonly #uncertain: UncertainKeys;
  readonly #reader: Reader;
  readonly #writer: Writer;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: CacheOptions) {
    const settings = readCacheOptions(options);
    const { client, clock, prefix, redisMs } = settings;
    const way = trackedWay(client);
    if (!way.covers(prefix)) {
      way.close();
      throw new ConfigError(
        `createCache: changes of keys that begin with '${prefix}' are not pushed in this broadcast mode`,
      );
    }
    const { engine } = way;
    const counters = this.#counters;
    const instruments = new Instruments(engine.clock);
    const hasSlots = !selectsDatabase(client);
    const keyspace = new Keyspace({ ...way, hasSlots }, clock, redisMs);
    const uncertain = new UncertainKeys(keyspace, clock);
    const writes = new FencedWrites({ engine, keyspace, uncertain, counters });
    const groups = new Groups({ engine, redis: keyspace, writes, prefix });
    this.#policy = settings.policy;
    this.#prefix = prefix;
    this.#instruments = instruments;
    this.#engine = engine;
    this.#way = way;
    this.#keyspace = keyspace;
    this.#groups = groups;
    this.#format = new ValueFormat(settings.format);
    this.#uncertain = uncertain;
    const { maxLoadsWithoutRedis } = settings;
    const shared = { engine, keyspace, groups, uncertain, counters, instruments };
    this.#reader = new Reader({ ...shared, maxLoadsWithoutRedis });
    this.#writer = new Writer({ writes, keyspace, counters, prefix });
  }

  /**
   * The value of `key`: from this process, from Redis, or from `loader`, which runs once for all who
   * ask meanwhile in any process. Without a loader a key that Redis does not hold is `undefined`.
   * Callers who join a load get what its first caller's options say.
   *
   * Sends: nothing for a local copy. `GET` and `PTTL` for what Redis holds. To load also EVALSHA
   * `acquire` and EVALSHA `fill`. For tags that are not known here another round trip.
   * Resolves: the value as it comes back from its codec, `undefined` for an absent key.
   * Throws: the loader's own error, the same instance for all who waited; `LoadTimeoutError`;
   * `UnavailableError` with `onUnavailable: 'throw'`; `CodecError`; `ConfigError`; `ClosedError`.
   * Abort: rejects this caller with `signal.reason`; the load is aborted when all its callers left.
   */
  get<V>(key: string, loader?: Loader<V>, options?: GetOptions<V>): Promise<V | undefined> {
    // The hot path: no options are looked at, nothing but the promise is made.
    if (options === undefined && !this.#isClosed && typeof key === 'string') {
      const entry = this.#engine.lookup(this.#prefix === '' ? key : this.#prefix + key);
      if (entry !== undefined) {
        const copy = entry.value as Copy;
        if (copy.isPlain && copy.epoch >= this.#groups.clearedIn) {
          if (entry.kind === 'present') this.#counters.localHits += 1;
          else this.#counters.negativeHits += 1;
          return Promise.resolve(this.#format.handOut(copy.value) as V);
        }
      }
    }
    return this.#get(key, loader, options);
  }

  async #get<V>(
    key: string,
    loader: Loader<V> | undefined,
    options: GetOptions<V> | undefined,
  ): Promise<V | undefined> {
    const { value } = await this.#find('get', key, loader, options);
    return this.#format.handOut(value) as V | undefined;
  }

  /** As {@link get}, and where the value came from, how old it is and how long it is fresh. */
  async getEntry<V>(key: string, loader?: Loader<V>, options?: GetOptions<V>): Promise<Found<V>> {
    const { value, source, copy } = await this.#find('getEntry', key, loader, options);
    const nowMs = this.#engine.clock.nowMs();
    return {
      value: this.#format.handOut(value) as V | undefined,
      source,
      ageMs: copy?.ageMs(nowMs) ?? 0,
      remainingMs: copy === undefined ? 0 : Math.max(0, copy.freshUntilMs - nowMs),
    };
  }

  async #find<V>(
    where: string,
    key: string,
    loader: Loader<V> | undefined,
    options: GetOptions<V> | undefined,
  ): Promise<Answer> {
    this.#check(where, [key]);
    checkFunction(where, 'loader', loader);
    const wish = readGetOptions(where, options, this.#policy);
    const load: LoadAll | undefined = loader && loadOne(loader);
    const wanted = { name: key, key: this.#prefix + key };
    wish.signal?.throwIfAborted();
    const local = this.#lookUp(wanted, load, wish);
    if (local !== undefined) return { value: local.value, source: 'local', copy: local };
    const [answer] = await this.#reader.read([wanted], { load, format: this.#format, wish });
    return answer as Answer;
  }

  /** The local copy, if it may be served; loads it anew behind if its time has come. */
  #lookUp(
    wanted: { readonly name: string; readonly key: string },
    load: LoadAll | undefined,
    wish: Wish,
  ): Copy | undefined {
    if (wish.refresh && load !== undefined) return undefined;
    const entry = this.#engine.lookup(wanted.key);
    if (entry === undefined) return undefined;
    const copy = entry.value as Copy;
    const { policy } = wish;
    if (this.#groups.standing(copy) !== 'current') return undefined;
    const judgement = judge(copy, policy, this.#engine.clock.nowMs(), Math.random());
    switch (judgement) {
      case 'fresh':
        return this.#hit(entry, copy);
      case 'early':
      case 'hot':
        this.#reader.refresh(wanted, copy, { load, format: this.#format, wish }, judgement);
        return this.#hit(entry, copy);
      case 'grace':
        if (load !== undefined && (policy.softMs > 0 || copy.id === '')) return undefined;
        this.#reader.refresh(wanted, copy, { load, format: this.#format, wish }, 'grace');
        this.#counters.staleHits += 1;
        return copy;
      default:
        return undefined;
    }
  }

  #hit(entry: Entry, copy: Copy): Copy {
    if (entry.kind === 'present') this.#counters.localHits += 1;
    else this.#counters.negativeHits += 1;
    return copy;
  }

  /**
   * The values of many keys; keys that are absent are left out. The order is that of `keys`, each
   * once. `loadMany` is called once, with all keys that nobody else holds or is loading; a key it
   * leaves out is absent.
   *
   * Sends: nothing for local copies; one `MGET` for every 500 others, and `PTTL` for each (in a cluster
   * `GET` and `PTTL`); to load EVALSHA `acquire` and `fill` for each key, pipelined.
   * Throws and Abort: as {@link get}; the first error of any key.
   */
  async getMany<V>(
    keys: readonly string[],
    loadMany?: LoadMany<V>,
    options?: GetOptions<V>,
  ): Promise<Map<string, V>> {
    this.#check('getMany', checkedList('getMany', keys));
    checkFunction('getMany', 'loadMany', loadMany);
    const wish = readGetOptions('getMany', options, this.#policy);
    const load: LoadAll | undefined = loadMany && loadSeveral(loadMany);
    const values = new Map<string, unknown>();
    const wanted: { name: string; key: string }[] = [];
    for (const name of keys) {
      if (values.has(name)) continue;
      const one = { name, key: this.#prefix + name };
      const copy = this.#lookUp(one, load, wish);
      if (copy === undefined) wanted.push(one);
      values.set(name, copy?.value);
    }
    if (wanted.length > 0) {
      const read = await this.#reader.read(wanted, { load, format: this.#format, wish });
      for (const [i, { name }] of wanted.entries()) values.set(name, read[i]?.value);
    }
    const found = new Map<string, V>();
    for (const [name, value] of values)
      if (value !== undefined) found.set(name, this.#format.handOut(value) as V);
    return found;
  }

  /**
   * What this process holds of `key` and would serve, without waiting and without asking anyone.
   *
   * Throws: `ConfigError` for a bad key, `ClosedError`.
   */
  peek<V>(key: string): Peeked<V> {
    this.#check('peek', [key]);
    const entry = this.#engine.lookup(this.#prefix + key);
    const copy = entry?.value as Copy | undefined;
    if (copy === undefined || this.#groups.standing(copy) !== 'current') return { hit: false };
    const leftMs = copy.freshUntilMs - this.#engine.clock.nowMs();
    if (leftMs <= -this.#policy.graceMs) return { hit: false };
    return { hit: true, value: this.#format.handOut(copy.value) as V | undefined };
  }

  /**
   * Writes a value unconditionally. `undefined` records that the key is absent, for `negativeTtl`
   * unless `ttl` is given. A load under way anywhere is not stored.
   *
   * Sends: `SET key envelope PX ttl`, and EVALSHA `keep-epoch` for each tag.
   * Throws: `OutcomeUnknownError` if it went unanswered: the key is then deleted as soon as Redis
   * answers again; the server's error if it refused; `CodecError`, `ConfigError`, `ClosedError`.
   */
  async set<V>(key: string, value: V, options?: SetOptions<V>): Promise<void> {
    this.#check('set', [key]);
    await this.#set('set', key, value, options);
  }

  /**
   * Writes many values, as {@link set} does, each by itself.
   *
   * Throws: `BatchError` saying which keys failed, and why; otherwise as {@link set}.
   */
  async setMany<V>(
    entries: Iterable<readonly [string, V]>,
    options?: SetOptions<V>,
  ): Promise<void> {
    const values = new Map(entries);
    const names = [...values.keys()];
    this.#check('setMany', names);
    readSetOptions('setMany', options, this.#policy);
    await this.#each(names, (name) => this.#set('setMany', name, values.get(name) as V, options));
  }

  async #set<V>(
    where: string,
    key: string,
    value: V,
    options: SetOptions<V> | undefined,
  ): Promise<void> {
    const { policy, tags, ttlMs } = readSetOptions(where, options, this.#policy);
    const isAbsent = value === undefined;
    const freshMs = jittered(ttlMs ?? (isAbsent ? policy.negativeTtlMs : policy.ttlMs), policy);
    const answered = typeof tags === 'function' ? tags(value as never) : (tags ?? []);
    const member = {
      epoch: await this.#groups.now(),
      tags: isAbsent ? [] : checkTags(answered, `${where}: tags`),
    };
    const facts = { ttlMs: freshMs, tailMs: isAbsent ? 0 : tailMs(policy), loadMs: 0, ...member };
    const encoding = this.#format.encode(value, key, facts);
    const { envelope, header }: Encoded = encoding instanceof Promise ? await encoding : encoding;
    const keptMs = header.ttlMs + header.tailMs;
    await Promise.all([
      this.#writer.set(key, envelope, keptMs),
      // Without it the value counts as outdated at its first look.
      this.#groups.keep(member, keptMs).catch(() => {}),
    ]);
    this.#reader.wrote(this.#prefix + key);
  }

  /**
   * Deletes the key everywhere. Once it has resolved no read in this process answers the old value,
   * and no other process does after its push has arrived.
   *
   * Sends: `DEL`.
   * Throws: `OutcomeUnknownError` if it went unanswered: it is repeated as soon as Redis answers, and
   * until then nothing of the key is kept here.
   */
  async delete(key: string): Promise<void> {
    this.#check('delete', [key]);
    await this.#delete([key]);
  }

  /**
   * Deletes many keys.
   *
   * Sends: `DEL` with up to 500 keys at a time, pipelined; in a cluster one for each key. Atomic: each
   * command by itself.
   * Throws: `BatchError` saying which keys failed, and why; otherwise as {@link delete}.
   */
  async deleteMany(keys: readonly string[]): Promise<void> {
    this.#check('deleteMany', checkedList('deleteMany', keys));
    if (keys.length > 0) await this.#delete([...new Set(keys)]);
  }

  async #delete(names: readonly string[]): Promise<void> {
    await this.#writer.delete(names);
    for (const name of names) this.#reader.wrote(this.#prefix + name);
  }

  /**
   * Lets the value be fresh for `ttl` from now on. Resolves whether there was one.
   *
   * Sends: EVALSHA `touch` (1 key). Atomic. Every process reads the value anew.
   * Throws: `OutcomeUnknownError` if it went unanswered, as {@link delete}.
   */
  async touch(key: string, ttl: Duration): Promise<boolean> {
    this.#check('touch', [key]);
    return this.#writer.touch(key, durationMs(ttl, 'touch: ttl'));
  }

  /**
   * As {@link touch}, for many. Resolves: the keys of those that were there.
   *
   * Throws: `BatchError` saying which keys failed, and why.
   */
  async touchMany(keys: readonly string[], ttl: Duration): Promise<Set<string>> {
    this.#check('touchMany', checkedList('touchMany', keys));
    const ttlMs = durationMs(ttl, 'touchMany: ttl');
    const touched = new Set<string>();
    await this.#each([...new Set(keys)], async (name) => {
      if (await this.#writer.touch(name, ttlMs)) touched.add(name);
    });
    return touched;
  }

  /**
   * Lets the value be stale from now on, but keeps it for as long as it may be served stale: for
   * `grace` and `staleIfError` as they were when it was written. Without them it is deleted. Resolves
   * whether there was one.
   *
   * Sends: EVALSHA `expire` (1 key). Atomic.
   * Throws: `OutcomeUnknownError` if it went unanswered, as {@link delete}.
   */
  async expire(key: string): Promise<boolean> {
    this.#check('expire', [key]);
    return this.#writer.expire(key);
  }

  /**
   * Makes every value stale that was stored with this tag, whatever its grace, also what is being
   * loaded just now. Once it has resolved no read in this process answers one of them, and no other
   * process does after its push has arrived.
   *
   * Sends: EVALSHA `next-epoch` (1 key), then EVALSHA `raise-epoch` (1 key), however many values there
   * are. Atomic: each by itself.
   * Throws: `OutcomeUnknownError` if that went unanswered: the tag is forgotten as soon as Redis answers
   * again, which makes its values stale as well.
   */
  async invalidateTag(tag: string): Promise<void> {
    this.#check('invalidateTag', []);
    checkTags([tag], 'invalidateTag');
    await this.#groups.invalidateTag(tag, this.#policy.ttlMs + tailMs(this.#policy));
  }

  /**
   * As {@link invalidateTag}, for every value of the namespace. What stands in Redis stays until it ends,
   * and is replaced when it is asked for.
   */
  async clear(): Promise<void> {
    this.#check('clear', []);
    await this.#groups.clear();
  }

  stats(): CacheAsideStats {
    return { ...this.#counters.stats(), uncertainKeys: this.#uncertain.size };
  }

  /**
   * Lets metrics or traces of your own follow the loads and waits of this cache; see `docs/observability.md`
   * for what `@redcache/cache-aside/otel` makes of them. Answers a function that takes it away.
   *
   * Throws: `ConfigError`.
   */
  instrument(instrument: Instrument): () => void {
    return this.#instruments.add(instrument);
  }

  /**
   * Ends every call under way with `ClosedError`, aborts loaders, gives their leases back, and leaves
   * no timer and no listener. The client stays open: it is its owner's. Idempotent.
   */
  close(): Promise<void> {
    // First of all: a loader that is told to stop may ask for more.
    this.#isClosed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#reader.close(new ClosedError('the cache was closed'));
    this.#groups.close();
    this.#uncertain.close();
    this.#keyspace.close();
    this.#way.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Does something for each key; what fails for one keeps it from no other. */
  async #each(names: readonly string[], act: (name: string) => Promise<void>): Promise<void> {
    const outcomes = await Promise.allSettled(names.map(act));
    const errors = new Map<string, unknown>();
    for (const [i, outcome] of outcomes.entries())
      if (outcome.status === 'rejected') errors.set(names[i] as string, outcome.reason);
    throwFor(names, errors);
  }

  #check(method: string, keys: readonly unknown[]): void {
    if (this.#isClosed) throw new ClosedError(`${method}: the cache is closed`);
    for (const key of keys) checkKey(key, method);
  }
}

/**
 * A cache over a client, pool, cluster or sentinel made with `clientSideCache: clientSideCache()`.
 *
 * Throws: `ConfigError` for unknown or bad options, for a client that has no redcache or whose mode does
 * not push what the cache has to hear.
 */
export function createCache(options: CacheOptions): Cache {
  return new Cache(options);
}

function checkedList(method: string, keys: unknown): readonly string[] {
  if (!Array.isArray(keys)) throw new ConfigError(`${method}: keys must be an array of strings`);
  return keys;
}

function checkFunction(method: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function')
    throw new ConfigError(`${method}: ${name} must be a function`);
}

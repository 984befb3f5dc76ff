import { ClosedError, ConfigError, type Duration } from '@redcache/core';
import { selectsDatabase, type TrackedWay, trackedWay } from '@redcache/core/node-redis';
import { checkKey, durationMs } from '@redcache/core/toolkit';
import { createLocks } from '@redcache/locks';
import { Family } from './family/family.ts';
import {
  type FamilyOptions,
  type FamilyRules,
  type KeyNeeded,
  readFamilyOptions,
  type SchemaFamilyOptions,
} from './family/family-options.ts';
import type { Found, Peeked } from './found.ts';
import { Groups } from './groups/groups.ts';
import { type Instrument, Instruments } from './instruments.ts';
import {
  type CacheOptions,
  checkTags,
  type GetOptions,
  readCacheOptions,
  type SetOptions,
  type Settings,
  type WriteOptions,
} from './options.ts';
import { tailMs } from './policy.ts';
import { type Loader, type LoadMany, loadOne, loadSeveral } from './read/loader.ts';
import { Reader, type Wanted } from './read/reader.ts';
import { Keyspace } from './redis/keyspace.ts';
import type { Schema, SchemaInput, SchemaOutput } from './schema.ts';
import { Shelf, type ShelfGround, type ShelfLoad } from './shelf.ts';
import { type CacheAsideStats, Counters, sumOf } from './stats.ts';
import { ValueFormat } from './value.ts';
import type { Keys } from './warm/key-source.ts';
import type { WarmOptions } from './warm/options.ts';
import type { WarmProgress } from './warm/progress.ts';
import { FencedWrites } from './write/fenced-writes.ts';
import { UncertainKeys } from './write/uncertain.ts';
import { WriteOrder } from './write/write-order.ts';
import {
  type ManyWriter,
  type ValueWriter,
  WriteThrough,
  writeOne,
  writeSeveral,
} from './write/write-through.ts';

/** A family, and the options that answer it again. */
interface Defined {
  readonly options: unknown;
  readonly family: unknown;
  readonly shelf: Shelf;
}

/**
 * Values with loaders, in Redis and in every process that reads them: one loader per key across the
 * fleet, and every local copy gone the moment the key changes.
 */
export class Cache {
  readonly #way: TrackedWay;
  readonly #keyspace: Keyspace;
  readonly #groups: Groups;
  readonly #uncertain: UncertainKeys;
  readonly #reader: Reader;
  readonly #instruments: Instruments;
  readonly #ground: ShelfGround;
  readonly #writeThrough: WriteThrough;
  readonly #settings: Settings;
  /** Of the values that belong to no family. */
  readonly #shelf: Shelf;
  readonly #families = new Map<string, Defined>();
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
    const hasSlots = !selectsDatabase(client);
    const keyspace = new Keyspace({ ...way, hasSlots }, clock, redisMs);
    const uncertain = new UncertainKeys(keyspace, clock);
    const counters = new Counters();
    const writes = new FencedWrites({ engine, keyspace, uncertain, counters });
    const groups = new Groups({
      ...{ engine, redis: keyspace, writes, prefix },
      isUncertain: (key) => uncertain.has(key),
      onInvalidated: () => reader.detachAll(),
    });
    const { maxLoadsWithoutRedis, policy } = settings;
    const instruments = new Instruments(engine.clock);
    const shared = { engine, keyspace, groups, uncertain };
    const reader = new Reader({ ...shared, instruments, maxLoadsWithoutRedis });
    const format = new ValueFormat(settings.format);
    this.#way = way;
    this.#keyspace = keyspace;
    this.#groups = groups;
    this.#uncertain = uncertain;
    this.#reader = reader;
    this.#instruments = instruments;
    this.#settings = settings;
    this.#writeThrough = new WriteThrough({
      ...{ keyspace, groups, prefix, clock, redisMs },
      makeLocks: () => createLocks({ client, prefix: '', commandTimeout: redisMs, clock }),
      onWritten: (key) => reader.wrote(key),
    });
    const order = new WriteOrder(keyspace.gate);
    const writing = { order, writeThrough: this.#writeThrough };
    this.#ground = { ...shared, reader, ...writing, prefix };
    this.#shelf = new Shelf(this.#ground, { policy, format, tags: undefined, counters });
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
    if (options === undefined && typeof key === 'string') {
      const shelf = this.#shelf;
      const value = shelf.plain(shelf.keyOf(key));
      if (value !== undefined) return value as Promise<V | undefined>;
    }
    return this.#get(key, loader, options);
  }

  async #get<V>(
    key: string,
    loader: Loader<V> | undefined,
    options: GetOptions<V> | undefined,
  ): Promise<V | undefined> {
    const wanted = this.#wanted('get', key);
    const { value } = await this.#shelf.find('get', wanted, one('get', loader), options);
    return this.#shelf.handOut(value) as V | undefined;
  }

  /** As {@link get}, and where the value came from, how old it is and how long it is fresh. */
  async getEntry<V>(key: string, loader?: Loader<V>, options?: GetOptions<V>): Promise<Found<V>> {
    const wanted = this.#wanted('getEntry', key);
    return this.#shelf.findEntry('getEntry', wanted, one('getEntry', loader), options);
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
    const load = { load: loadMany && loadSeveral(loadMany), apart: false };
    const kept = await this.#shelf.findMany('getMany', keys, load, options);
    const found = new Map<string, V>();
    for (const [name, value] of kept)
      if (value !== undefined) found.set(name, this.#shelf.handOut(value) as V);
    return found;
  }

  /**
   * Loads many keys before anyone asks for them, some batches at a time. The source of the keys is read
   * no faster than batches finish. Keys that are there are skipped, so a run that was ended goes on where
   * it stopped if it is begun anew. Values go to Redis; unless `localTtl` is given no copies stay here.
   *
   * Sends: as {@link getMany}, for each batch.
   * Resolves: how many keys were loaded and skipped.
   * Throws: `WarmError` if keys failed, at the end; what the source throws; `ConfigError`; `ClosedError`.
   * Abort: rejects with `signal.reason` at once; running loads are aborted, and the source is given back.
   */
  async warm<V>(
    keys: Keys,
    loadMany: LoadMany<V>,
    options?: WarmOptions<V>,
  ): Promise<WarmProgress> {
    this.#check('warm', []);
    if (typeof loadMany !== 'function') throw new ConfigError('warm: loadMany must be a function');
    const load = loadSeveral(loadMany);
    return this.#shelf.warm({ source: keys, apart: false, loadOf: () => load }, options);
  }

  /**
   * What this process holds of `key` and would serve, without waiting and without asking anyone.
   *
   * Throws: `ConfigError` for a bad key, `ClosedError`.
   */
  peek<V>(key: string): Peeked<V> {
    this.#check('peek', [key]);
    return this.#shelf.peek(this.#shelf.keyOf(key));
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
    await this.#shelf.set('set', key, value, options);
  }

  /**
   * Writes many values, as {@link set} does, each by itself.
   *
   * Sends: `SET` for each key, and EVALSHA `keep-epoch` for each tag, however many values carry it.
   * Throws: `BatchError` saying which keys failed, and why; otherwise as {@link set}.
   */
  async setMany<V>(
    entries: Iterable<readonly [string, V]>,
    options?: SetOptions<V>,
  ): Promise<void> {
    const values = new Map(entries);
    this.#check('setMany', [...values.keys()]);
    await this.#shelf.setMany('setMany', values, options);
  }

  /**
   * Writes through: takes the lock of the key, calls `writer`, which writes the source of truth and
   * answers the value that is there now, and stores that. One writer of a key runs at a time across the
   * fleet. No value in Redis is touched before it has succeeded: if it fails, the value and the time it
   * has left stand as they are. A load or refresh that began before is not stored. If anything happens
   * to the key meanwhile, such as a delete, it is deleted instead of stored.
   *
   * Sends: what `acquire` and `release` of `@redcache/locks` do, EVALSHA `begin-write` (1 key) before and
   * EVALSHA `store-held` (2 keys) after the writer.
   * Resolves: the value as every process reads it.
   * Time: `wait` for the lock; its lease is extended while the writer runs, however long that is.
   * Throws: the writer's own error; `AcquireTimeoutError`; `UnavailableError` if there is no connection.
   * When the writer has succeeded already, each with the key deleted: `LockLostError` if the lock was no
   * longer held; `CodecError`; the server's error if it refused; `OutcomeUnknownError` as {@link set}.
   * Abort: rejects with `signal.reason`. A writer that runs already is told by `ctx.signal`; if it
   * succeeds all the same, its value is stored.
   */
  async write<V>(
    key: string,
    writer: ValueWriter<V>,
    options?: WriteOptions<V>,
  ): Promise<V | undefined> {
    this.#check('write', [key]);
    requireFunction('write', 'writer', writer);
    const values = await this.#shelf.write([key], writeOne(key, writer), options);
    return values.get(key) as V | undefined;
  }

  /**
   * As {@link write}, for many keys: `writer` is called once, with all of them, under the locks of all,
   * which are taken in the order of their names, so that two calls never wait for each other. A key it
   * leaves out of its answer is absent. Each value is stored by itself.
   *
   * Resolves: the values as every process reads them, without those that are absent.
   * Throws: `BatchError` saying which keys failed, and why, when the writer has succeeded; otherwise as
   * {@link write}.
   */
  async writeMany<V>(
    keys: readonly string[],
    writer: ManyWriter<V>,
    options?: WriteOptions<V>,
  ): Promise<Map<string, V>> {
    this.#check('writeMany', checkedList('writeMany', keys));
    requireFunction('writeMany', 'writer', writer);
    const names = [...new Set(keys)];
    const values = await this.#shelf.write(names, writeSeveral(writer), options);
    for (const [name, value] of values) if (value === undefined) values.delete(name);
    return values as Map<string, V>;
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
    await this.#shelf.delete([key]);
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
    await this.#shelf.delete([...new Set(keys)]);
  }

  /**
   * Lets the value be fresh for `ttl` from now on. Resolves whether there was one.
   *
   * Sends: EVALSHA `touch` (1 key), then EVALSHA `keep-epoch` for each tag of the value. Atomic: each by
   * itself. Every process reads the value anew.
   * Throws: `OutcomeUnknownError` if it went unanswered, as {@link delete}.
   */
  async touch(key: string, ttl: Duration): Promise<boolean> {
    this.#check('touch', [key]);
    return this.#shelf.touch(key, durationMs(ttl, 'touch: ttl'));
  }

  /**
   * As {@link touch}, for many. Resolves: the keys of those that were there.
   *
   * Throws: `BatchError` saying which keys failed, and why.
   */
  async touchMany(keys: readonly string[], ttl: Duration): Promise<Set<string>> {
    this.#check('touchMany', checkedList('touchMany', keys));
    const ttlMs = durationMs(ttl, 'touchMany: ttl');
    return this.#shelf.touchMany([...new Set(keys)], ttlMs);
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
    return this.#shelf.expire(key);
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
    const lives = this.#shelves().map(({ policy }) => policy.ttlMs + tailMs(policy));
    await this.#groups.invalidateTag(tag, Math.max(...lives));
  }

  /**
   * As {@link invalidateTag}, for every value of the namespace. What stands in Redis stays until it ends,
   * and is replaced when it is asked for.
   */
  async clear(): Promise<void> {
    this.#check('clear', []);
    await this.#groups.clear();
  }

  /**
   * Values of one kind, by ids of their own instead of keys, with a loader, a form and a policy of their
   * own. What it does not say is as in the cache. Its keys are `<name>:<key(id)>`, under the namespace;
   * nothing else should read or write them, but the cache may delete them. Sends nothing.
   *
   * The same options answer the same family.
   * Throws: `ConfigError` for bad options, and for a name that has been given to another family.
   */
  define<Id, S extends Schema>(
    options: SchemaFamilyOptions<Id, S> & KeyNeeded<Id>,
  ): Family<Id, SchemaOutput<S>, SchemaInput<S>>;
  define<Id, V>(options: FamilyOptions<Id, V> & KeyNeeded<Id>): Family<Id, V>;
  define<Id>(options: FamilyRules<Id, unknown>): Family<Id, unknown> {
    this.#check('define', []);
    const settings = readFamilyOptions(options, this.#settings);
    const { name } = settings;
    const known = this.#families.get(name);
    if (known !== undefined && known.options !== options)
      throw new ConfigError(`define: there is a family '${name}' already`);
    if (known !== undefined) return known.family as Family<Id, unknown>;
    const format = new ValueFormat(settings.format);
    const shelf = new Shelf(this.#ground, { ...settings, format, counters: new Counters() });
    const family = new Family<Id, unknown>(shelf, settings);
    this.#families.set(name, { options, family, shelf });
    return family;
  }

  /** Of all there is in this cache; what was of families once more by their names. */
  stats(): CacheAsideStats {
    const families = Object.fromEntries(
      [...this.#families].map(([name, { shelf }]) => [name, shelf.counters.stats()]),
    );
    const all = sumOf(this.#shelves().map(({ counters }) => counters));
    return { ...all, uncertainKeys: this.#uncertain.size, families };
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
   * Ends every call under way with `ClosedError`, aborts loaders and writers, gives their leases and
   * locks back, and leaves no timer and no listener. A writer that has not ended after `timeout.redis`
   * goes on by itself, and its key is deleted. The client stays open: it is its owner's. Idempotent.
   */
  close(): Promise<void> {
    // First of all: a loader that is told to stop may ask for more.
    this.#isClosed = true;
    for (const shelf of this.#shelves()) shelf.close();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new ClosedError('the cache was closed');
    await Promise.all([this.#reader.close(closed), this.#writeThrough.close(closed)]);
    this.#groups.close();
    this.#uncertain.close();
    this.#keyspace.close();
    this.#way.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #shelves(): Shelf[] {
    return [this.#shelf, ...Array.from(this.#families.values(), ({ shelf }) => shelf)];
  }

  #wanted(method: string, key: string): Wanted {
    this.#check(method, [key]);
    return { name: key, key: this.#shelf.keyOf(key) };
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

function requireFunction(method: string, name: string, value: unknown): void {
  if (value === undefined) throw new ConfigError(`${method}: there must be a ${name}`);
  checkFunction(method, name, value);
}

function checkFunction(method: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function')
    throw new ConfigError(`${method}: ${name} must be a function`);
}

function one<V>(method: string, loader: Loader<V> | undefined): ShelfLoad {
  checkFunction(method, 'loader', loader);
  return { load: loader && loadOne(loader), apart: false };
}

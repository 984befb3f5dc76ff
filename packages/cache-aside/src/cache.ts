import { ClosedError, ConfigError, type TrackingCache } from '@redcache/core';
import { assertSingle, trackedOf, trackingOf } from '@redcache/core/node-redis';
import { checkKey } from '@redcache/core/toolkit';
import {
  type CacheOptions,
  type GetOptions,
  readCacheOptions,
  readGetOptions,
  readSetOptions,
  type SetOptions,
  type Settings,
} from './options.ts';
import { type LoadAll, type Loader, type LoadMany, loadOne, loadSeveral } from './read/loader.ts';
import { Reader } from './read/reader.ts';
import { Keyspace } from './redis/keyspace.ts';
import { type CacheAsideStats, Counters } from './stats.ts';
import { TAIL_MS, ValueFormat } from './value.ts';
import { FencedWrites } from './write/fenced-writes.ts';
import { UncertainKeys } from './write/uncertain.ts';
import { Writer } from './write/writer.ts';

/** What {@link Cache.peek} answers. A known absence is a hit whose value is `undefined`. */
export type Peeked<V> =
  | { readonly hit: true; readonly value: V | undefined }
  | { readonly hit: false };

/**
 * Values with loaders, in Redis and in every process that reads them: one loader per key across the
 * fleet, and every local copy gone the moment the key changes.
 */
export class Cache {
  readonly #settings: Settings;
  readonly #prefix: string;
  readonly #engine: TrackingCache;
  readonly #keyspace: Keyspace;
  readonly #format: ValueFormat;
  readonly #counters = new Counters();
  readonly #uncertain: UncertainKeys;
  readonly #reader: Reader;
  readonly #writer: Writer;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: CacheOptions) {
    const settings = readCacheOptions(options);
    // First, since it says what to do about a client without a cache.
    const engine = trackingOf(settings.client);
    assertSingle(settings.client);
    const tracked = trackedOf(settings.client);
    if (tracked === undefined)
      throw new ConfigError(
        'createCache: client must be tracked in the default mode, without optin, broadcast or noLoop',
      );
    const { port, session } = tracked;
    const keyspace = new Keyspace(port, settings.clock, settings.redisMs);
    this.#settings = settings;
    this.#prefix = settings.prefix;
    this.#engine = engine;
    this.#keyspace = keyspace;
    this.#format = new ValueFormat(settings.format);
    if (this.#format.readsBytes)
      throw new ConfigError('createCache: only text is sent to and read from Redis by now');
    const counters = this.#counters;
    this.#uncertain = new UncertainKeys(keyspace.port, settings.clock);
    const shared = { engine, session, keyspace, uncertain: this.#uncertain, counters };
    this.#reader = new Reader({ ...shared, format: this.#format, settings });
    const writes = new FencedWrites(shared);
    this.#writer = new Writer({ writes, counters, prefix: settings.prefix });
  }

  /**
   * The value of `key`: from this process, from Redis, or from `loader`, which runs once for all who
   * ask meanwhile in any process. Without a loader a key that Redis does not hold is `undefined`.
   * Callers who join a load get what its first caller's options say.
   *
   * Sends: nothing for a local copy. `GET` and `PTTL` for what Redis holds. To load also EVALSHA
   * `acquire` and EVALSHA `fill`.
   * Resolves: the value as it comes back from its codec, `undefined` for an absent key.
   * Throws: the loader's own error, the same instance for all who waited; `LoadTimeoutError`;
   * `UnavailableError` with `onUnavailable: 'throw'`; `CodecError`; `ConfigError`; `ClosedError`.
   * Abort: rejects this caller with `signal.reason`; the load is aborted when all its callers left.
   */
  get<V>(key: string, loader?: Loader<V>, options?: GetOptions): Promise<V | undefined> {
    // The hot path: no options are looked at, nothing but the promise is made.
    if (!this.#isClosed && typeof key === 'string') {
      const entry = this.#engine.lookup(this.#prefix === '' ? key : this.#prefix + key);
      if (entry !== undefined) {
        if (entry.kind === 'present') this.#counters.localHits += 1;
        else this.#counters.negativeHits += 1;
        return Promise.resolve(this.#format.handOut(entry.value) as V);
      }
    }
    return this.#getElsewhere(key, loader, options);
  }

  async #getElsewhere<V>(
    key: string,
    loader: Loader<V> | undefined,
    options: GetOptions | undefined,
  ): Promise<V | undefined> {
    this.#check('get', [key]);
    checkFunction('get', 'loader', loader);
    const { policy, signal } = readGetOptions('get', options, this.#settings.policy);
    const load: LoadAll | undefined = loader && loadOne(loader);
    const wanted = [{ name: key, key: this.#prefix + key }];
    const [value] = await this.#reader.read(wanted, load, policy, signal);
    return this.#format.handOut(value) as V | undefined;
  }

  /**
   * The values of many keys; keys that are absent are left out. The order is that of `keys`, each
   * once. `loadMany` is called once, with all keys that nobody else holds or is loading; a key it
   * leaves out is absent.
   *
   * Sends: nothing for local copies; one `MGET` for every 500 others, and `PTTL` for each; to load
   * EVALSHA `acquire` and `fill` for each key, pipelined.
   * Throws and Abort: as {@link get}; the first error of any key.
   */
  async getMany<V>(
    keys: readonly string[],
    loadMany?: LoadMany<V>,
    options?: GetOptions,
  ): Promise<Map<string, V>> {
    this.#check('getMany', checkedList('getMany', keys));
    checkFunction('getMany', 'loadMany', loadMany);
    const { policy, signal } = readGetOptions('getMany', options, this.#settings.policy);
    const names = [...new Set(keys)];
    const values = new Map<string, unknown>();
    const wanted: { name: string; key: string }[] = [];
    for (const name of names) {
      const key = this.#prefix + name;
      const entry = this.#engine.lookup(key);
      if (entry === undefined) wanted.push({ name, key });
      else if (entry.kind === 'present') this.#counters.localHits += 1;
      else this.#counters.negativeHits += 1;
      values.set(name, entry?.value);
    }
    if (wanted.length > 0) {
      const load: LoadAll | undefined = loadMany && loadSeveral(loadMany);
      const read = await this.#reader.read(wanted, load, policy, signal);
      for (const [i, { name }] of wanted.entries()) values.set(name, read[i]);
    }
    const found = new Map<string, V>();
    for (const [name, value] of values)
      if (value !== undefined) found.set(name, this.#format.handOut(value) as V);
    return found;
  }

  /**
   * What this process holds of `key`, without waiting and without asking anyone.
   *
   * Throws: `ConfigError` for a bad key, `ClosedError`.
   */
  peek<V>(key: string): Peeked<V> {
    this.#check('peek', [key]);
    const entry = this.#engine.lookup(this.#prefix + key);
    if (entry === undefined) return { hit: false };
    return { hit: true, value: this.#format.handOut(entry.value) as V | undefined };
  }

  /**
   * Writes a value unconditionally. `undefined` records that the key is absent, for `negativeTtl`
   * unless `ttl` is given. A load under way anywhere is not stored.
   *
   * Sends: `SET key envelope PX ttl`.
   * Throws: `OutcomeUnknownError` if it went unanswered: the key is then deleted as soon as Redis
   * answers again; the server's error if it refused; `CodecError`, `ConfigError`, `ClosedError`.
   */
  async set<V>(key: string, value: V, options?: SetOptions): Promise<void> {
    this.#check('set', [key]);
    const { policy } = this.#settings;
    const longest = value === undefined ? { ...policy, ttlMs: policy.negativeTtlMs } : policy;
    const ttlMs = readSetOptions('set', options, longest);
    const encoding = this.#format.encode(value, key, { ttlMs, tailMs: TAIL_MS, loadMs: 0 });
    const { envelope } = encoding instanceof Promise ? await encoding : encoding;
    await this.#writer.set(key, envelope as string, ttlMs);
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
    await this.#writer.delete([key]);
  }

  /**
   * Deletes many keys.
   *
   * Sends: `DEL` with up to 500 keys at a time, pipelined. Atomic: each command by itself.
   * Throws: `BatchError` saying which keys failed, and why; otherwise as {@link delete}.
   */
  async deleteMany(keys: readonly string[]): Promise<void> {
    this.#check('deleteMany', checkedList('deleteMany', keys));
    if (keys.length > 0) await this.#writer.delete([...new Set(keys)]);
  }

  stats(): CacheAsideStats {
    return { ...this.#counters, uncertainKeys: this.#uncertain.size };
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
    this.#uncertain.close();
    this.#keyspace.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(method: string, keys: readonly unknown[]): void {
    if (this.#isClosed) throw new ClosedError(`${method}: the cache is closed`);
    for (const key of keys) checkKey(key, method);
  }
}

/**
 * A cache over a client made with `clientSideCache: clientSideCache()`.
 *
 * Throws: `ConfigError` for unknown or bad options, and for a client that has no redcache or is no
 * single client.
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

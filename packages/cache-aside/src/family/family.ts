import { ConfigError, type Duration } from '@redcache/core';
import { durationMs } from '@redcache/core/toolkit';
import type { Found, Peeked } from '../found.ts';
import { KeyMemo } from '../key-memo.ts';
import type { GetOptions, SetOptions, WriteOptions } from '../options.ts';
import type { LoadAll } from '../read/loader.ts';
import type { Shelf, ShelfLoad } from '../shelf.ts';
import type { FamilyStats } from '../stats.ts';
import type { Ids } from '../warm/key-source.ts';
import type { FamilyWarmOptions } from '../warm/options.ts';
import type { FamilyWarmProgress } from '../warm/progress.ts';
import { writeOne } from '../write/write-through.ts';
import { FamilyKeys, isPrimitive } from './family-keys.ts';
import { loadManyByIds, loadOneById, writeManyByIds } from './family-loads.ts';
import type { FamilySettings, WriteById, WriteByIds } from './family-options.ts';

/**
 * Values of one kind, by ids, with their own loader; see `Cache.define`. `V`: what callers get, `Input`:
 * what loaders answer and `set` takes. Methods do what those of the same name do in the cache.
 */
export class Family<Id, V, Input = V> {
  readonly name: string;
  readonly #shelf: Shelf;
  readonly #keys: FamilyKeys<Id>;
  /** In Redis, of ids that are called the same for good. */
  readonly #known = new KeyMemo<Id>();
  readonly #settings: FamilySettings<Id>;

  constructor(shelf: Shelf, settings: FamilySettings<Id>) {
    this.name = settings.name;
    this.#shelf = shelf;
    this.#keys = new FamilyKeys(settings.name, settings.key);
    this.#settings = settings;
  }

  /**
   * The value of `id`: from this process, from Redis, or from the family's loader.
   *
   * Sends, throws and abort: as {@link Cache.get}; also `SchemaError` if what was loaded does not fit.
   */
  get(id: Id, options?: GetOptions<Input>): Promise<V | undefined> {
    // The hot path, as in the cache.
    if (options === undefined) {
      const key = this.#known.find(id);
      if (key !== undefined) {
        const value = this.#shelf.plain(key);
        if (value !== undefined) return value as Promise<V | undefined>;
      }
    }
    return this.#get(id, options);
  }

  async #get(id: Id, options: GetOptions<Input> | undefined): Promise<V | undefined> {
    const name = this.#nameOf('get', id);
    const key = this.#keyOf(id, name);
    const known = options === undefined ? this.#shelf.plain(key) : undefined;
    if (known !== undefined) return known as Promise<V | undefined>;
    const load = this.#loadOne(name, id);
    const { value } = await this.#shelf.find('get', { name, key }, load, options);
    return this.#shelf.handOut(value) as V | undefined;
  }

  /** As {@link get}, and where the value came from, how old it is and how long it is fresh. */
  async getEntry(id: Id, options?: GetOptions<Input>): Promise<Found<V>> {
    const name = this.#nameOf('getEntry', id);
    const wanted = { name, key: this.#keyOf(id, name) };
    return this.#shelf.findEntry('getEntry', wanted, this.#loadOne(name, id), options);
  }

  /**
   * The values of many ids; those that are absent are left out. The order is that of `ids`, each once.
   * With `loadMany` one call loads all that nobody else holds or is loading, without it `load` each.
   *
   * Sends, throws and abort: as {@link Cache.getMany}.
   */
  async getMany(ids: readonly Id[], options?: GetOptions<Input>): Promise<Map<Id, V>> {
    const byName = this.#byName('getMany', ids);
    // Objects that are alike have one name, and each is found. Now, since the array is the caller's.
    const named: Iterable<readonly [string, Id]> =
      byName.size === ids.length
        ? byName
        : ids.map((id) => [this.#keys.nameOf(id, 'getMany'), id] as const);
    const load = this.#loadAll(byName);
    const kept = await this.#shelf.findMany('getMany', byName.keys(), load, options);
    const found = new Map<Id, V>();
    for (const [name, id] of named) {
      const value = kept.get(name);
      if (value !== undefined) found.set(id, this.#shelf.handOut(value) as V);
    }
    return found;
  }

  /**
   * Loads many before anyone asks for them, by the family's own loader: `loadMany` for a batch, or `load`
   * for each, up to 32 of a batch at a time.
   *
   * Sends, throws and abort: as {@link Cache.warm}; `WarmError` has the names of those that failed, see
   * {@link nameOf}.
   * Throws: `ConfigError` for a family without loaders.
   */
  async warm(
    ids: Ids<Id>,
    options?: FamilyWarmOptions<Id, Input>,
  ): Promise<FamilyWarmProgress<Id>> {
    this.#shelf.checkOpen('warm');
    const { load, loadMany } = this.#settings;
    if (load === undefined && loadMany === undefined)
      throw new ConfigError(`warm: the family '${this.name}' has no loader`);
    const progress = await this.#shelf.warm(
      {
        source: ids,
        nameOf: (id) => this.#keys.nameOf(id as Id, 'warm'),
        apart: loadMany === undefined,
        loadOf: (batch) => this.#loadAll(batch as ReadonlyMap<string, Id>).load as LoadAll,
      },
      options,
    );
    return progress as FamilyWarmProgress<Id>;
  }

  /** What this process holds and would serve, without waiting and without asking anyone. */
  peek(id: Id): Peeked<V> {
    const name = this.#nameOf('peek', id);
    return this.#shelf.peek(this.#keyOf(id, name));
  }

  /** Writes a value unconditionally; `undefined` records that there is none. */
  async set(id: Id, value: Input | undefined, options?: SetOptions<Input>): Promise<void> {
    await this.#shelf.set('set', this.#nameOf('set', id), value, options);
  }

  /** Throws: `BatchError` with the names of those that failed, see {@link nameOf}. */
  async setMany(
    entries: Iterable<readonly [Id, Input | undefined]>,
    options?: SetOptions<Input>,
  ): Promise<void> {
    const all = [...entries];
    this.#byName(
      'setMany',
      all.map(([id]) => id),
    );
    const values = new Map(all.map(([id, value]) => [this.#nameOf('setMany', id), value]));
    await this.#shelf.setMany('setMany', values, options);
  }

  /**
   * Calls `writer`, which writes the source of truth, under the lock of the key, and stores what it
   * answers. As `Cache.write`.
   */
  async write(
    id: Id,
    writer: WriteById<Id, Input>,
    options?: WriteOptions<Input>,
  ): Promise<V | undefined> {
    const name = this.#nameOf('write', id);
    checkWriter('write', writer);
    const write = writeOne(name, (_, context) => writer(id, context));
    const values = await this.#shelf.write([name], write, options);
    return values.get(name) as V | undefined;
  }

  /**
   * As {@link write}, for many, by one call under the locks of all. Resolves: their values, without
   * those that are absent.
   *
   * Throws: `BatchError` with the names of those that failed, see {@link nameOf}.
   */
  async writeMany(
    ids: readonly Id[],
    writer: WriteByIds<Id, Input>,
    options?: WriteOptions<Input>,
  ): Promise<Map<Id, V>> {
    const byName = this.#byName('writeMany', ids);
    checkWriter('writeMany', writer);
    const write = writeManyByIds(writer, byName, this.#keys);
    const written = await this.#shelf.write([...byName.keys()], write, options);
    const values = new Map<Id, V>();
    for (const [name, value] of written)
      if (value !== undefined) values.set(byName.get(name) as Id, value as V);
    return values;
  }

  /** Deletes it everywhere. */
  async delete(id: Id): Promise<void> {
    await this.#shelf.delete([this.#nameOf('delete', id)]);
  }

  /** Throws: `BatchError` with the names of those that failed, see {@link nameOf}. */
  async deleteMany(ids: readonly Id[]): Promise<void> {
    await this.#shelf.delete([...this.#byName('deleteMany', ids).keys()]);
  }

  /** Lets the value be fresh for `ttl` from now on. Resolves whether there was one. */
  async touch(id: Id, ttl: Duration): Promise<boolean> {
    const name = this.#nameOf('touch', id);
    return this.#shelf.touch(name, durationMs(ttl, 'touch: ttl'));
  }

  /**
   * As {@link touch}, for many. Resolves: the ids of those that were there.
   *
   * Throws: `BatchError` with the names of those that failed, see {@link nameOf}.
   */
  async touchMany(ids: readonly Id[], ttl: Duration): Promise<Set<Id>> {
    const byName = this.#byName('touchMany', ids);
    const ttlMs = durationMs(ttl, 'touchMany: ttl');
    const touched = await this.#shelf.touchMany([...byName.keys()], ttlMs);
    return new Set(Array.from(touched, (name) => byName.get(name) as Id));
  }

  /** Lets the value be stale from now on, but keeps it for as long as it may be served stale. */
  async expire(id: Id): Promise<boolean> {
    return this.#shelf.expire(this.#nameOf('expire', id));
  }

  /**
   * What the cache calls it, and errors do: `<name>:<key(id)>`.
   *
   * Throws: `ConfigError` if it is no id.
   */
  nameOf(id: Id): string {
    return this.#keys.nameOf(id, 'nameOf');
  }

  stats(): FamilyStats {
    return this.#shelf.counters.stats();
  }

  #nameOf(method: string, id: Id): string {
    this.#shelf.checkOpen(method);
    return this.#keys.nameOf(id, method);
  }

  #byName(method: string, ids: readonly Id[]): Map<string, Id> {
    this.#shelf.checkOpen(method);
    if (!Array.isArray(ids)) throw new ConfigError(`${method}: ids must be an array`);
    return this.#keys.byName(ids, method);
  }

  #keyOf(id: Id, name: string): string {
    const key = this.#shelf.keyOf(name);
    if (isPrimitive(id)) this.#known.keep(id, key);
    return key;
  }

  #loadOne(name: string, id: Id): ShelfLoad {
    const { load, loadMany } = this.#settings;
    const ids = new Map([[name, id]]);
    if (load !== undefined) return { load: loadOneById(load, ids), apart: false };
    if (loadMany === undefined) return NO_LOAD;
    return { load: loadManyByIds(loadMany, ids, this.#keys), apart: false };
  }

  #loadAll(ids: ReadonlyMap<string, Id>): ShelfLoad {
    const { load, loadMany } = this.#settings;
    if (loadMany !== undefined)
      return { load: loadManyByIds(loadMany, ids, this.#keys), apart: false };
    return load === undefined ? NO_LOAD : { load: loadOneById(load, ids), apart: true };
  }
}

const NO_LOAD: ShelfLoad = { load: undefined, apart: false };

function checkWriter(method: string, writer: unknown): void {
  if (typeof writer !== 'function')
    throw new ConfigError(`${method}: the writer must be a function`);
}

import { setMaxListeners } from 'node:events';
import { ClosedError, type Entry, type TrackingCache, UnavailableError } from '@redcache/core';
import { type Found, foundIn, type Peeked } from './found.ts';
import type { Groups } from './groups/groups.ts';
import { KeyMemo } from './key-memo.ts';
import {
  type GetOptions,
  type Keeping,
  readGetOptions,
  readSetOptions,
  readWriteOptions,
  type SetOptions,
  type Tags,
  type Wish,
  type WriteOptions,
} from './options.ts';
import type { Policy } from './policy.ts';
import type { Answer } from './read/answer.ts';
import type { Copy } from './read/copy.ts';
import { judge } from './read/judgement.ts';
import type { LoadAll } from './read/loader.ts';
import type { Manner, Reader, Wanted } from './read/reader.ts';
import { firstAborted } from './read/signals.ts';
import type { Keyspace } from './redis/keyspace.ts';
import type { Counters } from './stats.ts';
import { type TimeLimit, within } from './time-limit.ts';
import type { ValueFormat } from './value.ts';
import { batches } from './warm/batch.ts';
import { type Ids, KeySource, type NameOf } from './warm/key-source.ts';
import { readWarmOptions, type WarmOptions } from './warm/options.ts';
import type { WarmProgress } from './warm/progress.ts';
import { Warming } from './warm/warming.ts';
import { FencedWrites } from './write/fenced-writes.ts';
import { outgoing } from './write/outgoing.ts';
import type { UncertainKeys } from './write/uncertain.ts';
import type { WriteOrder } from './write/write-order.ts';
import type { WriteAll, WriteThrough } from './write/write-through.ts';
import { throwFor, Writer } from './write/writer.ts';

/** What all shelves of a cache stand on. */
export interface ShelfGround {
  readonly engine: TrackingCache;
  readonly keyspace: Keyspace;
  readonly groups: Groups;
  readonly uncertain: UncertainKeys;
  readonly reader: Reader;
  readonly order: WriteOrder;
  readonly writeThrough: WriteThrough;
  /** Of the namespace. */
  readonly prefix: string;
}

/** What the values of a shelf have in common. */
export interface ShelfKind {
  readonly policy: Policy;
  readonly format: ValueFormat;
  readonly tags: Tags<never> | undefined;
  readonly counters: Counters;
  /** Of the family whose they are. */
  readonly name?: string;
}

/** How a call loads what is not there. `apart`: each key by itself. */
export interface ShelfLoad {
  readonly load: LoadAll | undefined;
  readonly apart: boolean;
}

/** What is warmed: where it comes from, and how it is loaded. */
export interface ShelfWarming {
  readonly source: Ids<unknown>;
  /** What an id is called, where ids are something else than names. */
  readonly nameOf?: NameOf;
  /** Each key by itself. */
  readonly apart: boolean;
  /** The loader of a batch, whose ids are these, by name. */
  loadOf(ids: ReadonlyMap<string, unknown>): LoadAll;
}

/**
 * Values of one kind, by the names that a cache knows them by: what is read and written in the same
 * form and by the same policy, and counted together. The cache itself has one, and each of its families.
 */
export class Shelf {
  readonly counters: Counters;
  readonly policy: Policy;
  readonly #prefix: string;
  readonly #keys = new KeyMemo<string>();
  readonly #engine: TrackingCache;
  readonly #groups: Groups;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #writes: FencedWrites;
  readonly #order: WriteOrder;
  readonly #writeThrough: WriteThrough;
  readonly #format: ValueFormat;
  readonly #tags: Tags<never> | undefined;
  readonly #family: string | undefined;
  /** What is wished for where nothing is said. */
  readonly #usual: Wish;
  readonly #closed = new AbortController();
  #isClosed = false;

  constructor(ground: ShelfGround, kind: ShelfKind) {
    const { engine, keyspace, uncertain, prefix } = ground;
    const { counters } = kind;
    const writes = new FencedWrites({ engine, keyspace, uncertain, counters });
    this.counters = counters;
    this.policy = kind.policy;
    this.#prefix = prefix;
    this.#engine = engine;
    this.#groups = ground.groups;
    this.#reader = ground.reader;
    this.#order = ground.order;
    this.#writeThrough = ground.writeThrough;
    this.#writes = writes;
    this.#writer = new Writer({ writes, keyspace, counters, prefix });
    this.#format = kind.format;
    this.#tags = kind.tags;
    this.#family = kind.name;
    this.#usual = this.#kept(readGetOptions('', undefined, this.policy));
    // As many as there are runs of warming.
    setMaxListeners(0, this.#closed.signal);
  }

  /** What a name is called in Redis. */
  keyOf(name: string): string {
    if (this.#prefix === '') return name;
    return this.#keys.find(name) ?? this.#newKeyOf(name);
  }

  #newKeyOf(name: string): string {
    const key = this.#prefix + name;
    this.#keys.keep(name, key);
    return key;
  }

  /**
   * What a caller gets of the local copy that is served as it is, whatever the policy says: the hot path.
   * It looks at no options; whoever finds nothing here asks {@link find}.
   */
  plain(key: string): Promise<unknown> | undefined {
    const entry = this.#engine.lookup(key);
    if (entry === undefined) return undefined;
    const copy = entry.value as Copy;
    const handedOut = copy.handedOut ?? this.#handOutOf(copy);
    if (handedOut === undefined || copy.epoch < this.#groups.clearedIn || this.#isClosed)
      return undefined; // guard: I1
    this.#count(entry);
    return handedOut;
  }

  #handOutOf(copy: Copy): Promise<unknown> | undefined {
    if (!copy.isPlain) return undefined;
    const value = this.handOut(copy.value);
    const promise = Promise.resolve(value);
    // Each caller has a copy of his own of what can't be frozen.
    if (value === copy.value) copy.handedOut = promise;
    return promise;
  }

  /** What a caller gets of what is kept here. */
  handOut(value: unknown): unknown {
    return this.#format.handOut(value);
  }

  async find(
    where: string,
    wanted: Wanted,
    load: ShelfLoad,
    options: GetOptions<never> | undefined,
  ): Promise<Answer> {
    const manner = this.#manner(where, load, options);
    manner.wish.signal?.throwIfAborted();
    const local = this.#lookUp(wanted, manner);
    if (local !== undefined) return { value: local.value, source: 'local', copy: local };
    return await this.#reader.readOne(wanted, manner);
  }

  async findEntry<V>(
    where: string,
    wanted: Wanted,
    load: ShelfLoad,
    options: GetOptions<never> | undefined,
  ): Promise<Found<V>> {
    const answer = await this.find(where, wanted, load, options);
    const value = this.handOut(answer.value) as V | undefined;
    return foundIn(answer, value, this.#engine.clock.nowMs());
  }

  /** The values that are kept of these names, by name, in their order; `undefined` for absent ones. */
  async findMany(
    where: string,
    names: Iterable<string>,
    load: ShelfLoad,
    options: GetOptions<never> | undefined,
  ): Promise<Map<string, unknown>> {
    const manner = this.#manner(where, load, options);
    const values = new Map<string, unknown>();
    const wanted: Wanted[] = [];
    for (const name of names) {
      if (values.has(name)) continue;
      const one = { name, key: this.keyOf(name) };
      const copy = this.#lookUp(one, manner);
      if (copy === undefined) wanted.push(one);
      values.set(name, copy?.value);
    }
    if (wanted.length > 0) {
      const read = await this.#reader.read(wanted, manner);
      for (const [i, { name }] of wanted.entries()) values.set(name, read[i]?.value);
    }
    return values;
  }

  /** Loads what is not there of many keys; see `Cache.warm`. */
  async warm(
    { source: ids, nameOf, apart, loadOf }: ShelfWarming,
    options: Omit<WarmOptions<never>, 'onProgress'> | undefined,
  ): Promise<WarmProgress> {
    const { wish, plan } = readWarmOptions(options, this.policy);
    const { signal, stop } = firstAborted([this.#closed.signal, wish.signal]);
    const readBatch = batches(loadOf, (names, noting, told) =>
      this.#readEach(
        names,
        this.#mannerOf({ load: noting, apart }, this.#kept({ ...wish, signal: told })),
      ),
    );
    const { clock } = this.#engine;
    try {
      const source = new KeySource(ids, nameOf);
      const showsIds = nameOf !== undefined;
      return await new Warming({ source, readBatch, plan, signal, clock, showsIds }).run();
    } finally {
      stop();
    }
  }

  /** What becomes of each of these names, in their order. */
  async #readEach(
    names: readonly string[],
    manner: Manner,
  ): Promise<readonly PromiseSettledResult<Answer>[]> {
    const wanted: Wanted[] = [];
    const local = names.map((name) => {
      const one = { name, key: this.keyOf(name) };
      const copy = this.#lookUp(one, manner);
      if (copy === undefined) wanted.push(one);
      return copy;
    });
    const read = await this.#reader.readEach(wanted, manner);
    const others = read.values();
    return local.map((copy) =>
      copy === undefined
        ? (others.next().value as PromiseSettledResult<Answer>)
        : { status: 'fulfilled', value: { value: copy.value, source: 'local', copy } },
    );
  }

  peek<V>(key: string): Peeked<V> {
    const entry = this.#engine.lookup(key);
    if (entry === undefined) return { hit: false };
    const copy = entry.value as Copy;
    // One that is plain does not age before its end, which the engine sees to.
    if (copy.isPlain && copy.epoch >= this.#groups.clearedIn)
      return { hit: true, value: this.#format.handOut(copy.value) as V | undefined };
    if (this.#groups.standing(copy) !== 'current') return { hit: false };
    const leftMs = copy.freshUntilMs - this.#engine.clock.nowMs();
    if (leftMs <= -this.policy.graceMs) return { hit: false };
    return { hit: true, value: this.#format.handOut(copy.value) as V | undefined };
  }

  async set(
    where: string,
    name: string,
    value: unknown,
    options: SetOptions<never> | undefined,
  ): Promise<void> {
    const kept = this.#kept(readSetOptions(where, options, this.policy));
    const groups = this.#groups;
    const epoch = groups.known() ?? (() => this.#epoch());
    const making = outgoing(where, this.#format, name, value, epoch, kept);
    const prepared =
      making instanceof Promise
        ? within(
            making,
            this.#limit(kept.policy),
            `${where}: the value of '${name}' was not judged`,
          )
        : making;
    await this.#order.run([name], prepared, async ({ envelope, keptMs, member }) => {
      await Promise.all([
        this.#writer.set(name, envelope, keptMs),
        // Without it the value counts as outdated at its first look.
        groups.keep(member, keptMs).catch(() => {}),
      ]);
    });
    this.#reader.wrote(this.keyOf(name));
  }

  async setMany(
    where: string,
    values: ReadonlyMap<string, unknown>,
    options: SetOptions<never> | undefined,
  ): Promise<void> {
    readSetOptions(where, options, this.policy);
    await this.#each([...values.keys()], (name) =>
      this.set(where, name, values.get(name), options),
    );
  }

  /** Writes through; see {@link WriteThrough}. Resolves: what callers get, by name. */
  async write(
    names: readonly string[],
    writer: WriteAll,
    options: WriteOptions<never> | undefined,
  ): Promise<Map<string, unknown>> {
    const wish = this.#kept(readWriteOptions(writer.where, options, this.policy));
    wish.signal?.throwIfAborted();
    if (names.length === 0) return new Map();
    const way = { format: this.#format, writes: this.#writes, counters: this.counters };
    const { values, errors } = await this.#writeThrough.write(names, writer, wish, way);
    throwFor(names, errors);
    return new Map(names.map((name) => [name, this.handOut(values.get(name))]));
  }

  async delete(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#order.run(names, undefined, () => this.#writer.delete(names));
    for (const name of names) this.#reader.wrote(this.keyOf(name));
  }

  async touch(name: string, ttlMs: number): Promise<boolean> {
    const touched = await this.#order.run([name], undefined, () => this.#writer.touch(name, ttlMs));
    if (touched === undefined) return false;
    // Without it the value counts as outdated when its tags are forgotten.
    await this.#groups.prolong(touched, ttlMs + touched.tailMs).catch(() => {});
    return true;
  }

  async touchMany(names: readonly string[], ttlMs: number): Promise<Set<string>> {
    const touched = new Set<string>();
    await this.#each(names, async (name) => {
      if (await this.touch(name, ttlMs)) touched.add(name);
    });
    return touched;
  }

  expire(name: string): Promise<boolean> {
    return this.#order.run([name], undefined, () => this.#writer.expire(name));
  }

  checkOpen(where: string): void {
    if (this.#isClosed) throw new ClosedError(`${where}: the cache is closed`);
  }

  /** Nothing is served any more. */
  close(): void {
    this.#isClosed = true;
    this.#closed.abort(new ClosedError('the cache was closed'));
  }

  #limit({ hardMs }: Policy): TimeLimit {
    return { clock: this.#engine.clock, forMs: hardMs, signal: this.#closed.signal };
  }

  /** The local copy, if it may be served; loads it anew behind if its time has come. */
  #lookUp(wanted: Wanted, manner: Manner): Copy | undefined {
    const { load, wish } = manner;
    if (wish.refresh && load !== undefined) return undefined;
    const entry = this.#engine.lookup(wanted.key);
    if (entry === undefined) return undefined;
    const copy = entry.value as Copy;
    const { policy } = wish;
    if (this.#groups.standing(copy) !== 'current') return undefined; // guard: I1
    const judgement = judge(copy, policy, this.#engine.clock.nowMs(), Math.random());
    switch (judgement) {
      case 'fresh':
        return this.#hit(entry, copy);
      case 'early':
      case 'hot':
        this.#reader.refresh(wanted, copy, manner, judgement);
        return this.#hit(entry, copy);
      case 'grace':
        if (load !== undefined && (policy.softMs > 0 || copy.id === '')) return undefined;
        this.#reader.refresh(wanted, copy, manner, 'grace');
        this.counters.staleHits += 1;
        return copy;
      default:
        return undefined;
    }
  }

  #hit(entry: Entry, copy: Copy): Copy {
    this.#count(entry);
    return copy;
  }

  #count({ kind }: Entry): void {
    if (kind === 'present') this.counters.localHits += 1;
    else this.counters.negativeHits += 1;
  }

  #manner(where: string, load: ShelfLoad, options: GetOptions<never> | undefined): Manner {
    const wish =
      options === undefined ? this.#usual : this.#kept(readGetOptions(where, options, this.policy));
    return this.#mannerOf(load, wish);
  }

  #mannerOf({ load, apart }: ShelfLoad, wish: Wish): Manner {
    return {
      load,
      loadsApart: apart,
      format: this.#format,
      wish,
      counters: this.counters,
      family: this.#family,
    };
  }

  #kept<K extends Keeping>(asked: K): K {
    return asked.tags === undefined ? { ...asked, tags: this.#tags } : asked;
  }

  /**
   * The epoch of what is written now. Where nobody can say, it counts as outdated: it is to be written
   * all the same, since whoever writes has changed his data already (I13).
   */
  async #epoch(): Promise<number> {
    try {
      return await this.#groups.now();
    } catch (error) {
      if (error instanceof UnavailableError) return 0;
      throw error;
    }
  }

  /** Does something for each name; what fails for one keeps it from no other. */
  async #each(names: readonly string[], act: (name: string) => Promise<void>): Promise<void> {
    const outcomes = await Promise.allSettled(names.map(act));
    const errors = new Map<string, unknown>();
    for (const [i, outcome] of outcomes.entries())
      if (outcome.status === 'rejected') errors.set(names[i] as string, outcome.reason);
    throwFor(names, errors);
  }
}

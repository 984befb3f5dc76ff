import { assertStoreValid, ManualClock, settled } from '@redcache/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readEnvelope } from '../src/envelope.ts';
import type { Cache, CacheOptions, LoadContext } from '../src/index.ts';
import type { Copy } from '../src/read/copy.ts';
import { type ModelProcess, quiet, startProcess } from './model/model-process.ts';
import { ModelRedis } from './model/model-redis.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

const KEYS = ['a', 'b'] as const;
const PROCESSES = 2;
const which = fc.nat(PROCESSES - 1);
const key = fc.constantFrom(...KEYS);
const few = fc.integer({ min: 1, max: 4 });

/** Everything that can happen, in any order. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('get' as const), at: which, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('look' as const), at: which, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('getMany' as const), at: which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('update' as const), at: which, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), at: which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), nth: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), nth: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), nth: fc.nat(9) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('execute' as const), at: which, few }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), at: which, few }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('quiet' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('cut' as const), at: which, unsent: fc.nat(4) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reconnect' as const), at: which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 60, 110, 400, 1_500, 6_000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Run {
  readonly key: string;
  /** What the source of truth held when the loader asked it. */
  readonly version: number;
  readonly signal: AbortSignal;
  answer(value: unknown): void;
  fail(error: unknown): void;
}

interface Call {
  readonly abort: AbortController;
  done: boolean;
}

/**
 * How values are kept, and what makes them stale when the truth has changed. Ageing ones are served while
 * they are loaded anew, which must save none that was changed (I1).
 */
const WAYS = {
  plain: { ttl: 20_000, byTag: false },
  ageing: { ttl: 300, grace: 10_000, staleIfError: 20_000, soft: 50, byTag: false },
  tagged: { ttl: 300, grace: 10_000, staleIfError: 20_000, soft: 50, byTag: true },
} as const;
type Way = keyof typeof WAYS;

/** A source of truth, processes that cache it, and what must be true of them at any time. */
class World {
  readonly byTag: boolean;
  readonly #options: Partial<CacheOptions>;
  readonly clock = new ManualClock();
  readonly redis = new ModelRedis(this.clock);
  readonly processes: ModelProcess[] = [];
  readonly truth = new Map<string, number>(KEYS.map((each) => [each, 1]));
  readonly runs: Run[] = [];
  readonly calls: Call[] = [];
  /** Per process: the version of each key that no read begun from now on may go below (I6, I13). */
  readonly floors: Map<string, number>[] = [];

  constructor(way: Way) {
    const { byTag, soft, ...age } = { soft: false as const, ...WAYS[way] };
    this.byTag = byTag;
    this.#options = { lease: 1_000, timeout: { redis: 100, hard: 5_000, soft }, ...age };
  }

  async open(): Promise<void> {
    for (let i = 0; i < PROCESSES; i++) {
      this.processes.push(await startProcess(this.redis, this.#options));
      this.floors.push(new Map());
    }
  }

  /** Every process has every value, which has aged if it does so. */
  async warm(): Promise<void> {
    for (let at = 0; at < PROCESSES; at++) this.#call(at, KEYS, 'load');
    for (let i = 0; i < 3; i++) {
      await this.quiet();
      for (const run of this.runs.splice(0)) run.answer(run.version);
    }
    await this.quiet();
    this.clock.advance(350);
  }

  async act(each: Step): Promise<void> {
    switch (each.do) {
      case 'get':
        return this.#call(each.at, [each.key], 'load');
      case 'look':
        return this.#call(each.at, [each.key], 'look');
      case 'getMany':
        return this.#call(each.at, KEYS, 'load');
      case 'update':
        return this.byTag
          ? this.#update(each.at, [each.key], (cache) => cache.invalidateTag(each.key))
          : this.#update(each.at, [each.key], (cache) => cache.delete(each.key));
      case 'clear':
        return this.#update(each.at, KEYS, (cache) => cache.clear());
      case 'answer': {
        const [run] = this.runs.splice(each.nth % Math.max(1, this.runs.length), 1);
        return run?.answer(run.version);
      }
      case 'fail': {
        const [run] = this.runs.splice(each.nth % Math.max(1, this.runs.length), 1);
        // Told to stop, it does, as fetch would with the signal.
        return run?.fail(run.signal.aborted ? run.signal.reason : new Error('no database'));
      }
      case 'leave':
        return this.calls[each.nth % Math.max(1, this.calls.length)]?.abort.abort('left');
      case 'execute':
        return this.#connection(each.at).execute(each.few);
      case 'deliver':
        return this.#connection(each.at).deliver(each.few);
      case 'quiet':
        return this.quiet();
      case 'turn':
        return settled();
      case 'cut':
        return this.#connection(each.at).become('down', each.unsent);
      case 'reconnect':
        return this.#connection(each.at).become('up');
      case 'flush':
        return void this.redis.by('FLUSHALL');
      case 'pass':
        return this.clock.advance(each.ms);
    }
  }

  #connection(at: number): ModelProcess['connection'] {
    return (this.processes[at] as ModelProcess).connection;
  }

  #call(at: number, keys: readonly string[], how: 'load' | 'look'): void {
    const { cache } = this.processes[at] as ModelProcess;
    const abort = new AbortController();
    const call: Call = { abort, done: false };
    this.calls.push(call);
    const floors = new Map(this.floors[at]);
    const load = (names: string[], context: LoadContext): Promise<Record<string, unknown>> =>
      Promise.all(names.map((name) => this.#load(name, context))).then(Object.fromEntries);
    const options = { signal: abort.signal, ...(this.byTag && { tags: keys }) };
    const reading =
      keys.length > 1
        ? cache.getMany(keys, load, options)
        : cache
            .get(
              keys[0] as string,
              how === 'load' ? (name, context) => this.#only(name, context) : undefined,
              options,
            )
            .then((value) => new Map([[keys[0] as string, value]]));
    reading
      .then((found) => {
        for (const [name, version] of found)
          if (version !== undefined) expect(version).toBeGreaterThanOrEqual(floors.get(name) ?? 0);
      })
      .catch((error: unknown) => {
        if (error !== 'left' && (error as Error).message !== 'no database')
          if ((error as { code?: string }).code !== 'REDCACHE_LOAD_TIMEOUT')
            this.broken.push(error);
      })
      .finally(() => {
        call.done = true;
      });
  }

  readonly broken: unknown[] = [];

  #only(name: string, { signal }: LoadContext): Promise<unknown> {
    const version = this.truth.get(name) as number;
    return new Promise((answer, fail) =>
      this.runs.push({ key: name, version, signal, answer, fail }),
    );
  }

  async #load(name: string, context: LoadContext): Promise<[string, unknown]> {
    return [name, await this.#only(name, context)];
  }

  /** Changes the truth, then takes back: whatever comes of that, the old values are over here (I13). */
  #update(at: number, names: readonly string[], takeBack: (cache: Cache) => Promise<void>): void {
    const versions = names.map((name) => (this.truth.get(name) as number) + 1);
    for (const [i, name] of names.entries()) this.truth.set(name, versions[i] as number);
    const { cache } = this.processes[at] as ModelProcess;
    const call: Call = { abort: new AbortController(), done: false };
    this.calls.push(call);
    takeBack(cache)
      .catch((error: { code?: string }) => {
        if (error.code !== 'REDCACHE_OUTCOME_UNKNOWN') this.broken.push(error);
      })
      .finally(() => {
        call.done = true;
        const floors = this.floors[at] as Map<string, number>;
        for (const [i, name] of names.entries())
          floors.set(name, Math.max(versions[i] as number, floors.get(name) ?? 0));
      });
  }

  quiet(): Promise<void> {
    return quiet(...this.processes.map(({ connection }) => connection));
  }

  check(): void {
    for (const { engine } of this.processes) assertStoreValid(engine);
  }

  /** Redis is back for good and loaders answer: everybody gets what he waits for. */
  async heal(): Promise<void> {
    for (const { connection } of this.processes) connection.become('up');
    for (let i = 0; i < 100; i++) {
      await this.quiet();
      for (const run of this.runs.splice(0)) run.answer(run.version);
      await this.quiet();
      if (this.calls.every(({ done }) => done)) return;
      this.clock.advance(200);
    }
  }
}

test.each([
  ['plain', 600],
  ['ageing', 1000],
  ['tagged', 1000],
] as const)(
  '%s values, in whatever order replies, pushes, losses, time and callers come',
  async (way, numRuns) => {
    let localCopies = 0;
    let loads = 0;
    let waits = 0;
    let served = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const world = new World(way);
        await world.open();
        if (way !== 'plain') await world.warm();
        for (const each of steps) {
          await world.act(each);
          world.check();
        }
        await world.heal();
        expect(world.broken).toEqual([]);
        expect(world.calls.filter(({ done }) => !done)).toEqual([]);
        for (const { cache, engine } of world.processes) {
          expect(cache.stats().uncertainKeys).toBe(0);
          loads += cache.stats().loads;
          waits += cache.stats().waits;
          served += cache.stats().staleHits;
          for (const name of KEYS) {
            const peeked = cache.peek(name);
            if (peeked.hit) expect(peeked.value).toBe(world.truth.get(name));
            // What is outdated by its tag stands until it is asked for.
            if (world.byTag) {
              if (peeked.hit) localCopies += 1;
              continue;
            }
            // What is outdated by a clearing, or by one that nobody remembers, stands until it is asked for.
            const clearedIn = Number(world.redis.peek('redcache:cleared')?.text ?? Number.NaN);
            // 0 stale: what is kept here is what Redis holds, and Redis holds nothing outdated (I8).
            const held = world.redis.peek(name);
            const stored = held && readEnvelope(held.text);
            if (stored?.is === 'value' && (stored.header.epoch ?? 0) >= clearedIn)
              expect(Number(held?.text.slice(stored.bodyAt))).toBe(world.truth.get(name));
            const entry = engine.lookup(name);
            if (entry === undefined || !((entry.value as Copy).epoch >= clearedIn)) continue;
            localCopies += 1;
            expect((entry.value as Copy).value).toBe(world.truth.get(name));
          }
        }
        const closing = Promise.all(world.processes.map(({ cache }) => cache.close()));
        await world.quiet();
        world.clock.advance(1_000);
        await closing;
        // A client whose handshake a flush came into shakes hands once more: that is its to end.
        await world.quiet();
        for (const each of world.processes) each.assertNothingLeft();
        expect(world.clock.timers).toBe(0);
        await settled();
        expect(unhandled.splice(0)).toEqual([]);
      }),
      { numRuns },
    );
    // A cache that keeps nothing, loads nothing or never waits must not pass.
    expect(localCopies).toBeGreaterThan(100);
    expect(loads).toBeGreaterThan(500);
    expect(waits).toBeGreaterThan(20);
    // Nor one that serves nothing for having aged, where it may.
    if (way !== 'plain') expect(served).toBeGreaterThan(50);
  },
  60_000,
);

test.each(['plain', 'ageing'] as const)(
  '%s values, closed at any moment: every call settles and nothing is left',
  async (way) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const world = new World(way);
        await world.open();
        for (const each of steps) await world.act(each);
        const closing = Promise.all(world.processes.map(({ cache }) => cache.close()));
        // Whether Redis answers or not.
        for (let i = 0; i < 5; i++) {
          await settled();
          world.clock.advance(100);
        }
        await closing;
        await settled();
        expect(world.calls.filter(({ done }) => !done)).toEqual([]);
        for (const { cache, engine } of world.processes) {
          expect(cache.stats().uncertainKeys).toBe(0);
          const { guards, flights } = engine.internals;
          expect([guards.size, guards.fencedKeys, flights.size]).toEqual([0, 0, 0]);
        }
        // The clients live on, and may be switching tracking on: that is theirs to end.
        for (const { connection } of world.processes) connection.become('up');
        await world.quiet();
        for (const { assertNothingLeft } of world.processes) assertNothingLeft();
        expect(world.clock.timers).toBe(0);
        expect(unhandled.splice(0)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  },
  60_000,
);

// As interleavings.test.ts, where values age, belong to tags, and are loaded anew while they are served.
import { assertStoreValid, ManualClock, settled } from '@redcache/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CacheOptions, GetOptions, LoadContext } from '../src/index.ts';
import { type ModelProcess, quiet, startProcess } from './model/model-process.ts';
import { ModelRedis } from './model/model-redis.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

const KEYS = ['a', 'b'] as const;
const TAG = 'x';
const POLICY = {
  ...{ ttl: 2_000, grace: 3_000, staleIfError: 6_000, lease: 1_000 },
  hotKeys: { threshold: 2, window: 1_000 },
} as const;
/** One serves at once what has aged, the other one waits a little for what is new. */
const PROCESSES: readonly Partial<CacheOptions>[] = [
  { ...POLICY, timeout: { redis: 100, hard: 5_000 } },
  { ...POLICY, timeout: { redis: 100, hard: 5_000, soft: 200 } },
];
const at = fc.nat(PROCESSES.length - 1);
const key = fc.constantFrom(...KEYS);
const few = fc.integer({ min: 1, max: 4 });
const nth = fc.nat(9);

/** Everything that can happen, in any order. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('get' as const), at, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), at, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('getMany' as const), at }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), at, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('invalidateTag' as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), at }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('expire' as const), at, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('touch' as const), at, key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), nth }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), nth }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('execute' as const), at, few }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), at, few }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('quiet' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), at, unsent: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reconnect' as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 60, 110, 400, 1_900, 2_500, 6_000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Run {
  readonly version: number;
  readonly signal: AbortSignal;
  answer(value: unknown): void;
  fail(error: unknown): void;
}

interface Call {
  readonly abort: AbortController;
  done: boolean;
}

/** A source of truth, processes that cache it, and what must be true of them at any time. */
class World {
  readonly clock = new ManualClock();
  readonly redis = new ModelRedis(this.clock);
  readonly processes: ModelProcess[] = [];
  readonly truth = new Map<string, number>(KEYS.map((each) => [each, 1]));
  readonly runs: Run[] = [];
  readonly calls: Call[] = [];
  readonly broken: unknown[] = [];
  /** Per process: the version of each key that no read begun from now on may go below (I1, I6, I13). */
  readonly floors: Map<string, number>[] = [];

  /** All know what there is. */
  async open(): Promise<void> {
    for (const options of PROCESSES) {
      this.processes.push(await startProcess(this.redis, options));
      this.floors.push(new Map());
    }
    const [{ cache }] = this.processes as [ModelProcess];
    const setting = cache.setMany(this.truth, { tags: [TAG] });
    await this.quiet();
    await setting;
    for (const each of this.processes) {
      const reading = each.cache.getMany(KEYS);
      await this.quiet();
      await reading;
    }
  }

  async act(each: Step): Promise<void> {
    switch (each.do) {
      case 'get':
        return this.#get(each.at, [each.key], {});
      case 'renew':
        return this.#get(each.at, [each.key], { refresh: true });
      case 'getMany':
        return this.#get(each.at, KEYS, {});
      case 'delete':
        return this.#update(each.at, [each.key], (cache) => cache.delete(each.key));
      case 'invalidateTag':
        return this.#update(each.at, KEYS, (cache) => cache.invalidateTag(TAG));
      case 'clear':
        return this.#update(each.at, KEYS, (cache) => cache.clear());
      case 'expire':
        return this.#update(each.at, [], (cache) => cache.expire(each.key));
      case 'touch':
        return this.#update(each.at, [], (cache) => cache.touch(each.key, 2_000));
      case 'answer': {
        const [run] = this.runs.splice(each.nth % Math.max(1, this.runs.length), 1);
        return run?.answer(run.version);
      }
      case 'fail': {
        const [run] = this.runs.splice(each.nth % Math.max(1, this.runs.length), 1);
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

  #connection(index: number): ModelProcess['connection'] {
    return (this.processes[index] as ModelProcess).connection;
  }

  #get(index: number, keys: readonly string[], wanted: GetOptions<unknown>): void {
    const { cache } = this.processes[index] as ModelProcess;
    const call = this.#call();
    const floors = new Map(this.floors[index]);
    const load = async (names: string[], context: LoadContext): Promise<Map<string, unknown>> =>
      new Map(
        await Promise.all(
          names.map(async (name) => [name, await this.#load(name, context)] as const),
        ),
      );
    const options = { ...wanted, tags: [TAG], signal: call.abort.signal };
    this.#settle(
      call,
      cache.getMany(keys, load, options).then((found) => {
        for (const [name, version] of found)
          expect(version, `${name} at ${index}`).toBeGreaterThanOrEqual(floors.get(name) ?? 0);
      }),
    );
  }

  #load(name: string, { signal }: LoadContext): Promise<unknown> {
    const version = this.truth.get(name) as number;
    return new Promise((answer, fail) => this.runs.push({ version, signal, answer, fail }));
  }

  /** Changes the truth of these keys, then says so: once that has resolved what was before is over here. */
  #update(
    index: number,
    keys: readonly string[],
    change: (cache: ModelProcess['cache']) => Promise<unknown>,
  ): void {
    for (const each of keys) this.truth.set(each, (this.truth.get(each) as number) + 1);
    const versions = keys.map((each) => [each, this.truth.get(each) as number] as const);
    const { cache } = this.processes[index] as ModelProcess;
    this.#settle(
      this.#call(),
      change(cache).then(() => {
        const floors = this.floors[index] as Map<string, number>;
        for (const [each, version] of versions)
          floors.set(each, Math.max(version, floors.get(each) ?? 0));
      }),
    );
  }

  #call(): Call {
    const call: Call = { abort: new AbortController(), done: false };
    this.calls.push(call);
    return call;
  }

  #settle(call: Call, work: Promise<unknown>): void {
    const expected = ['REDCACHE_LOAD_TIMEOUT', 'REDCACHE_OUTCOME_UNKNOWN', 'REDCACHE_CLOSED'];
    work
      .catch((error: { code?: string; message?: string } | 'left') => {
        if (error === 'left' || error.message === 'no database') return;
        if (!expected.includes(error.code ?? '')) this.broken.push(error);
      })
      .finally(() => {
        call.done = true;
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
      if (this.calls.every(({ done }) => done) && this.runs.length === 0) return;
      this.clock.advance(200);
    }
  }
}

test('in whatever order values age, are made stale, loaded anew, lost and asked for', async () => {
  const sum = { localCopies: 0, loads: 0, refreshes: 0, staleHits: 0, lostLeases: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 70 }), async (steps) => {
      const world = new World();
      await world.open();
      for (const each of steps) {
        await world.act(each);
        world.check();
      }
      await world.heal();
      expect(world.broken).toEqual([]);
      expect(world.calls.filter(({ done }) => !done)).toEqual([]);
      for (const { cache } of world.processes) {
        const stats = cache.stats();
        expect(stats.uncertainKeys).toBe(0);
        sum.loads += stats.loads;
        sum.refreshes += stats.refreshes.grace + stats.refreshes.hot;
        sum.staleHits += stats.staleHits;
        sum.lostLeases += stats.lostLeases;
        for (const name of KEYS) {
          // What Redis holds, and whoever asks would be served, is not outdated either (I8).
          const looking = cache.get(name, undefined, { grace: '1h' });
          await world.quiet();
          const value = await looking;

          if (value !== undefined) expect(value).toBe(world.truth.get(name));
          const peeked = cache.peek(name);
          if (peeked.hit) {
            sum.localCopies += 1;
            expect(peeked.value).toBe(world.truth.get(name));
          }
        }
      }
      const closing = Promise.all(world.processes.map(({ cache }) => cache.close()));
      await world.quiet();
      world.clock.advance(1_000);
      await closing;
      for (const each of world.processes) each.assertNothingLeft();
      expect(world.clock.timers).toBe(0);
      await settled();
      expect(unhandled.splice(0)).toEqual([]);
    }),
    { numRuns: 300 },
  );
  // Nothing of it may have been left out.
  expect(sum.localCopies).toBeGreaterThan(100);
  expect(sum.loads).toBeGreaterThan(200);
  expect(sum.refreshes).toBeGreaterThan(5);
  expect(sum.staleHits).toBeGreaterThan(10);
  expect(sum.lostLeases).toBeGreaterThan(5);
}, 60_000);

test('closed at any moment, refreshes and waits for what is new included, nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 50 }), async (steps) => {
      const world = new World();
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
      for (const { connection } of world.processes) connection.become('up');
      await world.quiet();
      for (const { assertNothingLeft } of world.processes) assertNothingLeft();
      expect(world.clock.timers).toBe(0);
      expect(unhandled.splice(0)).toEqual([]);
    }),
    { numRuns: 150 },
  );
}, 60_000);

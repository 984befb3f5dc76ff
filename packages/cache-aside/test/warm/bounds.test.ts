import { ManualClock } from '@redcache/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeySource } from '../../src/warm/key-source.ts';
import type { WarmProgress } from '../../src/warm/progress.ts';
import { type ReadBatch, Warming } from '../../src/warm/warming.ts';

interface Case {
  readonly keys: number;
  readonly concurrency: number;
  readonly batchSize: number;
  readonly isAsync: boolean;
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  keys: fc.nat(40),
  concurrency: fc.integer({ min: 1, max: 4 }),
  batchSize: fc.integer({ min: 1, max: 7 }),
  isAsync: fc.boolean(),
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What the run waits for is settled in any order, one thing at a time, each after some turns. */
async function drive(scheduler: fc.Scheduler, ended: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  ended.then(over, over);
  for (let rounds = 0; !isOver && rounds < 10_000; rounds += 1) {
    if (scheduler.count() > 0) await scheduler.waitOne();
    await turn();
  }
  expect(isOver).toBe(true);
}

/** A run over numbered keys, judged after everything that happens. */
function run(scheduler: fc.Scheduler, { keys, concurrency, batchSize, isAsync }: Case) {
  const names = Array.from({ length: keys }, (_, i) => `k${i}`);
  const finished: string[] = [];
  let taken = 0;
  let running = 0;
  let most = 0;
  const take = (name: string): string => {
    taken += 1;
    // Whatever is held is in a batch under way, or in the one that is being read.
    expect(taken - finished.length).toBeLessThanOrEqual(concurrency * batchSize);
    return name;
  };
  function* listed(): Generator<string> {
    for (const name of names) yield take(name);
  }
  async function* fetched(): AsyncGenerator<string> {
    for (const name of names) yield take(await scheduler.schedule(Promise.resolve(name), 'source'));
  }
  const readBatch: ReadBatch = async (batch) => {
    running += 1;
    most = Math.max(most, running);
    expect(running).toBeLessThanOrEqual(concurrency);
    expect(batch.length).toBeLessThanOrEqual(batchSize);
    await scheduler.schedule(Promise.resolve(), 'batch');
    running -= 1;
    finished.push(...batch);
    return { loaded: batch.length, skipped: 0, failed: new Map() };
  };
  const told: WarmProgress[] = [];
  const onProgress = (progress: WarmProgress): void => {
    told.push(progress);
    expect(progress.done).toBe(finished.length);
    const upTo = progress.lastKey === undefined ? 0 : names.indexOf(progress.lastKey) + 1;
    const missing = names.slice(0, upTo).filter((name) => !finished.includes(name));
    expect(missing).toEqual([]);
  };
  const clock = new ManualClock();
  const problems: unknown[] = [];
  const watched = (progress: WarmProgress): void => {
    try {
      onProgress(progress);
    } catch (error) {
      // It would be swallowed with what a listener throws.
      problems.push(error);
    }
    clock.jump(1);
  };
  const warming = new Warming({
    source: new KeySource(isAsync ? fetched() : listed()),
    readBatch,
    plan: {
      ...{ concurrency, batchSize, onError: 'continue', progressEveryMs: 1, total: undefined },
      onProgress: watched,
    },
    signal: new AbortController().signal,
    clock,
  });
  return { names, finished, told, problems, clock, ended: warming.run(), most: () => most };
}

test('each key once, within the bounds, whatever order sources and batches answer in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), anyCase, async (scheduler, chosen) => {
      const { names, finished, told, problems, clock, ended } = run(scheduler, chosen);
      await drive(scheduler, ended);
      const end = await ended;
      expect(problems).toEqual([]);
      expect([...finished].sort()).toEqual([...names].sort());
      expect(end).toMatchObject({
        done: names.length,
        loaded: names.length,
        skipped: 0,
        failed: 0,
      });
      expect(end.lastKey).toBe(names.at(-1));
      expect(told.at(-1)).toBe(end);
      expect(clock.timers).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test('as many batches at a time as there may be', async () => {
  const found = await fc.sample(fc.scheduler(), 1)[0];
  const scheduler = found as fc.Scheduler;
  const chosen = { keys: 12, concurrency: 3, batchSize: 2, isAsync: false };
  const { ended, most } = run(scheduler, chosen);
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(most()).toBe(3);
  await drive(scheduler, ended);
});

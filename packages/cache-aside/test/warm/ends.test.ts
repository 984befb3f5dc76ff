import { getEventListeners } from 'node:events';
import { ManualClock } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { BatchError, WarmError } from '../../src/errors.ts';
import { KeySource, type Keys } from '../../src/warm/key-source.ts';
import type { WarmProgress } from '../../src/warm/progress.ts';
import {
  type BatchOutcome,
  type ReadBatch,
  Warming,
  type WarmPlan,
} from '../../src/warm/warming.ts';

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Batches that the test ends, one by one. */
function stage(keys: Keys, plan: Partial<WarmPlan> = {}) {
  const batches: {
    readonly keys: readonly string[];
    readonly signal: AbortSignal;
    finish(failed?: Iterable<readonly [string, unknown]>): void;
    breakDown(error: unknown): void;
  }[] = [];
  const readBatch: ReadBatch = (given, signal) =>
    new Promise<BatchOutcome>((resolve, reject) => {
      batches.push({
        keys: given,
        signal,
        finish: (failed = []) => {
          const errors = new Map(failed);
          resolve({ loaded: given.length - errors.size, skipped: 0, failed: errors });
        },
        breakDown: reject,
      });
    });
  const abort = new AbortController();
  const clock = new ManualClock();
  const warming = new Warming({
    source: new KeySource(keys),
    readBatch,
    plan: {
      ...{ concurrency: 2, batchSize: 2, onError: 'continue', progressEveryMs: 100 },
      ...{ onProgress: undefined, total: undefined, ...plan },
    },
    signal: abort.signal,
    clock,
  });
  const ended = warming.run();
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  ended.then(over, over);
  const assertNothingLeft = (): void => {
    expect(clock.timers).toBe(0);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  };
  return { batches, abort, clock, ended, isOver: () => isOver, assertNothingLeft };
}

/** A source that tells what is done with it. `hangsAt`: no key comes after so many. */
function source(count: number, { hangsAt = Number.POSITIVE_INFINITY, failsAt = -1 } = {}) {
  const seen = { asked: 0, returned: 0 };
  const keys: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const i = seen.asked;
        seen.asked += 1;
        if (i === failsAt) throw new Error('the cursor was closed');
        if (i >= hangsAt) return new Promise<never>(() => {});
        return i < count ? { done: false, value: `k${i}` } : { done: true, value: undefined };
      },
      // Never settles, as that of a source that is still busy.
      return: () => {
        seen.returned += 1;
        return new Promise<never>(() => {});
      },
    }),
  };
  return { keys, seen };
}

test('an abort rejects at once, tells running batches, and gives the source back', async () => {
  const { keys, seen } = source(100);
  const { batches, abort, ended, assertNothingLeft } = stage(keys);
  await turns();
  expect(batches).toHaveLength(2);
  const reason = new Error('enough');
  abort.abort(reason);
  await expect(ended).rejects.toBe(reason);
  expect(batches.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  expect(seen).toEqual({ asked: 4, returned: 1 });
  assertNothingLeft();
  // They end when they want to; nobody hears of it, and nothing more is read.
  batches[0]?.finish();
  batches[1]?.breakDown(reason);
  await turns();
  expect(seen.asked).toBe(4);
});

test('an abort before the first key: the source is asked for none', async () => {
  const { keys, seen } = source(100);
  const { abort, ended } = stage(keys);
  abort.abort();
  await expect(ended).rejects.toBe(abort.signal.reason);
  await turns();
  expect(seen).toEqual({ asked: 0, returned: 1 });
});

test('what an abort has ended is not done, and is not heard of', async () => {
  const told: WarmProgress[] = [];
  const { batches, abort, ended, clock } = stage(['a', 'b', 'c', 'd', 'e'], {
    onProgress: (progress) => told.push(progress),
  });
  await turns();
  batches[0]?.finish();
  await turns();
  abort.abort();
  await expect(ended).rejects.toBe(abort.signal.reason);
  expect(told.at(-1)).toMatchObject({ done: 2, loaded: 2, failed: 0, lastKey: 'b' });
  const { length } = told;
  batches[1]?.finish([['c', abort.signal.reason]]);
  await turns();
  clock.advance(1_000);
  batches[2]?.finish();
  await turns();
  expect({ told: told.length, timers: clock.timers }).toEqual({ told: length, timers: 0 });
});

test('an abort need not wait for a source that hangs', async () => {
  const { keys, seen } = source(100, { hangsAt: 3 });
  const { batches, abort, ended } = stage(keys);
  await turns();
  expect(batches).toHaveLength(1);
  abort.abort();
  await expect(ended).rejects.toBe(abort.signal.reason);
  expect(seen.returned).toBe(1);
});

test('a signal that is aborted already: nothing is read', async () => {
  const { keys, seen } = source(3);
  const abort = new AbortController();
  abort.abort();
  const warming = new Warming({
    source: new KeySource(keys),
    readBatch: () => Promise.reject(new Error('not asked')),
    plan: {
      ...{ concurrency: 1, batchSize: 1, onError: 'continue', progressEveryMs: 1 },
      ...{ onProgress: undefined, total: undefined },
    },
    signal: abort.signal,
    clock: new ManualClock(),
  });
  await expect(warming.run()).rejects.toBe(abort.signal.reason);
  expect(seen).toEqual({ asked: 0, returned: 1 });
});

test('the end is not before the last batch, and the source is not given back that has ended', async () => {
  const { keys, seen } = source(4);
  const { batches, ended, isOver, assertNothingLeft } = stage(keys);
  await turns();
  batches[1]?.finish();
  await turns();
  expect(isOver()).toBe(false);
  batches[0]?.finish();
  await expect(ended).resolves.toMatchObject({ done: 4, loaded: 4, lastKey: 'k3' });
  expect(seen.returned).toBe(0);
  assertNothingLeft();
});

test('errors of keys are collected, and thrown at the end', async () => {
  const { batches, ended } = stage(['a', 'b', 'c', 'd', 'e']);
  const error = new Error('no such row');
  await turns();
  batches[0]?.finish([['b', error]]);
  batches[1]?.finish();
  await turns();
  batches[2]?.finish();
  const thrown = await ended.catch((reason: unknown) => reason);
  expect(thrown).toBeInstanceOf(WarmError);
  expect(thrown).toBeInstanceOf(BatchError);
  const { code, failed, message, cause, progress, errorFor } = thrown as WarmError;
  expect({ code, failed, cause }).toEqual({ code: 'REDCACHE_BATCH', failed: ['b'], cause: error });
  expect(errorFor.call(thrown, 'b')).toBe(error);
  expect(message).toBe('warm: 1 of 5 keys failed');
  expect(progress).toMatchObject({ done: 5, loaded: 4, failed: 1, lastKey: 'e' });
});

test('of many errors a thousand are kept, and all are counted', async () => {
  const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
  const { batches, ended } = stage(keys, { batchSize: 3_000 });
  await turns();
  batches[0]?.finish(keys.map((key) => [key, new Error(key)]));
  const thrown = (await ended.catch((reason: unknown) => reason)) as WarmError;
  expect(thrown.failed).toEqual(keys.slice(0, 1_000));
  expect(thrown.progress.failed).toBe(3_000);
});

test("onError 'stop': no further batch begins, those under way finish", async () => {
  const { keys, seen } = source(100);
  const { batches, ended, isOver } = stage(keys, { onError: 'stop' });
  await turns();
  batches[1]?.finish([['k2', new Error('no such row')]]);
  await turns();
  expect({ over: isOver(), asked: seen.asked, returned: seen.returned }).toEqual({
    over: false,
    asked: 4,
    returned: 1,
  });
  batches[0]?.finish();
  await expect(ended).rejects.toMatchObject({
    failed: ['k2'],
    progress: { done: 4, loaded: 3, lastKey: 'k3' },
  });
  expect(batches).toHaveLength(2);
});

test("onError 'stop' does not wait for a source that hangs", async () => {
  const { keys } = source(100, { hangsAt: 3 });
  const { batches, ended } = stage(keys, { onError: 'stop' });
  await turns();
  batches[0]?.finish([['k0', new Error('no such row')]]);
  await expect(ended).rejects.toMatchObject({ failed: ['k0'] });
});

test('a source that fails: batches under way finish, then its error is thrown', async () => {
  const { keys, seen } = source(100, { failsAt: 3 });
  const { batches, ended, isOver } = stage(keys);
  await turns();
  expect(isOver()).toBe(false);
  batches[0]?.finish();
  await expect(ended).rejects.toThrow('the cursor was closed');
  // It has ended by itself.
  expect(seen.returned).toBe(0);
});

test('what is no key ends the run, and gives the source back', async () => {
  const { keys, seen } = source(1);
  async function* mixed(): AsyncGenerator<string> {
    yield* keys as AsyncIterable<string>;
    yield 7 as never;
  }
  const { ended } = stage(mixed());
  await expect(ended).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
  expect(seen.asked).toBe(2);
});

test('a batch that breaks down as a whole ends the run with its error', async () => {
  const { keys, seen } = source(100);
  const { batches, ended } = stage(keys);
  await turns();
  batches[0]?.breakDown(new Error('closed'));
  batches[1]?.finish();
  await expect(ended).rejects.toThrow('closed');
  expect(seen).toEqual({ asked: 4, returned: 1 });
});

test('a key that comes twice in a batch is read once, and counted twice', async () => {
  const { batches, ended } = stage(['a', 'a', 'b'], { batchSize: 3 });
  await turns();
  expect(batches[0]?.keys).toEqual(['a', 'b']);
  batches[0]?.finish();
  await expect(ended).resolves.toMatchObject({ done: 3, loaded: 2, skipped: 1, total: 3 });
});

test('no keys at all', async () => {
  const told: unknown[] = [];
  const { ended } = stage([], { onProgress: (progress) => told.push(progress) });
  await expect(ended).resolves.toMatchObject({ done: 0, total: 0, etaMs: 0, lastKey: undefined });
  expect(told).toHaveLength(1);
});

test.each([
  ['text', 'user:42'],
  ['nothing', undefined],
  ['an object', {}],
  ['a number', 7],
] as const)('%s is no source of keys', (_, keys) => {
  expect(() => new KeySource(keys as never)).toThrow(
    expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
  );
});

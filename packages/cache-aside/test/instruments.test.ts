import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ManualClock } from '@redcache/core/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Instrument, Instruments, type LoadOutcome } from '../src/instruments.ts';

const FACTS = () => ({ keys: ['k'], cause: 'miss' as const, family: undefined });

let clock: ManualClock;
let instruments: Instruments;
let reported: unknown[];
const onReport = (message: unknown): void =>
  void reported.push((message as { error: unknown }).error);

beforeEach(() => {
  clock = new ManualClock();
  instruments = new Instruments(clock);
  reported = [];
  subscribe('redcache:callback-error', onReport);
});
afterEach(() => unsubscribe('redcache:callback-error', onReport));

/** A load that the test settles, which counts how often it was begun. */
function loading() {
  let runs = 0;
  let answer: (value: string) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const run = (): Promise<string> => {
    runs += 1;
    return new Promise((resolve, reject) => {
      answer = resolve;
      fail = reject;
    });
  };
  return {
    run,
    runs: () => runs,
    answer: (value: string) => answer(value),
    fail: (error: unknown) => fail(error),
  };
}

describe('a load', () => {
  test('without anyone who follows it is just run', async () => {
    const answer = Promise.resolve('v');
    const facts = () => {
      throw new Error('nobody asked');
    };
    expect(instruments.load(facts, () => answer)).toBe(answer);
  });

  test('is run once, however many follow it and however often they run it', async () => {
    const { run, runs, answer } = loading();
    const told: string[] = [];
    for (const name of ['one', 'two', 'three'])
      instruments.add({
        load: ({ keys, cause }, start) => {
          told.push(`${name} ${keys} ${cause}`);
          void start();
          void start();
        },
      });
    const result = instruments.load(FACTS, run);
    expect(told.sort()).toEqual(['one k miss', 'three k miss', 'two k miss']);
    expect(runs()).toBe(1);
    answer('v');
    expect(await result).toBe('v');
  });

  test('is run within the contexts of all who follow it, though some never run it', async () => {
    const [one, two] = [new AsyncLocalStorage<string>(), new AsyncLocalStorage<string>()];
    instruments.add({ load: (_, run) => void one.run('one', run) });
    instruments.add({ load: () => {} });
    instruments.add({ load: (_, run) => void two.run('two', run) });
    const within = async () => [one.getStore(), two.getStore()];
    expect(await instruments.load(FACTS, within)).toEqual(['one', 'two']);
  });

  test('is told with the time it took, and never rejects for those who follow it', async () => {
    const outcomes: LoadOutcome[] = [];
    instruments.add({ load: (_, run) => void run().then((outcome) => outcomes.push(outcome)) });
    const [good, bad] = [loading(), loading()];
    const results = Promise.allSettled([
      instruments.load(FACTS, good.run),
      instruments.load(FACTS, bad.run),
    ]);
    clock.advance(5);
    good.answer('v');
    await new Promise(setImmediate);
    clock.advance(2);
    const error = new Error('no');
    bad.fail(error);
    expect(await results).toEqual([
      { status: 'fulfilled', value: 'v' },
      { status: 'rejected', reason: error },
    ]);
    expect(outcomes).toEqual([{ ms: 5 }, { ms: 7, failure: { error } }]);
  });

  test('goes on as if nothing was when one who follows it throws, before or after running it', async () => {
    const [before, after] = [new Error('before'), new Error('after')];
    instruments.add({
      load: () => {
        throw before;
      },
    });
    instruments.add({
      load: (_, run) => {
        void run();
        throw after;
      },
    });
    const { run, runs, answer } = loading();
    const result = instruments.load(FACTS, run);
    answer('v');
    expect(await result).toBe('v');
    expect(runs()).toBe(1);
    expect(reported).toEqual([before, after]);
  });
});

test('waits are told to all who want to know, whatever one of them throws', () => {
  const error = new Error('no');
  const waits: unknown[] = [];
  instruments.add({
    waited: () => {
      throw error;
    },
  });
  instruments.add({ load: () => {} });
  instruments.add({ waited: (wait) => waits.push(wait) });
  instruments.waited(() => ({ key: 'k', cause: 'push', ms: 3, family: 'user' }));
  expect(waits).toEqual([{ key: 'k', cause: 'push', ms: 3, family: 'user' }]);
  expect(reported).toEqual([error]);
});

test('one that was taken away is told nothing more; the same one may follow twice', async () => {
  let told = 0;
  const instrument: Instrument = {
    load: () => {
      told += 1;
    },
  };
  const [first, second] = [instruments.add(instrument), instruments.add(instrument)];
  await instruments.load(FACTS, async () => {});
  expect(told).toBe(2);
  first();
  first();
  await instruments.load(FACTS, async () => {});
  expect(told).toBe(3);
  second();
  await instruments.load(FACTS, async () => {});
  expect(told).toBe(3);
});

test.for([undefined, null, 1, {}, { load: 1 }, { load: () => {}, waited: 'x' }])(
  'refuses %o as an instrument',
  (wrong) => {
    expect(() => instruments.add(wrong as never)).toThrow(
      expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
    );
  },
);

import { afterEach, describe, expect, test } from 'vitest';
import { Budget, TIMED_OUT } from '../src/budget.ts';
import { ManualClock, settled } from '../src/testing/index.ts';

interface Deferred {
  readonly promise: Promise<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

function deferred(): Deferred {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<unknown>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function setting(budgetMs = 100) {
  const clock = new ManualClock();
  const budget = new Budget(clock, budgetMs);
  const ended: unknown[] = [];
  const wait = (name: string) => {
    const work = deferred();
    budget.bound(work.promise).then(
      (value) => ended.push(value === TIMED_OUT ? `${name} timed out` : value),
      (error) => ended.push(error),
    );
    return work;
  };
  return { clock, budget, ended, wait };
}

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled).toEqual([]);
});

describe('settles', () => {
  test('as the promise does, and leaves no timer', async () => {
    const { clock, ended, wait } = setting();
    const first = wait('first');
    const second = wait('second');
    expect(clock.timers).toBe(1);
    first.resolve('value');
    await settled();
    expect([ended, clock.timers]).toEqual([['value'], 1]);
    second.reject('error');
    await settled();
    expect([ended, clock.timers]).toEqual([['value', 'error'], 0]);
  });

  test('with TIMED_OUT at the end of the budget, and not before', async () => {
    const { clock, ended, wait } = setting();
    wait('it');
    clock.advance(99);
    await settled();
    expect(ended).toEqual([]);
    clock.advance(1);
    await settled();
    expect([ended, clock.timers]).toEqual([['it timed out'], 0]);
  });

  test('each after its own budget, in the order in which they began, with one timer for all', async () => {
    const { clock, ended, wait } = setting();
    for (const name of ['a', 'b', 'c']) {
      wait(name);
      clock.advance(40);
    }
    expect([ended, clock.timers]).toEqual([[], 1]);
    await settled();
    expect(ended).toEqual(['a timed out']);
    clock.advance(59);
    await settled();
    expect(ended).toEqual(['a timed out', 'b timed out']);
    clock.advance(1);
    await settled();
    expect(ended).toEqual(['a timed out', 'b timed out', 'c timed out']);
    expect(clock.timers).toBe(0);
  });

  test('the later ones on time also when the first, for which the timer was set, ended well', async () => {
    const { clock, ended, wait } = setting();
    const first = wait('first');
    clock.advance(50);
    wait('second');
    first.resolve('value');
    await settled();
    clock.advance(99);
    await settled();
    expect(ended).toEqual(['value']);
    clock.advance(1);
    await settled();
    expect(ended).toEqual(['value', 'second timed out']);
  });

  test('all that are due, when the process was stopped meanwhile', async () => {
    const { clock, ended, wait } = setting();
    wait('a');
    clock.advance(10);
    wait('b');
    clock.jump(500);
    wait('c');
    clock.advance(5);
    await settled();
    expect(ended).toEqual(['a timed out', 'b timed out']);
    expect(clock.timers).toBe(1);
  });

  test('as the promise does when its answer came while the process was stopped', async () => {
    const { clock, ended, wait } = setting();
    const answered = wait('answered');
    wait('hung');
    clock.jump(500);
    // The timers of a loop that was blocked run before what has arrived meanwhile is read.
    clock.advance(0);
    answered.resolve('value');
    await settled();
    expect(ended).toEqual(['value']);
    clock.advance(5);
    await settled();
    expect([ended, clock.timers]).toEqual([['value', 'hung timed out'], 0]);
  });
});

test('a promise that settles after its time changes nothing, and a rejection is nobody’s', async () => {
  const { clock, ended, wait } = setting();
  const late = wait('late');
  const failing = wait('failing');
  clock.advance(100);
  late.resolve('too late');
  failing.reject(new Error('too late'));
  await settled();
  expect(ended).toEqual(['late timed out', 'failing timed out']);
});

test('one that settles late does not take the timer from those that still wait', async () => {
  const { clock, ended, wait } = setting();
  const late = wait('late');
  clock.advance(100);
  wait('next');
  late.resolve('too late');
  await settled();
  expect(clock.timers).toBe(1);
  clock.advance(100);
  await settled();
  expect(ended).toEqual(['late timed out', 'next timed out']);
});

test('a budget that was idle starts anew', async () => {
  const { clock, ended, wait } = setting();
  wait('a').resolve('value');
  await settled();
  clock.advance(1_000);
  wait('b');
  clock.advance(99);
  await settled();
  expect(ended).toEqual(['value']);
  clock.advance(1);
  await settled();
  expect(ended).toEqual(['value', 'b timed out']);
});

test('a thousand waits need one timer at a time', async () => {
  const { clock, ended, wait } = setting();
  for (let i = 0; i < 1_000; i += 1) {
    const work = wait(`${i}`);
    if (i % 2 === 0) work.resolve('value');
    await settled();
    clock.advance(1);
    expect(clock.timers).toBeLessThanOrEqual(1);
  }
  clock.advance(100);
  await settled();
  expect(ended.filter((each) => each === 'value')).toHaveLength(500);
  expect(ended).toHaveLength(1_000);
  expect(clock.timers).toBe(0);
});

describe('a required answer', () => {
  function required() {
    const { clock, budget } = setting();
    const told: string[] = [];
    const ended: unknown[] = [];
    const work = deferred();
    const ending = {
      answered: () => void told.push('answered'),
      failed: (cause: unknown) => `failed: ${cause}`,
      timedOut: () => 'timed out',
    };
    budget.require(work.promise, ending).then(
      (value) => ended.push(value),
      (error) => ended.push(error),
    );
    return { clock, work, told, ended };
  }

  test('is passed on, and its ending is told', async () => {
    const { clock, work, told, ended } = required();
    work.resolve('value');
    await settled();
    expect([ended, told, clock.timers]).toEqual([['value'], ['answered'], 0]);
  });

  test('that is refused is what its ending makes of it', async () => {
    const { work, told, ended } = required();
    work.reject('cause');
    await settled();
    expect([ended, told]).toEqual([['failed: cause'], []]);
  });

  test('that comes late is told to its ending, and to nobody else', async () => {
    const { clock, work, told, ended } = required();
    clock.advance(100);
    await settled();
    expect([ended, told]).toEqual([['timed out'], []]);
    work.resolve('too late');
    await settled();
    expect([ended, told]).toEqual([['timed out'], ['answered']]);
  });

  test('that is refused late is nobody’s', async () => {
    const { clock, work, told, ended } = required();
    clock.advance(100);
    work.reject('too late');
    await settled();
    expect([ended, told]).toEqual([['timed out'], []]);
  });
});

// What a change overtakes while it is on its way to its callers: nobody who comes later gets it, and
// nobody at all gets it for having aged (I1).
import { ManualClock, settled } from '@redcache/core/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { refreshAcquire } from '../src/scripts/refresh-acquire.ts';
import { type ModelProcess, quiet, startProcess } from './model/model-process.ts';
import { ModelRedis } from './model/model-redis.ts';
import { loader, watch } from './support/callers.ts';

let clock: ManualClock;
let redis: ModelRedis;
let one: ModelProcess;
let other: ModelProcess;

const AGED = { ttl: '1h', grace: '1h', staleIfError: '1h' } as const;

beforeEach(async () => {
  clock = new ManualClock();
  redis = new ModelRedis(clock);
  one = await startProcess(redis);
  other = await startProcess(redis);
  // The first load of a namespace begins its epoch; here all others know it.
  for (const { cache } of [one, other, one, other])
    await Promise.all([cache.get(`warm-up ${Math.random()}`, () => 1), idle()]);
});

afterEach(async () => {
  await done(Promise.all([one.cache.close(), other.cache.close()]));
  for (const each of [one, other]) each.assertNothingLeft();
  expect(clock.timers).toBe(0);
});

const idle = (): Promise<void> => quiet(one.connection, other.connection);
const done = async <T>(promise: Promise<T>): Promise<T> => {
  const [value] = await Promise.all([promise, idle()]);
  return value;
};

test('a value whose key changes while its tag is asked about', async () => {
  await done(other.cache.set('k', 'old', { tags: ['x'] }));
  const before = watch(one.cache.get('k', () => 'new'));
  await settled();
  one.connection.execute();
  one.connection.deliver();
  await settled();
  // The value is here, and the question for its tag on the way.
  expect(one.connection.toExecute).toBeGreaterThan(0);
  redis.by('DEL', 'k');
  one.connection.deliver();
  await settled();
  const after = watch(one.cache.get('k', () => 'new'));
  await idle();
  expect(before.value).toBe('old');
  expect(after.value).toBe('new');
});

describe.each([
  ['invalidateTag', (each: ModelProcess) => each.cache.invalidateTag('x')],
  ['clear', (each: ModelProcess) => each.cache.clear()],
])('a load that an earlier %s has overtaken', (_, change) => {
  test.each([
    ['in this process', () => one],
    ['in another one', () => other],
  ])('%s', async (_, by) => {
    const { load, runs } = loader();
    const options = { tags: () => ['x'] };
    const before = watch(one.cache.get('k', load, options));
    await idle();
    await done(change(by()));
    const after = watch(one.cache.get('k', load, options));
    await idle();
    runs[0]?.answer('old');
    await idle();
    expect(before.value).toBe('old');
    expect(after.done).toBe(false);
    runs[1]?.answer('new');
    await idle();
    expect(after.value).toBe('new');
    expect(await done(one.cache.get('k'))).toBe('new');
  });
});

describe('a value that has aged', () => {
  const stored = async (tags: string[] = []): Promise<void> => {
    await done(other.cache.get('k', () => 'old', { ...AGED, tags }));
    await done(other.cache.expire('k'));
  };

  test('is not served after timeout.soft if its key was deleted while another process loads it', async () => {
    await stored();
    const theirs = loader();
    expect(await done(other.cache.get('k', theirs.load, AGED))).toBe('old');
    const options = { ...AGED, timeout: { soft: '1s' } } as const;
    const { load, runs } = loader();
    const before = watch(one.cache.get('k', load, options));
    await idle();
    expect(one.cache.stats().waits).toBe(1);
    redis.by('DEL', 'k');
    await idle();
    const after = watch(one.cache.get('k', load, options));
    await idle();
    clock.advance(1_000);
    await idle();
    expect([before.value, after.value]).toEqual([undefined, undefined]);
    for (const { answer } of [...runs, ...theirs.runs]) answer('new');
    await idle();
    for (const { answer } of runs) answer('new');
    await idle();
    expect([before.value, after.value]).toEqual(['new', 'new']);
  });

  test.each([
    ['its key was deleted', () => void redis.by('DEL', 'k')],
    ['its tag was invalidated', () => other.cache.invalidateTag('x')],
    ['all was cleared here', () => one.cache.clear()],
  ])('is not served though its load fails or takes long, if meanwhile %s', async (_, change) => {
    await stored(['x']);
    const options = { ...AGED, timeout: { soft: '1s' } } as const;
    const { load, runs } = loader();
    const caller = watch(one.cache.get('k', load, options));
    await idle();
    await done(Promise.resolve(change()));
    clock.advance(1_000);
    await idle();
    expect(caller.done).toBe(false);
    const error = new Error('no database');
    runs[0]?.fail(error);
    await idle();
    expect(caller.error).toBe(error);
  });

  test('is not served if it was gone when its load was to be taken', async () => {
    await stored();
    const { load, runs } = loader();
    const caller = watch(one.cache.get('k', load, { ...AGED, grace: false }));
    for (;;) {
      await settled();
      if (one.connection.log.at(-1)?.includes(refreshAcquire.sha1)) break;
      one.connection.execute();
      one.connection.deliver();
    }
    redis.by('DEL', 'k');
    await idle();
    const error = new Error('no database');
    runs[0]?.fail(error);
    await idle();
    expect(caller.error).toBe(error);
  });

  test('is served if nothing of the kind happens', async () => {
    await stored(['x']);
    const options = { ...AGED, timeout: { soft: '1s' } } as const;
    const { load, runs } = loader();
    const caller = watch(one.cache.get('k', load, options));
    await idle();
    await done(other.cache.invalidateTag('another'));
    clock.advance(1_000);
    await idle();
    expect(caller.value).toBe('old');
    expect(runs[0]?.context.signal.aborted).toBe(false);
    // close() does not wait for a load whose callers have been served.
    const closing = watch(one.cache.close());
    await idle();
    expect(runs[0]?.context.signal.aborted).toBe(true);
    expect(closing.done).toBe(true);
  });
});

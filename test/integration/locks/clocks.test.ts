// Clocks that are wrong: no lease depends on one, and tokens rise as far as is promised.
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { ShiftedClock } from '../../support/shifted-clock.ts';
import { aborted, extensions, freshKey, inRedis, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;

/** A server of its own whose clock is off, and the right one beside it, in microseconds. */
async function startWithClock(offsetMs = 0) {
  const redis: StandaloneDeployment = await startStandalone();
  onTestFinished(() => redis.stop());
  const clock = await ShiftedClock.start(redis.node, offsetMs);
  onTestFinished(() => clock[Symbol.asyncDispose]());
  const trueTimeUs = async (): Promise<bigint> => {
    const [seconds, microseconds] = (await redis.node.ask('TIME')) as [string, string];
    return BigInt(seconds) * 1_000_000n + BigInt(microseconds);
  };
  return { redis, clock, trueTimeUs };
}

describe.for([5_000, -5_000])('where the clock of the server is off by %i ms', (offsetMs) => {
  test('the token is what that clock says', async () => {
    const { clock, trueTimeUs } = await startWithClock(offsetMs);
    const { locks } = await openLocks(clock.url);
    const before = await trueTimeUs();
    const { fencingToken } = await locks.acquire('k');
    const after = await trueTimeUs();
    const offsetUs = BigInt(offsetMs) * 1_000n;
    expect(fencingToken).toBeGreaterThanOrEqual(before + offsetUs);
    expect(fencingToken).toBeLessThanOrEqual(after + offsetUs);
  });

  test('a lock is extended, heard of, waited for and lost as ever', async () => {
    const { redis, clock } = await startWithClock(offsetMs);
    const one = await openLocks(clock.url);
    const two = await openLocks(clock.url);
    const lock = await one.locks.acquire('k', { lease: 450 });
    let granted = false;
    const waiting = two.locks.acquire('k', HOURLY).then((next) => {
      granted = true;
      return next;
    });
    await extensions(lock, 6);
    expect(granted).toBe(false);
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    const next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    const loss = aborted(next.signal);
    await redis.node.ask('DEL', inRedis('k'));
    expect(await loss).toMatchObject({ reason: 'deleted' });
    expect(clock.shifted).toBeGreaterThan(0);
  });

  test('a lease that is not extended ends when it should, for its holder before it does for others', async () => {
    const { clock } = await startWithClock(offsetMs);
    const one = await openLocks(clock.url);
    const two = await openLocks(clock.url);
    const lock = await one.locks.acquire('k', { lease: 200, autoExtend: false });
    const next = await two.locks.acquire('k', HOURLY);
    expect(lock.remainingMs()).toBe(0);
    expect(lock.signal.reason).toMatchObject({
      reason: expect.stringMatching(/expired|deleted|taken/),
    });
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(await lock.release()).toBe('lost');
    expect(next.signal.aborted).toBe(false);
  });

  test('a process whose own clock is off by as much keeps its lock and its turn', async () => {
    const key = freshKey('own clock');
    vi.setSystemTime(Date.now() + offsetMs);
    onTestFinished(() => void vi.useRealTimers());
    const one = await openLocks(url);
    const two = await openLocks(url);
    const lock = await one.locks.acquire(key, { lease: 450 });
    const waiting = two.locks.acquire(key, HOURLY);
    await extensions(lock, 3);
    // The clock of the process is set right while it holds and waits.
    vi.useRealTimers();
    await extensions(lock, 3);
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  });
});

test.for(['release', 'expiry', 'DEL'] as const)(
  'tokens rise across a %s though the clock of the server was set back by 5 s',
  async (end) => {
    const { redis, clock } = await startWithClock();
    const { locks } = await openLocks(clock.url);
    const brief = { lease: 50, autoExtend: false };
    const lock = await locks.acquire('k', end === 'expiry' ? brief : HOURLY);
    clock.offsetMs = -5_000;
    if (end === 'release') await lock.release();
    if (end === 'DEL') await redis.node.ask('DEL', inRedis('k'));
    const next = await locks.acquire('k', HOURLY);
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    await next.release();
    clock.offsetMs = 5_000;
    expect((await locks.acquire('k')).fencingToken).toBeGreaterThan(next.fencingToken);
  },
);

test('tokens rise across a flush after which the clock was not set back further than was waited', async () => {
  const { redis, clock, trueTimeUs } = await startWithClock();
  const { locks } = await openLocks(clock.url);
  const lock = await locks.acquire('k', HOURLY);
  await redis.node.ask('FLUSHALL');
  clock.offsetMs = -100;
  await eventually(async () => (await trueTimeUs()) - 100_000n > lock.fencingToken);
  expect((await locks.acquire('k')).fencingToken).toBeGreaterThan(lock.fencingToken);
});

test('the limit that is documented: tokens fall if all is flushed and the clock set back at once', async () => {
  const { redis, clock } = await startWithClock();
  const { locks } = await openLocks(clock.url);
  const lock = await locks.acquire('k', HOURLY);
  await redis.node.ask('FLUSHALL');
  clock.offsetMs = -5_000;
  expect((await locks.acquire('k')).fencingToken).toBeLessThan(lock.fencingToken);
});

// A process passes its lease among its own callers.
import { ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import { openLocks, sentOf } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

const LEASE_MS = 3_000;

/** Names of what was sent since the last look. */
const sent = (port: { log: string[] }): string[] => sentOf(port);

/** A lock that is held, and so many callers of the same process who wait for it. */
async function heldBefore(callers: number, ...settings: Parameters<typeof openLocks>) {
  const ground = await openLocks(...settings);
  const first = ground.locks.acquire('k');
  const waiting = Array.from({ length: callers }, () => ground.locks.acquire('k'));
  const lock = await first;
  await settled();
  sent(ground.port);
  return { ...ground, lock, waiting };
}

test('the next caller gets it without a round trip, with a token and a signal of its own', async () => {
  const { lock, waiting, port, locks } = await heldBefore(2);
  const { signal } = lock;
  const before = sent(port);
  expect(await lock.release()).toBe('released');
  const second = await waiting[0];
  expect(second?.holder).toBe(lock.holder);
  expect(second?.fencingToken).toBe(lock.fencingToken + 1n);
  expect(second?.signal).not.toBe(signal);
  await second?.release();
  const third = await waiting[1];
  // One token was asked for with the lease; those who came behind cost one extension for all.
  expect([...before, ...sent(port)]).toEqual(['extend']);
  expect(locks.stats()).toMatchObject({ acquired: 3, handOffs: 2, held: 1, extensions: 1 });
  expect(await third?.release()).toBe('released');
  expect(sent(port)).toEqual(['release']);
  // The locks that were passed on are not concerned by what comes after.
  expect(signal.aborted).toBe(false);
});

test('tokens are reserved for those who wait, so that a long queue costs few extensions', async () => {
  const { lock, waiting, port } = await heldBefore(1_000);
  await lock.release();
  let last = lock.fencingToken;
  for (const next of waiting) {
    const got = await next;
    expect(got.fencingToken).toBeGreaterThan(last);
    last = got.fencingToken;
    await got.release();
  }
  expect(sent(port).length).toBeLessThan(5);
});

test.for([
  ['less than half of it is left', {}, 2_000],
  ['the next wants a longer one', { lease: 9_000 }, 0],
  ['the next wants a shorter one', { lease: 300 }, 0],
  ['the next wants one that is not extended', { autoExtend: false }, 0],
] as const)('the lease is extended before it is passed on when %s', async ([, wanted, afterMs]) => {
  const { locks, port, clock, server } = await openLocks();
  const lock = await locks.acquire('k', { autoExtend: afterMs === 0 });
  const waiting = locks.acquire('k', wanted);
  await pass(clock, afterMs);
  sent(port);
  await lock.release();
  const next = await waiting;
  expect(sent(port)).toEqual(['extend']);
  const leaseMs = 'lease' in wanted ? wanted.lease : LEASE_MS;
  expect(server.pttl('l:k')).toBe(leaseMs);
  expect(next.remainingMs()).toBe(leaseMs - leaseMs * 0.01 - 2);
  await pass(clock, leaseMs, 50);
  expect(next.remainingMs() > 0).toBe(!('autoExtend' in wanted));
  await locks.close();
});

test('a lease that could not be extended is given up, and the next is asked for anew', async () => {
  const { locks, port, clock, server } = await openLocks();
  const lock = await locks.acquire('k', { autoExtend: false });
  const waiting = locks.acquire('k');
  await pass(clock, 2_000);
  port.hang();
  const released = lock.release().catch(({ code }) => code);
  // Neither the extension nor the release is answered in time.
  await pass(clock, 250);
  port.resume();
  await pass(clock, 60);
  expect(await released).toBe('REDCACHE_OUTCOME_UNKNOWN');
  const next = await waiting;
  expect(next.holder).not.toBe(lock.holder);
  expect(server.get('l:k')).toMatch(next.holder);
});

test('a lease that is lost with its holder is not passed on', async () => {
  const { lock, waiting, server, clock } = await heldBefore(1);
  server.set('l:k', '0-b:9', 500);
  await settled();
  expect(lock.signal.reason).toMatchObject({ reason: 'taken' });
  expect(await lock.release()).toBe('lost');
  const [next] = waiting;
  await pass(clock, 600, 10);
  expect((await next)?.holder).not.toBe(lock.holder);
});

test('one that is in doubt is given back and asked for anew, behind nobody', async () => {
  const { lock, waiting, port, server } = await heldBefore(1);
  port.hang();
  server.pexpire('l:k', 60_000);
  const released = lock.release();
  port.resume();
  expect(await released).toBe('released');
  const next = await waiting[0];
  expect(server.get('l:k')).toMatch(next?.holder ?? '-');
});

test('who goes while the lease is made ready leaves it to the one behind', async () => {
  const { locks, clock, server } = await openLocks();
  const lock = await locks.acquire('k', { autoExtend: false });
  const controller = new AbortController();
  const gone = locks.acquire('k', { signal: controller.signal });
  const behind = locks.acquire('k');
  await pass(clock, 2_000);
  const released = lock.release();
  controller.abort('gone');
  await expect(gone).rejects.toBe('gone');
  expect(await released).toBe('released');
  const next = await behind;
  expect(server.get('l:k')).toMatch(next.holder);
});

test('when the last who waited goes while the lease is made ready, it is given back', async () => {
  const { locks, clock, server } = await openLocks();
  const lock = await locks.acquire('k', { autoExtend: false });
  const controller = new AbortController();
  const gone = locks.acquire('k', { signal: controller.signal });
  await pass(clock, 2_000);
  const released = lock.release();
  controller.abort('gone');
  await expect(gone).rejects.toBe('gone');
  expect(await released).toBe('released');
  await settled();
  expect(server.get('l:k')).toBe(undefined);
  expect(clock.timers).toBe(0);
});

/** A process that goes on passing the lock to itself, and another that waits; who got it, in order. */
async function race(handoff: { maxMs: number; maxCount: number }, holdMs: number) {
  const server = new ModelServer(new ManualClock());
  const one = await openLocks({ handoff }, server);
  const two = await openLocks({ handoff }, server);
  const order: string[] = [];
  const hold = async (locks: typeof one.locks, name: string): Promise<void> => {
    const lock = await locks.acquire('k');
    order.push(name);
    await pass(server.clock, holdMs);
    await lock.release();
  };
  const first = await one.locks.acquire('k');
  const many = Array.from({ length: 8 }, () => hold(one.locks, 'own'));
  const foreign = hold(two.locks, 'foreign');
  await settled();
  await first.release();
  await Promise.all([...many, foreign]);
  return order;
}

test('a process gives the lock up to others that wait after so many of its own callers', async () => {
  const order = await race({ maxMs: 1_000_000, maxCount: 3 }, 0);
  expect(order.indexOf('foreign')).toBe(2);
});

test('a process gives the lock up to others that wait after so much time', async () => {
  const order = await race({ maxMs: 100, maxCount: 1_000 }, 40);
  expect(order.indexOf('foreign')).toBe(3);
});

test('a process that nobody waits behind goes on for as long as it has callers', async () => {
  const { lock, waiting, port, clock } = await heldBefore(40, {
    handoff: { maxMs: 10, maxCount: 2 },
  });
  let current: Lock = lock;
  for (const next of waiting) {
    await pass(clock, 20);
    await current.release();
    current = await next;
    expect(current.holder).toBe(lock.holder);
  }
  expect(sent(port)).not.toContain('release');
});

test('tryAcquire gets null from a process that has the lock, and what is free past those who wait', async () => {
  const server = new ModelServer(new ManualClock());
  const one = await openLocks({}, server);
  const two = await openLocks({}, server);
  const lock = await one.locks.acquire('k');
  const waiting = two.locks.acquire('k');
  await settled();
  expect(await one.locks.tryAcquire('k')).toBe(null);
  expect(await two.locks.tryAcquire('k')).toBe(null);
  await lock.release();
  expect(await one.locks.tryAcquire('k')).toBe(null);
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
});

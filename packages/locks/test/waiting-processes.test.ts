// Processes that wait for one lock stand in a queue in Redis.
import { ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import { OFFER_MS } from '../src/scripts/queue.ts';
import { type LockGround, openLocks, sentOf } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

/** Names of what was sent since the last look. */
const sent = ({ port }: LockGround): string[] => sentOf(port);

interface Waiting {
  readonly ground: LockGround;
  readonly lock: Promise<Lock>;
  readonly abort: AbortController;
}

/** A lock that one process holds, and as many that wait for it in order. */
async function queueOf(processes: number, lease = 60_000) {
  const server = new ModelServer(new ManualClock());
  const holder = await openLocks({}, server);
  const lock = await holder.locks.acquire('k', { lease });
  const waiting: Waiting[] = [];
  for (let i = 0; i < processes; i += 1) {
    const ground = await openLocks({}, server);
    const abort = new AbortController();
    const options = { lease, signal: abort.signal };
    waiting.push({ ground, abort, lock: ground.locks.acquire('k', options) });
    waiting.at(-1)?.lock.catch(() => {});
    await settled();
  }
  for (const ground of [holder, ...waiting.map(({ ground }) => ground)]) sent(ground);
  const at = (i: number): Waiting => waiting[i] as Waiting;
  return { server, clock: server.clock, holder, lock, waiting, at };
}

test('they get the lock in the order in which they came, and a hand-over costs the others nothing', async () => {
  const { lock, waiting, holder } = await queueOf(20);
  expect(await lock.release()).toBe('released');
  expect(sent(holder)).toEqual(['release']);
  for (const [i, { lock, ground }] of waiting.entries()) {
    const got = await lock;
    expect(got.remainingMs()).toBeGreaterThan(0);
    // What it was offered it takes; those behind it have not stirred.
    expect(sent(ground)).toEqual(['join']);
    for (const { ground } of waiting.slice(i + 1)) expect(sent(ground)).toEqual([]);
    expect(await got.release()).toBe('released');
    expect(sent(ground)).toEqual(['release']);
  }
});

test('one that had to share the lock before joins the queue at once', async () => {
  const { lock, at, server } = await queueOf(2);
  await lock.release();
  await (await at(0).lock).release();
  const held = await at(1).lock;
  // It knows that others wanted it; the one before it that nobody did.
  sent(at(0).ground);
  const again = at(0).ground.locks.acquire('k');
  await settled();
  expect(sent(at(0).ground)).toEqual(['join']);
  await held.release();
  await (await again).release();
  await settled();
  expect(server.get('l:k')).toBe(undefined);
});

test('a holder learns at once that others wait, by one look, however many they are', async () => {
  const server = new ModelServer(new ManualClock());
  const holder = await openLocks({}, server);
  await holder.locks.acquire('k');
  sent(holder);
  for (let i = 0; i < 5; i += 1) {
    const { locks } = await openLocks({}, server);
    locks.acquire('k').catch(() => {});
    await settled();
  }
  expect(sent(holder)).toEqual(['GET', 'PTTL']);
  const { local } = await holder.locks.inspect('k');
  expect(local.leases).toMatchObject([{ isContended: true }]);
});

test('those who wait are told of no extension but the first of them', async () => {
  const { clock, at, holder, lock } = await queueOf(3, 3_000);
  await pass(clock, 900, 50);
  for (const i of [0, 1, 2]) expect(sent(at(i).ground)).toEqual([]);
  await pass(clock, 150, 50);
  expect(sent(holder)).toEqual(['extend']);
  expect(sent(at(0).ground)).toEqual(['join']);
  for (const i of [1, 2]) expect(sent(at(i).ground)).toEqual([]);
  // Each looks when the lease as it last saw it would be over, one after the other.
  await pass(clock, 2_100, 10);
  for (const i of [1, 2]) expect(sent(at(i).ground)).toEqual(['join']);
  expect(lock.remainingMs()).toBeGreaterThan(0);
});

test('the first hears of a lock that somebody deletes', async () => {
  const { server, at } = await queueOf(2);
  server.del('l:k');
  const got = await at(0).lock;
  expect(server.get('l:k')).toBe(`${got.holder}:${got.fencingToken}+`);
});

test('the next in the queue hears of a deletion when it has become the first', async () => {
  const { server, at, lock, clock } = await queueOf(3);
  await lock.release();
  await at(0).lock;
  // It has looked after the one before it, once.
  await pass(clock, OFFER_MS + 20, 20);
  expect(sent(at(1).ground)).toEqual(['join']);
  expect(sent(at(2).ground)).toEqual([]);
  server.del('l:k');
  const got = await at(1).lock;
  expect(server.get('l:k')).toMatch(got.holder);
});

test('one that takes its turn before the next has looked costs that one nothing', async () => {
  const { at, lock, clock } = await queueOf(3);
  await lock.release();
  const first = await at(0).lock;
  await pass(clock, 50);
  await first.release();
  await at(1).lock;
  expect(sent(at(1).ground)).toEqual(['join']);
});

test('a head that is heard of no more is skipped when what it was offered is over', async () => {
  const { server, at, lock, clock } = await queueOf(3);
  at(0).ground.port.hang();
  await lock.release();
  await pass(clock, OFFER_MS - 20, 20);
  expect(server.get('l:k')).toMatch(/:0\+$/);
  await pass(clock, 60, 20);
  const got = await at(1).lock;
  expect(server.get('l:k')).toBe(`${got.holder}:${got.fencingToken}+`);
  // The one that was skipped comes to itself, and stands behind those who came after it.
  at(0).ground.port.resume();
  await settled();
  await got.release();
  const last = await at(2).lock;
  await last.release();
  expect((await at(0).lock).remainingMs()).toBeGreaterThan(0);
});

test('those that were heard of no more long ago are not offered anything', async () => {
  const { server, at, lock, clock } = await queueOf(3, 3_000);
  for (const i of [0, 1]) at(i).ground.port.hang();
  // The promise of those two to ask again is broken, and its grace is over.
  await pass(clock, 7_500, 100);
  await lock.release();
  expect(server.get('l:k')).not.toMatch(/:0\+$/);
  expect((await at(2).lock).remainingMs()).toBeGreaterThan(0);
});

test.for([0, 1, 2])('number %i in the queue leaves no gap when it goes', async (goes) => {
  const { server, at, lock, clock } = await queueOf(3);
  at(goes).abort.abort('gone');
  await expect(at(goes).lock).rejects.toBe('gone');
  await settled();
  expect(sent(at(goes).ground)).toEqual(['release']);
  await lock.release();
  for (const i of [0, 1, 2].filter((each) => each !== goes)) {
    const got = await at(i).lock;
    expect(server.get('l:k')).toMatch(got.holder);
    await got.release();
  }
  await settled();
  expect(server.get('l:k')).toBe(undefined);
  expect(clock.timers).toBe(0);
});

test('the next in the queue is the first when the first goes', async () => {
  const { server, at, clock } = await queueOf(3);
  at(0).abort.abort('gone');
  await settled();
  // It looks, since nobody was offered anything.
  await pass(clock, OFFER_MS + 20, 20);
  expect(sent(at(1).ground)).toEqual(['join']);
  server.del('l:k');
  expect((await at(1).lock).remainingMs()).toBeGreaterThan(0);
});

test('what was offered to one that goes is offered to the next', async () => {
  const { server, at, lock } = await queueOf(2);
  at(0).ground.port.hang();
  await lock.release();
  at(0).abort.abort('gone');
  at(0).ground.port.resume();
  const got = await at(1).lock;
  expect(server.get('l:k')).toBe(`${got.holder}:${got.fencingToken}`);
});

test('a flush ends the queue, and all of them ask anew', async () => {
  const { server, waiting } = await queueOf(4);
  server.flush();
  await settled();
  expect(waiting.every(({ ground }) => sent(ground).includes('join'))).toBe(true);
  let holding = 0;
  const all = waiting.map(async ({ lock }) => {
    const got = await lock;
    holding += 1;
    expect(holding).toBe(1);
    await settled();
    holding -= 1;
    await got.release();
  });
  await Promise.all(all);
});

test('inspect names the holder, those who wait and for how long, and what is known here', async () => {
  const { at, holder, lock, clock } = await queueOf(2);
  const local = holder.locks.acquire('k');
  local.catch(() => {});
  await pass(clock, 40);
  const view = await holder.locks.inspect('k');
  expect(view).toMatchObject({
    key: 'k',
    holder: { holder: lock.holder, fencingToken: lock.fencingToken, isOurs: true },
    waitingProcesses: 2,
    waiting: [{ waitedMs: 40 }, { waitedMs: 40 }],
    local: {
      leases: [{ holder: lock.holder, heldMs: 40, passes: 1, locks: [{ heldMs: 40 }] }],
      waiting: [{ waitedMs: 40 }],
    },
  });
  expect(view.holder?.remainingMs).toBe(60_000 - 40);
  const elsewhere = await at(1).ground.locks.inspect('k');
  expect(elsewhere).toMatchObject({ holder: { isOurs: false }, local: { leases: [] } });
  expect(elsewhere.local.waiting).toHaveLength(1);
  expect(await at(0).ground.locks.inspect('free')).toEqual({
    ...{ key: 'free', holder: null, waitingProcesses: 0, waiting: [] },
    local: { leases: [], waiting: [] },
  });
});

test('a lock on offer is shown as such', async () => {
  const { at, holder, lock } = await queueOf(1);
  at(0).ground.port.hang();
  await lock.release();
  const { holder: offered } = await holder.locks.inspect('k');
  expect(offered).toMatchObject({ fencingToken: 0n, remainingMs: OFFER_MS, isOurs: false });
});

test('one that becomes the second in line while its answer is on the way looks after the first all the same', async () => {
  const { lock, at, server, clock } = await queueOf(1);
  const { locks, port } = await openLocks({}, server);
  port.delay();
  const waiting = locks.acquire('k');
  await settled();
  // It is refused, and stands in the queue: that answer is on the way.
  port.resume();
  port.delay();
  await settled();
  expect((await at(0).ground.locks.inspect('k')).waitingProcesses).toBe(2);
  at(0).ground.port.hang();
  await lock.release();
  port.resume();
  await pass(clock, OFFER_MS + 100, 20);
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
  at(0).ground.port.resume();
});

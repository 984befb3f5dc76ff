import { ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import { hear, openLocks } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

const OF_COUNTED = ' of counted';
/** Names of what was sent since the last look. */
const sent = (port: { log: string[] }): string[] =>
  port.log.splice(0).map((name) => name.replace(OF_COUNTED, ''));

/** Several processes beside each other. */
async function processes(count: number) {
  const server = new ModelServer(new ManualClock());
  const all = [];
  for (let i = 0; i < count; i += 1) all.push(await openLocks({}, server));
  return { server, clock: server.clock, all };
}

test('taking, extending and releasing a permit cost one command each', async () => {
  const { locks, port } = await openLocks();
  const lock = await locks.semaphore('k', 2).acquire();
  await lock.extend();
  expect(await lock.release()).toBe('released');
  await settled();
  expect(sent(port)).toEqual(['take', 'extend', 'release']);
});

test('a process holds as many permits as there are, and passes each on without a round trip', async () => {
  const { locks, port, server } = await openLocks();
  const semaphore = locks.semaphore('k', 2);
  const first = await Promise.all([semaphore.acquire(), semaphore.acquire()]);
  expect(server.counted.standing('l:k', '{l:k}:holders').size).toBe(2);
  let inside = 2;
  const all = Array.from({ length: 20 }, () =>
    semaphore.withLock(async () => {
      inside += 1;
      expect(inside).toBeLessThanOrEqual(2);
      await settled();
      inside -= 1;
    }),
  );
  await settled();
  sent(port);
  for (const lock of first) {
    inside -= 1;
    await lock.release();
  }
  await Promise.all(all);
  // Tokens for those who came after the permits were asked for.
  const commands = sent(port);
  expect(commands.filter((name) => name === 'release')).toHaveLength(2);
  expect(commands).not.toContain('join');
  expect(commands.length).toBeLessThan(8);
});

test('who holds and who waits can be asked', async () => {
  const { all, clock } = await processes(2);
  const [one, two] = all.map(({ locks }) => locks.semaphore('k', 1));
  const lock = await one?.acquire({ lease: '2s', autoExtend: false });
  void two?.acquire().catch(() => {});
  await settled();
  await pass(clock, 100);
  const seen = await one?.inspect();
  expect(seen).toMatchObject({
    key: 'k',
    holding: 1,
    holders: [{ holder: lock?.holder, access: 'read', remainingMs: 1_900, isOurs: true }],
    waitingProcesses: 1,
    waiting: [{ waitedMs: 100 }],
    local: { leases: [{ holder: lock?.holder, heldMs: 100, passes: 1 }], waiting: [] },
  });
  expect(await two?.inspect()).toMatchObject({
    holders: [{ isOurs: false }],
    local: { leases: [], waiting: [{ waitedMs: 100 }] },
  });
  await Promise.all(all.map(({ locks }) => locks.close()));
});

test('a permit whose lease ends is had at once by one who has just become the first', async () => {
  const { all, clock } = await processes(4);
  const [one, two, three, four] = all.map(({ locks }) => locks.semaphore('k', 2));
  const lock = await one?.acquire();
  await two?.acquire({ lease: 500, autoExtend: false });
  const next = three?.acquire();
  await settled();
  const last = four?.acquire();
  let isHad = false;
  void last?.then(() => {
    isHad = true;
  });
  await pass(clock, 300);
  await lock?.release();
  await next;
  await pass(clock, 100);
  expect(isHad).toBe(false);
  // Longer than the lease, shorter than one who was made an offer is waited for.
  await pass(clock, 200);
  expect(isHad).toBe(true);
  await Promise.all(all.map(({ locks }) => locks.close()));
});

test('another number of permits is refused while anybody holds or waits, and then no more', async () => {
  const { locks } = await openLocks();
  const lock = await locks.semaphore('k', 2).acquire({ lease: '1s', autoExtend: false });
  await expect(locks.semaphore('k', 3).acquire()).rejects.toMatchObject({
    code: 'REDCACHE_CONFIG',
    message:
      "lock 'k': its key in Redis is in use as a semaphore of 2 permits, not as a semaphore of 3 permits",
  });
  expect(lock.signal.aborted).toBe(false);
  await lock.release();
  await locks.semaphore('k', 3).withLock(() => {});
});

test.for([0, -1, 1.5, Number.NaN, '3', 1_000_001])(
  '%s is no number of permits',
  async (permits) => {
    const { locks } = await openLocks();
    expect(() => locks.semaphore('k', permits as number)).toThrow('semaphore: permits');
  },
);

test('readers share a lease as soon as the first has it', async () => {
  const { locks, port } = await openLocks();
  const lock = locks.readWrite('k');
  const readers = await Promise.all(Array.from({ length: 10 }, () => lock.read()));
  expect(new Set(readers.map(({ holder }) => holder)).size).toBe(1);
  expect(sent(port)).toEqual(['take', 'extend']);
  for (const reader of readers) await reader.release();
  expect(sent(port)).toEqual(['release']);
});

test('readers learn within the limits of a hand-off that somebody waits, and no more join them', async () => {
  const { all, clock } = await processes(2);
  const [one, two] = all.map(({ locks }) => locks.readWrite('k'));
  const first = await one?.read();
  const writing = two?.write();
  await settled();
  await pass(clock, 60);
  const late = one?.read();
  await settled();
  // It has asked whether it may join the first, and then for a lease of its own.
  expect(all.map(({ port }) => sent(port))[0]).toEqual(['take', 'extend', 'take', 'join']);
  await first?.release();
  const writer = await writing;
  expect(writer?.signal.aborted).toBe(false);
  await writer?.release();
  expect((await late)?.fencingToken).toBeGreaterThan(writer?.fencingToken as bigint);
});

test('nobody joins readers on tokens that were reserved before somebody else waited', async () => {
  const { all, clock } = await processes(2);
  const [one, two] = all.map(({ locks }) => locks.readWrite('k'));
  const readers = await Promise.all(Array.from({ length: 10 }, () => one?.read()));
  const writing = two?.write();
  await pass(clock, 60);
  // There are tokens left for this one.
  const late = one?.read();
  await settled();
  expect(await Promise.all(all.map(({ locks }) => locks.stats().waiting))).toEqual([1, 1]);
  for (const reader of readers) await reader?.release();
  const writer = await writing;
  await writer?.release();
  expect((await late)?.fencingToken).toBeGreaterThan(writer?.fencingToken as bigint);
});

test('a permit that is passed on goes to those who wait elsewhere when its time is over', async () => {
  const { all, clock } = await processes(2);
  const [one, two] = all.map(({ locks }) => locks.semaphore('k', 1));
  const order: string[] = [];
  let lock = (await one?.acquire()) as Lock;
  const elsewhere = two?.acquire().then((lock) => {
    order.push('elsewhere');
    return lock;
  });
  await settled();
  const here = one?.acquire().then(() => order.push('here'));
  await pass(clock, 60);
  await lock.release();
  lock = (await elsewhere) as Lock;
  expect(order).toEqual(['elsewhere']);
  await lock.release();
  await here;
  expect(order).toEqual(['elsewhere', 'here']);
});

test('readers whose lease can not be made ready keep it, and the next is bid for', async () => {
  const { locks, port, clock } = await openLocks();
  const lock = locks.readWrite('k');
  const first = await lock.read({ lease: '3s' });
  await pass(clock, 60);
  port.hang();
  // It would join the first, but the tokens have lapsed, and Redis does not say anything.
  const next = lock.read({ lease: '3s' });
  await pass(clock, 150);
  port.resume();
  await pass(clock, 100);
  expect((await next).holder).not.toBe(first.holder);
  expect(first.signal.aborted).toBe(false);
  await locks.close();
});

test('whoever was offered a permit and does not come is passed over', async () => {
  const woken = hear('redcache:lock:woken');
  const { all, clock } = await processes(3);
  const [one, two, three] = all.map(({ locks }) => locks.semaphore('k', 1));
  const lock = await one?.acquire();
  void two?.acquire().catch(() => {});
  await settled();
  const waiting = three?.acquire();
  await settled();
  all[1]?.port.hang();
  await lock?.release();
  await pass(clock, 900);
  expect(woken).toEqual([]);
  await pass(clock, 200);
  const { holder } = (await waiting) as Lock;
  expect(woken).toEqual([{ key: 'k', holder, cause: 'timer' }]);
  all[1]?.port.resume();
  await Promise.all(all.map(({ locks }) => locks.close()));
});

test('a permit is free the moment its lease ends on the server', async () => {
  const { all, clock } = await processes(2);
  const [one, two] = all.map(({ locks }) => locks.semaphore('k', 1));
  const lock = await one?.acquire({ lease: 500, autoExtend: false });
  await pass(clock, 499, 499);
  expect(lock?.remainingMs()).toBe(0);
  expect(await two?.tryAcquire()).toBe(null);
  await pass(clock, 1);
  expect(await two?.tryAcquire()).not.toBe(null);
});

test('the gate is written again long before it could end, and every holder looks once', async () => {
  const { all, clock } = await processes(2);
  const [one, two] = all.map(({ locks }) => locks.semaphore('k', 2));
  const [a, b] = [await one?.acquire({ lease: '60s' }), await two?.acquire({ lease: '60s' })];
  for (const { port } of all) sent(port);
  await pass(clock, 31 * 60_000, 1_000);
  const commands = all.map(({ port }) => sent(port));
  const looks = commands.flat().filter((name) => name === 'look');
  // Whoever extends first after half of the time writes it; the other hears of it.
  expect(looks).toHaveLength(1);
  expect([a?.signal.aborted, b?.signal.aborted]).toEqual([false, false]);
  await Promise.all(all.map(({ locks }) => locks.close()));
});

test('a release of somebody else makes nobody look, and a DEL of the gate everybody', async () => {
  const { all, server } = await processes(3);
  const locks = await Promise.all(all.map(({ locks }) => locks.semaphore('k', 3).acquire()));
  for (const { port } of all) sent(port);
  await locks[2]?.release();
  await settled();
  expect(all.map(({ port }) => sent(port))).toEqual([[], [], ['release']]);
  server.del('l:k');
  await settled();
  expect(locks[0]?.signal.reason).toMatchObject({ reason: 'deleted' });
  expect(locks[1]?.signal.reason).toMatchObject({ reason: 'deleted' });
});

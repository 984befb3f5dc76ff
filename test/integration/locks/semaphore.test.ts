import { setImmediate } from 'node:timers/promises';
import type { Lock } from '@redcache/locks';
import { expect, inject, test } from 'vitest';
import type { handlers as locker } from '../../children/locker-counted.ts';
import { startChildren } from '../../support/children.ts';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { aborted, freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

/** Where the holders of a key stand, with the default prefix. */
const holdersOf = (key: string): string => `{${inRedis(key)}}:holders`;

/** Redis itself answers how many hold a permit that has not ended. */
async function heldInRedis(client: Awaited<ReturnType<typeof openClient>>, key: string) {
  const [seconds, us] = (await client.sendCommand(['TIME'])) as [string, string];
  const nowMs = Number(seconds) * 1_000 + Math.floor(Number(us) / 1_000);
  return client.zCount(holdersOf(key), `(${nowMs}`, '+inf');
}

test('as many as there are permits hold one at a time, of many callers of many clients', async () => {
  const key = freshKey('contended');
  const all = await Promise.all(Array.from({ length: 4 }, () => openLocks(url)));
  let [inside, most] = [0, 0];
  const tokens = new Set<bigint>();
  await Promise.all(
    all.flatMap(({ locks }) =>
      Array.from({ length: 25 }, () =>
        locks.semaphore(key, 3).withLock(async (lock) => {
          inside += 1;
          most = Math.max(most, inside);
          tokens.add(lock.fencingToken);
          for (let i = 0; i < 3; i += 1) await setImmediate();
          expect(inside).toBeLessThanOrEqual(3);
          inside -= 1;
        }),
      ),
    ),
  );
  expect(tokens.size).toBe(100);
  expect(most).toBe(3);
  const client = await openClient(url);
  await eventually(async () => (await client.exists([inRedis(key), holdersOf(key)])) === 0);
});

test('the permits of one process are held side by side, and handed on in order', async () => {
  const key = freshKey('one process');
  const { locks } = await openLocks(url);
  const semaphore = locks.semaphore(key, 2);
  const [one, two] = await Promise.all([semaphore.acquire(), semaphore.acquire()]);
  expect(one.holder).not.toBe(two.holder);
  expect(await semaphore.tryAcquire()).toBe(null);
  const order: number[] = [];
  const waiting = [0, 1, 2].map(async (i) => {
    const lock = await semaphore.acquire();
    order.push(i);
    return lock;
  });
  expect(await two.release()).toBe('released');
  const third = (await waiting[0]) as Lock;
  expect(third.holder).toBe(two.holder);
  expect(third.fencingToken).toBeGreaterThan(two.fencingToken);
  await one.release();
  await third.release();
  for (const lock of await Promise.all(waiting)) await lock.release();
  expect(order).toEqual([0, 1, 2]);
});

test('whoever waits is woken by the push when any permit is given back, and nobody else is', async () => {
  const woken = hear('redcache:lock:woken');
  const waits = hear('redcache:lock:waiting');
  const key = freshKey('push');
  const clients = await Promise.all(Array.from({ length: 4 }, () => openLocks(url)));
  const [one, two, three, four] = clients.map(({ locks }) => locks.semaphore(key, 2));
  await one?.acquire({ lease: '60s' });
  const lock = await two?.acquire({ lease: '60s' });
  const waiting = three?.acquire();
  await eventually(() => waits.length === 1);
  await eventually(async () => (await three?.inspect())?.waitingProcesses === 1);
  const behind = four?.acquire();
  await eventually(async () => (await four?.inspect())?.waitingProcesses === 2);
  const seen = await three?.inspect();
  await lock?.release();
  const got = await waiting;
  expect(seen?.waiting[0]?.holder).toBe(got?.holder);
  expect(woken.map(({ cause, holder }) => [cause, holder])).toEqual([['push', got?.holder]]);
  await got?.release();
  await behind;
  expect(woken.map(({ cause }) => cause)).toEqual(['push', 'push']);
});

test('permits come and go without a push to those who hold one', async () => {
  await using redis = await startStandalone();
  const one = await openLocks(redis.url);
  const two = await openLocks(redis.url);
  const lock = await one.locks.semaphore('k', 3).acquire({ lease: '1h' });
  const looks = async (): Promise<number> => {
    const stats = String(await redis.node.ask('INFO', 'commandstats'));
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  // Once, so that the scripts are known.
  await two.locks.semaphore('k', 3).withLock(() => {});
  const before = await looks();
  for (let i = 0; i < 20; i += 1) await two.locks.semaphore('k', 3).withLock(() => {});
  await one.locks.isLocked('k');
  expect(lock.signal.aborted).toBe(false);
  // Take and release, and no look at the gate by the one who holds.
  expect(await looks()).toBe(before + 40);
});

test('the permit of a process that was killed is had at the end of its lease, and not before', async () => {
  const woken = hear('redcache:lock:woken');
  const key = freshKey('killed');
  await using children = await startChildren<typeof locker>('locker-counted.ts', { count: 2 });
  await children.requestAll('open', url);
  const [one, two] = children.all;
  await one?.request('semaphore', key, 2, 60_000);
  await two?.request('semaphore', key, 2, 1_500);
  const client = await openClient(url);
  const { locks } = await openLocks(url);
  const waiting = locks.semaphore(key, 2).acquire({ lease: '60s', autoExtend: false });
  await eventually(async () => (await client.zCard(`{${inRedis(key)}}:queue`)) === 1);
  await two?.kill();
  // By whatever it has in Redis then: nobody extends it any more.
  const ends = await client.zRangeWithScores(holdersOf(key), 0, -1);
  const endMs = Math.min(...ends.map(({ score }) => score));
  const lock = await waiting;
  const member = await client.zScore(holdersOf(key), lock.holder);
  // Its own end says when it was given the permit by the server's clock.
  expect((member as number) - 60_000).toBeGreaterThanOrEqual(endMs);
  expect(woken.map(({ cause }) => cause)).toEqual(['timer']);
  expect(await heldInRedis(client, key)).toBe(2);
});

test('a permit that ended is free for the next who comes, though nobody was told', async () => {
  const key = freshKey('ended');
  const { locks } = await openLocks(url);
  const client = await openClient(url);
  const one = await locks.semaphore(key, 1).acquire({ lease: 60, autoExtend: false });
  await eventually(async () => (await heldInRedis(client, key)) === 0);
  expect(await locks.semaphore(key, 1).tryAcquire()).not.toBe(null);
  expect(one.signal.reason).toMatchObject({ reason: 'expired' });
  expect(await one.release()).toBe('lost');
});

test('a foreign DEL of the lock is told to all who hold a permit, and those who wait go on', async () => {
  const key = freshKey('del');
  const [one, two, three] = await Promise.all([openLocks(url), openLocks(url), openLocks(url)]);
  const locks = await Promise.all(
    [one, one, two].map(({ locks }) => locks.semaphore(key, 3).acquire({ lease: '1h' })),
  );
  const losses = locks.map(({ signal }) => aborted(signal));
  const waiting = three.locks.semaphore(key, 3).acquire();
  await eventually(
    async () => (await three.locks.semaphore(key, 3).inspect()).waitingProcesses > 0,
  );
  const other = await openClient(url);
  await other.del(inRedis(key));
  expect(await Promise.all(losses)).toEqual(
    locks.map(() => expect.objectContaining({ reason: 'deleted', key })),
  );
  const next = await waiting;
  expect(next.signal.aborted).toBe(false);
  expect(await heldInRedis(other, key)).toBe(1);
});

test('FLUSHALL is told to all who hold a permit, and tokens rise all the same', async () => {
  await using redis = await startStandalone();
  const [one, two, three] = await Promise.all([
    openLocks(redis.url),
    openLocks(redis.url),
    openLocks(redis.url),
  ]);
  const locks = await Promise.all(
    [one, two].map(({ locks }) => locks.semaphore('k', 2).acquire({ lease: '1h' })),
  );
  const losses = locks.map(({ signal }) => aborted(signal));
  const waiting = three.locks.semaphore('k', 2).acquire();
  await eventually(
    async () => (await three.locks.semaphore('k', 2).inspect()).waitingProcesses > 0,
  );
  await redis.node.ask('FLUSHALL');
  for (const loss of await Promise.all(losses)) expect(loss).toMatchObject({ reason: 'flushed' });
  const { fencingToken } = await waiting;
  for (const lock of locks) expect(fencingToken).toBeGreaterThan(lock.fencingToken);
});

test('a gate that somebody cut short is repaired before the permits could end with it', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const other = await openClient(redis.url);
  const lock = await locks.semaphore('k', 2).acquire({ lease: '1h' });
  await other.pExpire(inRedis('k'), 60_000);
  await eventually(
    () => other.pTTL(inRedis('k')),
    (pttl) => pttl > 3_000_000,
  );
  await lock.extend();
  // One look found it short, and its own repair made nobody look again: only a look counts waiters.
  const stats = String(await redis.node.ask('INFO', 'commandstats'));
  expect(stats).toContain('cmdstat_zcard:calls=1,');
  const loss = aborted(lock.signal);
  await other.del(inRedis('k'));
  expect(await loss).toMatchObject({ reason: 'deleted' });
});

test('a permit is kept beyond its lease, and extending it makes nobody look at it', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.semaphore('k', 2).acquire({ lease: 300 });
  const stats = async (): Promise<string> => String(await redis.node.ask('INFO', 'commandstats'));
  await eventually(async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await stats())?.[1]) > 12);
  expect(lock.signal.aborted).toBe(false);
  // The gate was written once; only a look counts those who wait.
  expect(await stats()).toContain('cmdstat_hset:calls=1,');
  expect(await stats()).not.toContain('cmdstat_zcard');
});

test('a key that is in use is refused as anything else, and left as it is', async () => {
  const key = freshKey('disagree');
  const { locks } = await openLocks(url);
  const lock = await locks.semaphore(key, 2).acquire();
  const message = expect.stringContaining('is in use as a semaphore of 2 permits');
  for (const asked of [
    locks.semaphore(key, 3).acquire(),
    locks.semaphore(key, 3).tryAcquire(),
    locks.readWrite(key).read(),
    locks.readWrite(key).tryWrite(),
  ])
    await expect(asked).rejects.toMatchObject({ code: 'REDCACHE_CONFIG', message });
  for (const plain of [locks.acquire(key), locks.tryAcquire(key), locks.forceAcquire(key)])
    await expect(plain).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
  expect(lock.signal.aborted).toBe(false);
  expect(await lock.release()).toBe('released');
  // Free, it may be used as anything.
  await locks.withLock(key, () => {});
  await locks.semaphore(key, 3).withLock(() => {});
  await locks.readWrite(key).withWrite(() => {});
});

test('a key that holds a plain lock, or a value of somebody, is refused and left as it is', async () => {
  const { locks } = await openLocks(url);
  const other = await openClient(url);
  const [locked, text, hash] = [freshKey('locked'), freshKey('text'), freshKey('hash')];
  const lock = await locks.acquire(locked);
  await other.set(inRedis(text), 'mine');
  await other.hSet(inRedis(hash), 'mine', 'yes');
  for (const key of [locked, text, hash]) {
    const asked = locks.semaphore(key, 2).acquire();
    await expect(asked).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
  }
  await lock.extend();
  expect(await lock.release()).toBe('released');
  expect(await other.get(inRedis(text))).toBe('mine');
  expect(await other.hGetAll(inRedis(hash))).toEqual({ mine: 'yes' });
});

test('one that gives up waiting leaves the queue, and one whose locks are closed as well', async () => {
  const key = freshKey('leaving');
  const one = await openLocks(url);
  const two = await openLocks(url);
  const observer = one.locks.semaphore(key, 1);
  const lock = await observer.acquire();
  const abort = new AbortController();
  const waiting = two.locks.semaphore(key, 1).acquire({ signal: abort.signal });
  const queued = (count: number) =>
    eventually(async () => (await observer.inspect()).waitingProcesses === count);
  await queued(1);
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await queued(0);
  const again = two.locks.semaphore(key, 1).acquire();
  await queued(1);
  const closed = expect(again).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  await two.locks.close();
  await closed;
  await queued(0);
  const timed = one.locks.semaphore(key, 1).acquire({ wait: 20 });
  await expect(timed).rejects.toMatchObject({ code: 'REDCACHE_ACQUIRE_TIMEOUT' });
  expect(await lock.release()).toBe('released');
});

test('closing gives back every permit', async () => {
  const key = freshKey('closing');
  const { locks } = await openLocks(url);
  const client = await openClient(url);
  const held = await Promise.all(
    Array.from({ length: 5 }, () => locks.semaphore(key, 5).acquire()),
  );
  expect(await heldInRedis(client, key)).toBe(5);
  await locks.close();
  for (const lock of held) expect(lock.signal.reason).toMatchObject({ reason: 'closed' });
  expect(await client.exists([inRedis(key), holdersOf(key)])).toBe(0);
});

test('processes get permits in the order in which they came', async () => {
  const key = freshKey('order');
  const holder = await openLocks(url);
  const observer = holder.locks.semaphore(key, 1);
  const lock = await observer.acquire();
  const all = await Promise.all(Array.from({ length: 5 }, () => openLocks(url)));
  const order: number[] = [];
  const done: Promise<void>[] = [];
  for (const [i, { locks }] of all.entries()) {
    const semaphore = locks.semaphore(key, 1);
    done.push(semaphore.withLock(() => void order.push(i)));
    await eventually(async () => (await observer.inspect()).waitingProcesses === i + 1);
  }
  await lock.release();
  await Promise.all(done);
  expect(order).toEqual([0, 1, 2, 3, 4]);
});

test('a process with many callers lets the others have their turn', async () => {
  const key = freshKey('shared');
  const busy = await openLocks(url, { handoff: { maxMs: 20 } });
  const other = await openLocks(url);
  let running = true;
  const loops = Array.from({ length: 10 }, async () => {
    while (running) await busy.locks.semaphore(key, 2).withLock(() => setImmediate());
  });
  await eventually(() => busy.locks.stats().acquired > 20);
  // Were it not given up, nobody else would get a permit while there are callers here.
  for (let i = 0; i < 3; i += 1) await other.locks.semaphore(key, 2).withLock(() => {});
  running = false;
  await Promise.all(loops);
});

test('without tracking permits are had by asking again and again', async () => {
  const woken = hear('redcache:lock:woken');
  const key = freshKey('polled');
  const settings = { tracked: false, tracking: 'poll', retry: { delay: 5 } } as const;
  const one = await openLocks(url, settings);
  const two = await openLocks(url, settings);
  const lock = await one.locks.semaphore(key, 1).acquire({ lease: '60s' });
  const waiting = two.locks.semaphore(key, 1).acquire();
  await eventually(() => woken.length > 2);
  await lock.release();
  await waiting;
  expect(new Set(woken.map(({ cause }) => cause))).toEqual(new Set(['poll']));
});

import { setImmediate } from 'node:timers/promises';
import type { Lock } from '@redcache/locks';
import { expect, inject, test } from 'vitest';
import type { handlers as locker } from '../../children/locker-counted.ts';
import { startChildren } from '../../support/children.ts';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { aborted, freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;
const besides = (key: string, name: string): string => `{${inRedis(key)}}:${name}`;

/** Locks of so many clients, each on a connection of its own. */
async function open(key: string, count: number, at = url) {
  const all = await Promise.all(Array.from({ length: count }, () => openLocks(at)));
  return all.map(({ locks }) => locks.readWrite(key));
}

type ReadWrite = Awaited<ReturnType<typeof open>>[number];
const queued = (lock: ReadWrite, count: number) =>
  eventually(async () => (await lock.inspect()).waitingProcesses === count);

test('nobody is beside one who writes, readers are beside each other, and tokens tell who came after', async () => {
  const key = freshKey('both');
  const locks = await open(key, 4);
  let [reading, writing, mostReading] = [0, 0, 0];
  let highest = 0n;
  let lastWriter = 0n;
  const all = locks.flatMap((lock) =>
    Array.from({ length: 30 }, async (_, i) => {
      if (i % 5 === 0)
        await lock.withWrite(async ({ fencingToken }) => {
          writing += 1;
          expect(fencingToken).toBeGreaterThan(highest);
          highest = fencingToken;
          lastWriter = fencingToken;
          await setImmediate();
          expect([writing, reading]).toEqual([1, 0]);
          writing -= 1;
        });
      else
        await lock.withRead(async ({ fencingToken }) => {
          reading += 1;
          mostReading = Math.max(mostReading, reading);
          expect(fencingToken).toBeGreaterThan(lastWriter);
          if (fencingToken > highest) highest = fencingToken;
          await setImmediate();
          expect(writing).toBe(0);
          reading -= 1;
        });
    }),
  );
  await Promise.all(all);
  expect(mostReading).toBeGreaterThan(1);
  const client = await openClient(url);
  await eventually(
    async () => (await client.exists([inRedis(key), besides(key, 'holders')])) === 0,
  );
});

test('readers of one process share a lease and ask Redis once; writers pass theirs on', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = locks.readWrite('k');
  const calls = async (): Promise<number> => {
    const stats = String(await redis.node.ask('INFO', 'commandstats'));
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  await lock.withRead(() => {});
  await lock.withWrite(() => {});
  const before = await calls();
  const readers = await Promise.all(Array.from({ length: 50 }, () => lock.read()));
  expect(new Set(readers.map(({ holder }) => holder)).size).toBe(1);
  expect(new Set(readers.map(({ fencingToken }) => fencingToken)).size).toBe(50);
  await Promise.all(readers.map((each) => each.release()));
  expect(await calls()).toBeLessThanOrEqual(before + 4);
  const holders = await Promise.all(
    Array.from({ length: 10 }, () => lock.withWrite(({ holder }) => holder)),
  );
  expect(new Set(holders).size).toBe(1);
});

test('the lease that readers share lasts until the last of them has gone', async () => {
  const key = freshKey('last');
  const [one, two] = (await open(key, 2)) as [ReadWrite, ReadWrite];
  const [first, second] = await Promise.all([one.read(), one.read()]);
  expect(await two.tryWrite()).toBe(null);
  expect(await first.release()).toBe('released');
  expect(await two.tryWrite()).toBe(null);
  expect(second.signal.aborted).toBe(false);
  expect(await second.release()).toBe('released');
  const writer = await two.tryWrite();
  expect(writer).not.toBe(null);
  expect(await one.tryRead()).toBe(null);
  await writer?.release();
  expect(await one.tryRead()).not.toBe(null);
});

test('one that wants a lease without extension has its own', async () => {
  const key = freshKey('own');
  const [one] = (await open(key, 1)) as [ReadWrite];
  const kept = await one.read();
  const short = await one.read({ lease: 200, autoExtend: false });
  const joined = await one.read();
  expect(short.holder).not.toBe(kept.holder);
  expect(joined.holder).toBe(kept.holder);
  expect(await aborted(short.signal)).toMatchObject({ reason: 'expired' });
  expect(kept.signal.aborted).toBe(false);
});

test('callers of one process are served in the order in which they came', async () => {
  const key = freshKey('local order');
  const [lock] = (await open(key, 1)) as [ReadWrite];
  const order: string[] = [];
  const first = await lock.read();
  const say = (what: string) => async () => {
    order.push(what);
    await setImmediate();
    order.push(`/${what}`);
  };
  const rest = [
    lock.withWrite(say('w1')),
    lock.withRead(say('r1')),
    lock.withRead(say('r2')),
    lock.withWrite(say('w2')),
  ];
  await queued(lock, 1);
  expect(order).toEqual([]);
  await first.release();
  await Promise.all(rest);
  expect(order.filter((what) => !what.startsWith('/'))).toEqual(['w1', 'r1', 'r2', 'w2']);
  // Each writer had gone before the next came in, and came in when the readers had gone.
  expect([order.slice(0, 2), order.slice(-2)]).toEqual([
    ['w1', '/w1'],
    ['w2', '/w2'],
  ]);
});

test('a writer that waits keeps back who comes to read later, and lets them in together after it', async () => {
  const woken = hear('redcache:lock:woken');
  const key = freshKey('kept back');
  const [one, two, three, four] = (await open(key, 4)) as [
    ReadWrite,
    ReadWrite,
    ReadWrite,
    ReadWrite,
  ];
  const reader = await one.read({ lease: '60s' });
  const writing = two.write({ lease: '60s' });
  await queued(one, 1);
  const later = three.read({ lease: '60s' });
  await queued(one, 2);
  const latest = four.read({ lease: '60s' });
  await queued(one, 3);
  expect(await three.tryRead()).toBe(null);
  expect((await one.inspect()).waiting.map(({ access }) => access)).toEqual([
    'write',
    'read',
    'read',
  ]);
  await reader.release();
  const writer = await writing;
  expect(await one.inspect()).toMatchObject({
    holding: 1,
    holders: [{ holder: writer.holder, access: 'write', isOurs: false }],
    waitingProcesses: 2,
  });
  expect(writer.fencingToken).toBeGreaterThan(reader.fencingToken);
  await writer.release();
  const readers = await Promise.all([later, latest]);
  expect(await one.inspect()).toMatchObject({ holding: 2, waitingProcesses: 0 });
  for (const lock of readers) expect(lock.fencingToken).toBeGreaterThan(writer.fencingToken);
  expect(woken.map(({ cause }) => cause)).toEqual(['push', 'push', 'push']);
});

test('a writer that gives up lets those behind it go on at once', async () => {
  const woken = hear('redcache:lock:woken');
  const key = freshKey('gives up');
  const [one, two, three] = (await open(key, 3)) as [ReadWrite, ReadWrite, ReadWrite];
  await one.read({ lease: '60s' });
  const abort = new AbortController();
  const writing = two.write({ lease: '60s', signal: abort.signal });
  await queued(one, 1);
  const behind = two.read({ lease: '60s' });
  const elsewhere = three.read({ lease: '60s' });
  await queued(one, 2);
  abort.abort(new Error('enough'));
  await expect(writing).rejects.toThrow('enough');
  await elsewhere;
  await behind;
  expect(await one.inspect()).toMatchObject({ holding: 3, waitingProcesses: 0 });
  expect(new Set(woken.map(({ cause }) => cause))).toEqual(new Set(['push']));
});

test('a stream of readers from several processes starves no writer', async () => {
  const key = freshKey('stream');
  await using children = await startChildren<typeof locker>('locker-counted.ts', { count: 2 });
  await children.requestAll('open', url);
  const reads = children.all.map((child) => child.request('readOn', key));
  const [lock] = (await open(key, 1)) as [ReadWrite];
  await eventually(async () => (await lock.inspect()).holding === 2);
  for (let i = 0; i < 5; i += 1) await lock.withWrite(() => {});
  await children.requestAll('stop');
  for (const times of await Promise.all(reads)) expect(times).toBeGreaterThan(0);
});

test('a stream of readers of one process starves no writer of another, nor of its own', async () => {
  const key = freshKey('own stream');
  const [busy, other] = (await open(key, 2)) as [ReadWrite, ReadWrite];
  let running = true;
  let reads = 0;
  const loops = Array.from({ length: 5 }, async (_, i) => {
    for (let j = 0; j < i; j += 1) await setImmediate();
    while (running) {
      await busy.withRead(() => setImmediate());
      reads += 1;
    }
  });
  await eventually(() => reads > 10);
  await other.withWrite(() => {});
  await busy.withWrite(() => {});
  const seen = reads;
  await eventually(() => reads > seen + 10);
  running = false;
  await Promise.all(loops);
});

test('a stream of writers starves no reader', async () => {
  const key = freshKey('writers');
  const [one, two, three] = (await open(key, 3)) as [ReadWrite, ReadWrite, ReadWrite];
  let running = true;
  const loops = [one, one, two, two].map(async (lock) => {
    while (running) await lock.withWrite(() => setImmediate());
  });
  for (let i = 0; i < 5; i += 1) await three.withRead(() => {});
  running = false;
  await Promise.all(loops);
});

test.for(['read', 'write'] as const)(
  'the lease of a process that was killed while it had the lock to %s ends in its time, and not before',
  async (access) => {
    const woken = hear('redcache:lock:woken');
    const key = freshKey('killed');
    await using children = await startChildren<typeof locker>('locker-counted.ts');
    await children.requestAll('open', url);
    const [child] = children.all;
    const token = await child?.request('readWrite', key, access, 1_500);
    const client = await openClient(url);
    const [lock] = (await open(key, 1)) as [ReadWrite];
    const waiting = lock.write({ lease: '60s', autoExtend: false });
    await queued(lock, 1);
    await child?.kill();
    const [killed] = await client.zRangeWithScores(besides(key, 'holders'), 0, -1);
    const writer = await waiting;
    const endMs = await client.zScore(besides(key, 'holders'), `w:${writer.holder}`);
    expect((endMs as number) - 60_000).toBeGreaterThanOrEqual(killed?.score as number);
    expect(writer.fencingToken).toBeGreaterThan(token as bigint);
    expect(woken.map(({ cause }) => cause)).toEqual(['timer']);
  },
);

test('readers behind a writer whose process was killed while it waited go on when that is sure', async () => {
  const key = freshKey('dead head');
  await using children = await startChildren<typeof locker>('locker-counted.ts');
  await children.requestAll('open', url);
  const [one, two] = (await open(key, 2)) as [ReadWrite, ReadWrite];
  const reader = await one.read({ lease: '1h' });
  const [child] = children.all;
  child?.request('readWrite', key, 'write', 1_000).catch(() => {});
  await queued(one, 1);
  const waiting = two.read();
  await queued(one, 2);
  await child?.kill();
  await (await waiting).release();
  expect(reader.signal.aborted).toBe(false);
});

test('a foreign DEL is told to all who have the lock, however they have it', async () => {
  const key = freshKey('del');
  const [one, two] = (await open(key, 2)) as [ReadWrite, ReadWrite];
  const locks = await Promise.all([one, one, two].map((lock) => lock.read({ lease: '1h' })));
  const client = await openClient(url);
  const losses = locks.map(({ signal }) => aborted(signal));
  await client.del(inRedis(key));
  for (const loss of await Promise.all(losses)) expect(loss).toMatchObject({ reason: 'deleted' });
  const writer = await one.write({ lease: '1h' });
  const loss = aborted(writer.signal);
  await client.set(inRedis(key), 'somebody else');
  expect(await loss).toMatchObject({ reason: 'taken' });
  expect(await writer.release()).toBe('lost');
  expect(await client.get(inRedis(key))).toBe('somebody else');
});

test('FLUSHALL is told to all who have the lock, and those who wait go on', async () => {
  await using redis = await startStandalone();
  const [one, two, three] = (await open('k', 3, redis.url)) as [ReadWrite, ReadWrite, ReadWrite];
  const locks = await Promise.all([one, two].map((lock) => lock.read({ lease: '1h' })));
  const losses = locks.map(({ signal }) => aborted(signal));
  const waiting = three.write();
  await queued(three, 1);
  await redis.node.ask('FLUSHALL');
  for (const loss of await Promise.all(losses)) expect(loss).toMatchObject({ reason: 'flushed' });
  const { fencingToken } = await waiting;
  for (const lock of locks) expect(fencingToken).toBeGreaterThan(lock.fencingToken);
});

test('a connection that is cut costs a reconnect, not the lease', async () => {
  await using redis = await startStandalone();
  const [one, two] = (await open('k', 2, redis.url)) as [ReadWrite, ReadWrite];
  const reader = await one.read({ lease: '1h' });
  const writing = two.write();
  await queued(one, 1);
  await redis.node.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually(() => reader.extend().then(() => true));
  expect(reader.signal.aborted).toBe(false);
  await eventually(() => reader.release());
  const writer: Lock = await writing;
  expect(writer.remainingMs()).toBeGreaterThan(0);
});

test('one that gives up waiting leaves the queue, and one whose locks are closed as well', async () => {
  const key = freshKey('leaving');
  const [one] = (await open(key, 1)) as [ReadWrite];
  const two = await openLocks(url);
  const reader = await one.read();
  const abort = new AbortController();
  const writing = two.locks.readWrite(key).write({ signal: abort.signal });
  await queued(one, 1);
  abort.abort(new Error('enough'));
  await expect(writing).rejects.toThrow('enough');
  await queued(one, 0);
  await expect(two.locks.readWrite(key).write({ wait: 20 })).rejects.toMatchObject({
    code: 'REDCACHE_ACQUIRE_TIMEOUT',
  });
  await queued(one, 0);
  const closed = expect(two.locks.readWrite(key).write()).rejects.toMatchObject({
    code: 'REDCACHE_CLOSED',
  });
  await queued(one, 1);
  await two.locks.close();
  await closed;
  await queued(one, 0);
  expect(await reader.release()).toBe('released');
});

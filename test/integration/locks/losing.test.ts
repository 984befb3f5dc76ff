import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { aborted, freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

test('the signal of a holder is aborted by the push of a foreign DEL, long before its lease ends', async () => {
  const key = freshKey('del');
  const { locks } = await openLocks(url);
  const other = await openClient(url);
  const lock = await locks.acquire(key, { lease: '1h' });
  const loss = aborted(lock.signal);
  await other.del(inRedis(key));
  expect(await loss).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'deleted', key });
  expect(lock.remainingMs()).toBe(0);
  expect(await lock.release()).toBe('lost');
  await expect(lock.extend()).rejects.toMatchObject({ reason: 'deleted' });
});

test('a holder hears that somebody else has taken its key, and leaves it to him', async () => {
  const key = freshKey('takeover');
  const { locks } = await openLocks(url);
  const other = await openClient(url);
  const lock = await locks.acquire(key, { lease: '1h' });
  const loss = aborted(lock.signal);
  await other.set(inRedis(key), 'somebody else');
  expect(await loss).toMatchObject({ reason: 'taken' });
  expect(await lock.release()).toBe('lost');
  expect(await other.get(inRedis(key))).toBe('somebody else');
});

test('a holder hears that its key now holds another type', async () => {
  const key = freshKey('type');
  const { locks } = await openLocks(url);
  const other = await openClient(url);
  const lock = await locks.acquire(key, { lease: '1h' });
  const loss = aborted(lock.signal);
  await other.multi().del(inRedis(key)).rPush(inRedis(key), 'x').exec();
  expect(await loss).toMatchObject({ reason: 'taken' });
});

test('a holder hears of FLUSHALL, and survives a flush of another database', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.acquire('k', { lease: '1h' });
  const { signal } = lock;
  const other = await openClient(`${redis.url}/5`);
  await other.flushDb();
  await locks.isLocked('k');
  await lock.extend();
  expect(signal.aborted).toBe(false);
  await redis.node.ask('FLUSHALL');
  expect(await aborted(signal)).toMatchObject({ reason: 'flushed' });
});

test('a lease that somebody cut short is repaired', async () => {
  const key = freshKey('shortened');
  const { locks } = await openLocks(url);
  const other = await openClient(url);
  const lock = await locks.acquire(key, { lease: '1h' });
  await other.pExpire(inRedis(key), 60_000);
  await eventually(
    () => other.pTTL(inRedis(key)),
    (pttl) => pttl > 3_000_000,
  );
  // Having repaired it, it is still told of what others do.
  const loss = aborted(lock.signal);
  await other.del(inRedis(key));
  expect(await loss).toMatchObject({ reason: 'deleted' });
});

test('a lock is kept beyond its lease, and extending it makes nobody look at it', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.acquire('k', { lease: 300 });
  const calls = async (command: string): Promise<number> => {
    const stats = String(await redis.node.ask('INFO', 'commandstats'));
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  };
  // Twelve extensions are four leases.
  await eventually(
    () => calls('evalsha'),
    (made) => made > 12,
  );
  expect(lock.signal.aborted).toBe(false);
  expect(lock.remainingMs()).toBeGreaterThan(0);
  expect(await redis.node.ask('EXISTS', inRedis('k'))).toBe(1);
  // Two of acquire's GET and two of each extension; PTTL only ever comes with a look at the key.
  expect(await calls('pttl')).toBe(0);
});

test('a holder whose connection is killed keeps its lock, and hears of its loss afterwards', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.acquire('k', { lease: '1h' });
  await redis.node.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually(() => lock.extend().then(() => true));
  const loss = aborted(lock.signal);
  await redis.node.ask('DEL', inRedis('k'));
  expect(await loss).toMatchObject({ reason: 'deleted' });
});

test('a holder learns after the restart of the server that its lock is gone', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.acquire('k', { lease: '1h' });
  const loss = aborted(lock.signal);
  await redis.node.restart();
  expect(await loss).toMatchObject({ reason: 'deleted' });
});

test('a holder that can reach nobody is told before its lease ends', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.acquire('k', { lease: 500 });
  const loss = aborted(lock.signal);
  await redis.node.kill();
  expect(await loss).toMatchObject({ reason: 'disconnected' });
});

test('a holder whose server is stopped is told when its lease ends, and releases without delay', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url, { commandTimeout: 200 });
  const lock = await locks.acquire('k', { lease: 500 });
  const loss = aborted(lock.signal);
  await redis.node.pause();
  expect(await loss).toMatchObject({ reason: 'expired' });
  expect(await lock.release()).toBe('lost');
  await redis.node.resume();
});

test('a lock held over an untracked client is watched from the moment somebody waits', async () => {
  const key = freshKey('untracked');
  const { locks } = await openLocks(url, { tracked: false });
  const other = await openClient(url);
  const woken = hear('redcache:lock:woken');
  const lock = await locks.acquire(key, { lease: '1h' });
  const elsewhere = freshKey('elsewhere');
  await other.set(inRedis(elsewhere), '0-a:1', { expiration: { type: 'PX', value: 3_600_000 } });
  const controller = new AbortController();
  const waiting = locks.acquire(elsewhere, { signal: controller.signal, wait: '1h' });
  const gone = expect(waiting).rejects.toBe('gone');
  const loss = aborted(lock.signal);
  // It has moved, and has looked at the key there, before the waiter has asked again.
  await eventually(() => woken.length > 0);
  await locks.isLocked(key);
  controller.abort('gone');
  await gone;
  await other.del(inRedis(key));
  expect(await loss).toMatchObject({ reason: 'deleted' });
});

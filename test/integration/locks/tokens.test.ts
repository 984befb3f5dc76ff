import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { freshKey, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

test('tokens of a key rise across release, expiry, deletion and a flush', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const tokens: bigint[] = [];
  const take = async (lease: number) => {
    const lock = await locks.acquire('k', { lease, autoExtend: false });
    tokens.push(lock.fencingToken);
    return lock;
  };
  await (await take(10_000)).release();
  await take(50);
  await take(10_000);
  await redis.node.ask('DEL', inRedis('k'));
  await take(10_000);
  await redis.node.ask('FLUSHALL');
  await take(10_000);
  for (const [i, token] of tokens.entries())
    if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
});

test('a token is one more than the last where the clock of the server is behind it', async () => {
  const key = freshKey('clock');
  const { locks, client } = await openLocks(url);
  const ahead = 9_000_000_000_000_000n;
  await client.set(`{${inRedis(key)}}:fence`, String(ahead));
  const lock = await locks.acquire(key);
  expect(lock.fencingToken).toBe(ahead + 1n);
  expect(await client.get(inRedis(key))).toBe(`${lock.holder}:${ahead + 1n}`);
});

test('the last token is remembered for an hour beyond the lease, and then forgotten', async () => {
  const key = freshKey('memory');
  const { locks, client } = await openLocks(url);
  await locks.acquire(key, { lease: '10s' });
  const pttl = await client.pTTL(`{${inRedis(key)}}:fence`);
  expect(pttl).toBeLessThanOrEqual(3_610_000);
  expect(pttl).toBeGreaterThan(3_500_000);
});

test('a release that is repeated after somebody else has the lock frees nobody', async () => {
  const key = freshKey('repeat');
  const one = await openLocks(url);
  const lock = await one.locks.acquire(key);
  const other = await openClient(url);
  const value = String(await other.get(inRedis(key)));
  await other.set(inRedis(key), '01890000-0000-7000-8000-000000000000:1');
  expect(await lock.release()).toBe('lost');
  expect(await other.get(inRedis(key))).not.toBe(value);
  await other.del(inRedis(key));
});

test('tokens that were reserved and not used do not put those to come ahead of the clock', async () => {
  const { locks, client } = await openLocks(url, { handoff: { maxCount: 1_000_000 } });
  const key = freshKey('reserved');
  // Each time those that were reserved are used up twice as many are: 1, 2, 4 and so on. The last block
  // has just been begun, with tokens for some 30 ms.
  let lock = await locks.acquire(key);
  for (let passes = 0; passes < 2 ** 15 + 100; passes++) {
    const next = locks.acquire(key);
    await lock.release();
    lock = await next;
  }
  expect(await lock.release()).toBe('released');
  const last = await locks.acquire(key);
  const [seconds, microseconds] = (await client.sendCommand(['TIME'])) as unknown as string[];
  const now = BigInt(seconds ?? 0) * 1_000_000n + BigInt(microseconds ?? 0);
  expect(last.fencingToken).toBeGreaterThan(lock.fencingToken);
  expect(last.fencingToken).toBeLessThanOrEqual(now);
});

test('however often a lease is extended for the next caller, tokens stay behind the clock', async () => {
  const { locks, client } = await openLocks(url);
  const key = freshKey('extended');
  // Blocks grow while the lock goes from caller to caller as it is.
  let lock = await locks.acquire(key);
  const pass = async (lease: number): Promise<void> => {
    const next = locks.acquire(key, { lease });
    await lock.release();
    lock = await next;
  };
  for (let passes = 0; passes < 2_000; passes++) await pass(10_000);
  // And from now on each wants another time, for which Redis is asked.
  for (let passes = 0; passes < 100; passes++) await pass(10_000 + passes + 1);
  const { fencingToken } = lock;
  const [seconds, microseconds] = (await client.sendCommand(['TIME'])) as unknown as string[];
  expect(fencingToken).toBeLessThanOrEqual(
    BigInt(seconds ?? 0) * 1_000_000n + BigInt(microseconds ?? 0),
  );
});

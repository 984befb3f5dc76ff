// Connections that are cut, refused or silent while their owner waits, holds, asks or gives back.
import type { Lock, Locks } from '@redcache/locks';
import { expect, onTestFinished, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { aborted, type Client, hear, inRedis, openClient, openLocks } from './ground.ts';

const HOURLY = { lease: '1h' } as const;

interface Ground {
  /** Of somebody whose connections pass the proxy. */
  readonly far: Locks;
  /** Of somebody else, who reaches the server whatever becomes of the proxy. */
  readonly near: Locks;
  readonly client: Client;
  readonly proxy: TcpProxy;
}

async function openGround({ tracked = true } = {}): Promise<Ground> {
  const redis = await startStandalone();
  onTestFinished(() => redis.stop());
  const proxy = await TcpProxy.start(redis.node);
  onTestFinished(() => proxy.close());
  const { locks: near } = await openLocks(redis.url);
  const { locks: far } = await openLocks(proxy.url, { tracked });
  // From here on the server knows the scripts: each call is one command, and has run when its answer is lost.
  await near.withLock('first', (lock) => lock.extend());
  return { far, near, proxy, client: await openClient(redis.url) };
}

/** One who has seen that the lock is held, and waits. */
async function startWaiting(locks: Locks, key: string): Promise<{ waiting: Promise<Lock> }> {
  const waits = hear('redcache:lock:waiting');
  const waiting = locks.acquire(key, HOURLY);
  await eventually(() => waits.length > 0);
  await locks.isLocked(key);
  return { waiting };
}

/** Nobody has freed it or taken it, and its holder is told nothing else. */
async function expectHeld(lock: Lock, others: Locks): Promise<void> {
  await lock.extend();
  expect(lock.signal.aborted).toBe(false);
  expect(await others.tryAcquire(lock.key)).toBe(null);
}

test.for([true, false])(
  'whoever waits and can reach nobody finds afterwards that the lock was released, client-side cache: %s',
  async (tracked) => {
    const { far, near, proxy } = await openGround({ tracked });
    const lock = await near.acquire('k', HOURLY);
    const { waiting } = await startWaiting(far, 'k');
    proxy.cut({ refuse: true });
    expect(await lock.release()).toBe('released');
    proxy.heal();
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  },
);

test('whoever waits behind a connection that has fallen silent dials anew and misses no release', async () => {
  const { far, near, proxy } = await openGround();
  const lock = await near.acquire('k', HOURLY);
  const { waiting } = await startWaiting(far, 'k');
  const { accepted } = proxy;
  proxy.stall('toClient');
  // What the server pushes now is never heard.
  expect(await lock.release()).toBe('released');
  await eventually(() => proxy.accepted > accepted);
  proxy.resume();
  expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
});

test.for([
  ['deleted', ({ client }: Ground) => client.del(inRedis('k'))],
  [
    'taken',
    async ({ client, near }: Ground) => {
      await client.del(inRedis('k'));
      await near.acquire('k', HOURLY);
    },
  ],
] as const)(
  'a holder that was cut off hears after its reconnect that its lock was %s meanwhile',
  async ([reason, takeAway]) => {
    const ground = await openGround();
    const { far, proxy } = ground;
    const lock = await far.acquire('k', HOURLY);
    proxy.cut({ refuse: true });
    await takeAway(ground);
    expect(lock.signal.aborted).toBe(false);
    const loss = aborted(lock.signal);
    proxy.heal();
    expect(await loss).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason });
  },
);

test('a holder that is cut off past its lease is told before another has the lock, and frees it for nobody', async () => {
  const { far, near, proxy } = await openGround();
  const lock = await far.acquire('k', { lease: 1_500 });
  const { waiting } = await startWaiting(near, 'k');
  const next = waiting.then((taken) => ({ taken, told: lock.signal.aborted }));
  proxy.cut({ refuse: true });
  const { taken, told } = await next;
  expect(told).toBe(true);
  expect(lock.signal.reason).toMatchObject({ reason: 'disconnected' });
  proxy.heal();
  await eventually(() => far.isLocked('k'));
  expect(await lock.release()).toBe('lost');
  await expectHeld(taken, far);
});

test('what a silent connection still brings of a former holder changes nothing for the next', async () => {
  const { far, proxy, client } = await openGround();
  const lock = await far.acquire('k', { lease: 1_500 });
  const { forwarded } = proxy.bytes('toServer');
  proxy.stall('toServer');
  await eventually(async () => (await client.exists(inRedis('k'))) === 0);
  expect(lock.signal.aborted).toBe(true);
  // Not a lock of ours, which would repair what is done to it.
  const hour = { expiration: { type: 'PX', value: 3_600_000 } } as const;
  await client.set(inRedis('k'), 'somebody else', hour);
  // An extension, at least, has been sent meanwhile; it reaches the server now.
  const { received } = proxy.bytes('toServer');
  expect(received).toBeGreaterThan(forwarded);
  proxy.resume();
  await eventually(() => proxy.bytes('toServer').forwarded >= received);
  await eventually(() => far.isLocked('k'));
  expect(await lock.release()).toBe('lost');
  expect(await client.get(inRedis('k'))).toBe('somebody else');
  expect(await client.pTTL(inRedis('k'))).toBeGreaterThan(1_800_000);
});

test('an acquire whose answer is lost on the way is answered after the reconnect, by its own lock', async () => {
  const { far, near, proxy, client } = await openGround();
  proxy.stall('toClient');
  const asking = far.acquire('k', HOURLY);
  await eventually(() => client.exists(inRedis('k')));
  proxy.cut();
  proxy.resume();
  // Were it not recognised as its own, it would wait for an hour.
  const lock = await asking;
  await expectHeld(lock, near);
  expect(await lock.release()).toBe('released');
  expect((await near.acquire('k')).fencingToken).toBeGreaterThan(lock.fencingToken);
});

test('a release whose answer is lost says so, and repeated it leaves the next holder alone', async () => {
  const { far, near, proxy, client } = await openGround();
  const lock = await far.acquire('k', HOURLY);
  proxy.stall('toClient');
  const releasing = expect(lock.release()).rejects.toMatchObject({
    code: 'REDCACHE_OUTCOME_UNKNOWN',
  });
  await eventually(async () => (await client.exists(inRedis('k'))) === 0);
  const next = await near.acquire('k', HOURLY);
  proxy.cut();
  proxy.resume();
  await releasing;
  await eventually(() => far.isLocked('k'));
  expect(await lock.release()).toBe('lost');
  await expectHeld(next, far);
});

test('a release that could not be sent is made up for, so that nobody waits for the end of the lease', async () => {
  const { far, near, proxy } = await openGround();
  const lock = await far.acquire('k', HOURLY);
  const { waiting } = await startWaiting(near, 'k');
  proxy.cut({ refuse: true });
  await expect(lock.release()).rejects.toMatchObject({
    code: expect.stringMatching(/^REDCACHE_(UNAVAILABLE|OUTCOME_UNKNOWN)$/),
  });
  proxy.heal();
  expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
});

test('a lock that is granted to a caller who has gone while the connection was silent is given back', async () => {
  const { far, near, proxy, client } = await openGround();
  const controller = new AbortController();
  proxy.stall('toClient');
  const asking = far.acquire('k', { ...HOURLY, signal: controller.signal });
  const gone = expect(asking).rejects.toBe('gone');
  await eventually(() => client.exists(inRedis('k')));
  controller.abort('gone');
  await gone;
  proxy.resume();
  await near.acquire('k', HOURLY);
});

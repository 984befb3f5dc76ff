// Locks over a cluster whose nodes take no more connections, or give away a slot key by key.
import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks, type LocksRules } from '@redcache/locks';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { finishSlotMove, moveKeys, startSlotMove } from '../../support/slots.ts';
import { openKind } from '../core/four-kinds.ts';
import { endsOf } from '../core/topology.ts';
import { aborted, freshKey, hear, inRedis } from './ground.ts';

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

/** Locks over a client of their own, closed when the test ends. Nobody polls within a test. */
async function open(cached: boolean, options: LocksRules = {}) {
  const cache = cached ? { cache: clientSideCache() as never } : {};
  const opened = await openKind('cluster', cluster, cache);
  const locks = createLocks({ client: opened.raw, retry: { delay: '60s' }, ...options });
  onTestFinished(async () => {
    await locks.close();
    await opened.close();
  });
  return { raw: opened.raw, locks };
}

test('extended over a connection that is not heard, then over one that is: a foreign DEL is heard', async () => {
  const [{ locks, raw }, others] = [await open(false), await open(false)];
  const waits = hear('redcache:lock:waiting');
  const woken = hear('redcache:lock:woken');
  const tag = freshKey('full');
  const [key, elsewhere] = [`{${tag}}`, `{${tag}}:elsewhere`];
  await others.locks.acquire(elsewhere, { lease: '1h' });
  const lock = await locks.acquire(key, { lease: '1h' });
  const controller = new AbortController();
  const gone = expect(locks.acquire(elsewhere, { signal: controller.signal })).rejects.toBe('gone');
  await eventually(() => waits.length > 0 && woken.length > 0);
  controller.abort('gone');
  await gone;
  await locks.isLocked(key);
  // The client's own connection there stays; the one that is heard can't come back.
  const node = await raw.getNodeClientForKey(inRedis(key));
  const heard = async (): Promise<string[]> =>
    String(await node.sendCommand(['CLIENT', 'LIST']))
      .split('\n')
      .filter((line) => / flags=\S*t/.test(line));
  await node.configSet('maxclients', '1');
  try {
    for (const line of await heard())
      await node.sendCommand(['CLIENT', 'KILL', 'ID', /\bid=(\d+)/.exec(line)?.[1] as string]);
    for (let i = 0; i < 5; i += 1) await eventually(() => lock.extend().then(() => true));
    expect(await heard()).toEqual([]);
  } finally {
    await node.configSet('maxclients', '10000');
  }
  await eventually(heard, (lines) => lines.length > 0);
  await lock.extend();
  await lock.extend();
  const loss = aborted(lock.signal);
  await node.del(inRedis(key));
  expect(await loss).toMatchObject({ reason: 'deleted' });
}, 30_000);

test.for([true, false])(
  'the first who waits over a node that was not asked before stands in the queue, cached: %s',
  async (cached) => {
    const [one, two] = [await open(true), await open(cached)];
    const key = freshKey('cold');
    const lock = await one.locks.acquire(key, { lease: '60s' });
    const waiting = two.locks.acquire(key, { wait: '20s' });
    await eventually(async () => (await one.locks.inspect(key)).waitingProcesses === 1);
    await lock.release();
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  },
);

test('a slot that gives away the last token first: who wants a permit waits, and gets it there', async () => {
  const [one, two] = [await open(true), await open(true)];
  const key = freshKey('moving');
  const lock = await one.locks.semaphore(key, 2).acquire({ lease: '60s' });
  const { slot, from, to } = await endsOf(cluster, inRedis(key));
  const move = await startSlotMove(cluster, slot, to);
  await moveKeys(move, [`{${inRedis(key)}}:fence`]);
  await expect(two.locks.semaphore(key, 2).tryAcquire()).rejects.toMatchObject({
    code: 'REDCACHE_UNAVAILABLE',
  });
  const waiting = two.locks.semaphore(key, 2).acquire({ wait: '20s' });
  await moveKeys(move);
  await finishSlotMove(move);
  expect(await from.ask('EXISTS', inRedis(key)).catch(() => 0)).toBe(0);
  expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  expect(await lock.release()).toBe('released');
}, 30_000);

test('a slot that gives away the gate of a semaphore first: nobody gets a permit that is held', async () => {
  const [one, two] = [await open(true), await open(true)];
  const key = freshKey('gate');
  const lock = await one.locks.semaphore(key, 1).acquire({ lease: '60s' });
  const { slot, to } = await endsOf(cluster, inRedis(key));
  const move = await startSlotMove(cluster, slot, to);
  await moveKeys(move, [inRedis(key)]);
  // Half of it is here and half there: nobody can tell.
  await expect(two.locks.semaphore(key, 1).tryAcquire()).rejects.toMatchObject({
    code: 'REDCACHE_UNAVAILABLE',
  });
  await moveKeys(move);
  await finishSlotMove(move);
  await eventually(() => lock.extend().then(() => true));
  expect(await two.locks.semaphore(key, 1).tryAcquire()).toBe(null);
  expect(await lock.release()).toBe('released');
}, 30_000);

// Many locks at once over one connection: what is asked for in one turn goes in one script.
import type { Lock } from '@redcache/locks';
import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type Client, freshKey, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const freshKeys = (count: number): string[] =>
  Array.from({ length: count }, () => freshKey('many'));

/** How often a server was sent which command. */
async function commands(client: Client) {
  const stats = await client.info('commandstats');
  return (name: string): number =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

test('a hundred locks that are taken and given back again and again cost a few scripts, and nobody looks twice', async () => {
  // Its own, which counts what it is sent.
  await using alone = await startStandalone();
  const { locks, client } = await openLocks(alone.node.url);
  const keys = freshKeys(100);
  const round = async (): Promise<void> => {
    // No lease is extended meanwhile.
    const held = await Promise.all(keys.map((key) => locks.acquire(key, { lease: '1h' })));
    expect(new Set(held.map(({ holder }) => holder)).size).toBe(100);
    const outcomes = await Promise.all(held.map((lock) => lock.release()));
    expect(new Set(outcomes)).toEqual(new Set(['released']));
  };
  await round();
  const before = await commands(client);
  await round();
  await round();
  const after = await commands(client);
  // For each of two rounds one and four batches, twice.
  expect(after('evalsha') - before('evalsha')).toBeLessThanOrEqual(20);
  // A second look at a lock, as after a push that nothing of ours explains.
  expect(after('pttl') - before('pttl')).toBe(0);
  expect(await client.exists(keys.map(inRedis))).toBe(0);
});

test('of many that are asked for at once each is granted, refused or fails by itself', async () => {
  const { locks, client } = await openLocks(url);
  const [free, held, list, text, mine] = freshKeys(5) as [string, string, string, string, string];
  const other = await openLocks(url);
  const foreign = await other.locks.acquire(held);
  const own = await locks.acquire(mine);
  await client.rPush(inRedis(list), 'an element');
  await client.set(inRedis(text), 'some text');
  const leading = freshKey('first');
  const outcomes = await Promise.allSettled(
    [leading, free, held, list, text, mine].map((key) => locks.tryAcquire(key)),
  );
  expect(outcomes).toMatchObject([
    { value: { key: leading } },
    { value: { key: free } },
    { value: null },
    { reason: { code: 'REDCACHE_CONFIG' } },
    { reason: { code: 'REDCACHE_CONFIG' } },
    { value: null },
  ]);
  expect(foreign.signal.aborted).toBe(false);
  expect(await own.release()).toBe('released');
});

test('of many that are given back at once each goes to whoever waits for it, or is deleted', async () => {
  const [one, two] = [await openLocks(url), await openLocks(url)];
  const keys = freshKeys(40);
  const waitedFor = new Set(keys.filter((_, i) => i % 3 === 0));
  const held = await Promise.all(keys.map((key) => one.locks.acquire(key)));
  const waiting = [...waitedFor].map((key) => two.locks.acquire(key));
  for (const key of waitedFor)
    await eventually(async () => (await one.locks.inspect(key)).waitingProcesses === 1);
  expect(new Set(await Promise.all(held.map((lock) => lock.release())))).toEqual(
    new Set(['released']),
  );
  const next = await Promise.all(waiting);
  for (const lock of next) {
    const before = held.find(({ key }) => key === lock.key);
    expect(lock.fencingToken).toBeGreaterThan(before?.fencingToken ?? Number.POSITIVE_INFINITY);
  }
  for (const key of keys) expect(await one.locks.isLocked(key)).toBe(waitedFor.has(key));
});

test.for(['+mget', '-mget'])(
  'whoever took many at once hears of each that is deleted, and of no other, as a user with %s',
  async (mget) => {
    await using alone = await startStandalone();
    await alone.node.ask('ACL', 'SETUSER', 'worker', 'on', '>secret', '~*', '&*', '+@all', mget);
    const { locks } = await openLocks(alone.node.url.replace('//', '//worker:secret@'));
    const client = await openClient(alone.node.url);
    const keys = freshKeys(20);
    // No extension finds it out meanwhile.
    const held = await Promise.all(keys.map((key) => locks.acquire(key, { lease: '1h' })));
    const [, , , gone, ...others] = held as [Lock, Lock, Lock, Lock, ...Lock[]];
    for (const lock of held) expect(lock.signal.aborted).toBe(false);
    await client.del(inRedis(gone.key));
    await eventually(() => gone.signal.aborted);
    expect(gone.signal.reason).toMatchObject({ reason: 'deleted' });
    for (const lock of others) expect(lock.signal.aborted).toBe(false);
    const outcomes = await Promise.all(held.map((lock) => lock.release()));
    expect(outcomes.filter((outcome) => outcome === 'lost')).toHaveLength(1);
    expect(await client.exists(keys.map(inRedis))).toBe(0);
  },
);

test('a batch survives that the server forgets its scripts', async () => {
  const { locks, client } = await openLocks(url);
  const keys = freshKeys(10);
  for (let round = 0; round < 2; round++) {
    const held = await Promise.all(keys.map((key) => locks.acquire(key)));
    await client.scriptFlush();
    expect(new Set(await Promise.all(held.map((lock) => lock.release())))).toEqual(
      new Set(['released']),
    );
    await client.scriptFlush();
  }
});

test('a single client of a node of a cluster takes many locks at once all the same', async () => {
  await using alone = await startStandalone({ args: ['--cluster-enabled', 'yes'] });
  await alone.node.ask('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  const { url: node } = alone.node;
  const client = await openClient(node);
  await eventually(async () => (await client.clusterInfo()).includes('cluster_state:ok'));
  const { locks } = await openLocks(node);
  const keys = freshKeys(20);
  const held = await Promise.all(keys.map((key) => locks.acquire(key)));
  for (const key of keys) expect(await client.exists(inRedis(key))).toBe(1);
  expect(new Set(await Promise.all(held.map((lock) => lock.release())))).toEqual(
    new Set(['released']),
  );
});

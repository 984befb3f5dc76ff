import type { Lock, Locks, LocksRules } from '@redcache/locks';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { roleNow } from '../../support/failover.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { aborted, extensions, freshKey, hear, openLocksOver } from './ground.ts';

const KEY_MAJORITY = 2;

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

function openLocks(cached: boolean, options: LocksRules = {}): Promise<Locks> {
  return openLocksOver('cluster', cluster, { cached, keyMajority: KEY_MAJORITY, ...options });
}

const masters = async (): Promise<ServerNode[]> => {
  const found: ServerNode[] = [];
  for (const node of cluster.nodesOf('master'))
    if ((await roleNow(node)) === 'master') found.push(node);
  return found;
};

/** The keys in which the lock stands, by the master that has them; found by its holder. */
async function keysOf({ key, holder }: Lock, nodes: readonly ServerNode[]) {
  const found = new Map<ServerNode, string[]>();
  for (const node of nodes) {
    const names = (await node.ask('KEYS', `*${key}*`)) as string[];
    for (const name of names.filter((each) => !each.includes(':fence:'))) {
      // Those beside the lock have other types.
      const value = await node.ask('GET', name).catch(() => null);
      if (String(value).startsWith(`${holder}:`))
        found.set(node, [...(found.get(node) ?? []), name]);
    }
  }
  return found;
}

/** A lock that is held, and the master of each of its keys. */
async function hold(cached: boolean, options: LocksRules = {}) {
  const locks = await openLocks(cached, options);
  const key = freshKey('spread');
  const lock = await locks.acquire(key);
  const nodes = await masters();
  const keys = await eventually(
    () => keysOf(lock, nodes),
    (all) => all.size === 3,
    { what: 'the lock to stand on three masters' },
  );
  return { locks, key, lock, nodes, keys };
}

/** Stands still until the test ends, or `resume` is called. */
async function pause(node: ServerNode): Promise<void> {
  onTestFinished(() => node.resume());
  await node.pause();
}

describe.for([true, false])('cached: %s', (cached) => {
  test('the keys of a lock are on different masters, and are given back on all', async () => {
    const { lock, keys, nodes } = await hold(cached);
    expect([...keys.values()].map((each) => each.length)).toEqual([1, 1, 1]);
    expect(await lock.release()).toBe('released');
    await eventually(
      () => keysOf(lock, nodes),
      (all) => all.size === 0,
    );
  });

  test.for([0, 1, 2])(
    'it is taken, extended and exclusive while master %i stands still',
    { timeout: 30_000 },
    async (stopped) => {
      const { key, lock, nodes, keys } = await hold(cached, { lease: 1_500, commandTimeout: 400 });
      const other = await openLocks(cached, { commandTimeout: 400 });
      const still = nodes[stopped] as ServerNode;
      await pause(still);
      await extensions(lock, 4);
      await lock.extend('60s');
      expect(lock.signal.aborted).toBe(false);
      expect(await other.tryAcquire(key)).toBe(null);
      const fresh = freshKey('taken');
      const taken = await other.acquire(fresh, { wait: '20s' });
      expect(await taken.release()).toBe('released');
      expect(await lock.release()).toBe('released');
      const next = await other.acquire(key, { wait: '20s', lease: '60s' });
      expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
      await still.resume();
      // What was sent to it meanwhile has run: the one before has gone, and did no harm.
      const [name] = keys.get(still) as string[];
      await eventually(
        () => still.ask('GET', name as string),
        (value) => !String(value).startsWith(lock.holder),
      );
      await next.extend();
      expect(next.signal.aborted).toBe(false);
    },
  );

  test('who waits hears of the release while a master stands still', async () => {
    const waits = hear('redcache:lock:waiting');
    const woken = hear('redcache:lock:woken');
    const { key, lock, nodes } = await hold(cached, { lease: '60s', commandTimeout: 400 });
    const other = await openLocks(cached, { commandTimeout: 400 });
    await pause(nodes[0] as ServerNode);
    const waiting = other.acquire(key, { wait: '20s' });
    waiting.catch(() => {});
    await eventually(() => waits.length > 0 && (cached || woken.length > 0));
    await other.isLocked(key);
    expect(await lock.release()).toBe('released');
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  }, 30_000);

  test('one at a time has it, under a higher token each', async () => {
    const key = freshKey('many');
    const all = await Promise.all([1, 2, 3].map(() => openLocks(cached, { retry: { delay: 10 } })));
    const tokens: bigint[] = [];
    let inside = 0;
    await Promise.all(
      all.flatMap((locks) =>
        [1, 2, 3, 4].map(() =>
          locks.withLock(key, async ({ fencingToken }) => {
            inside += 1;
            expect(inside).toBe(1);
            tokens.push(fencingToken);
            await locks.isLocked(key);
            inside -= 1;
          }),
        ),
      ),
    );
    expect(tokens).toHaveLength(12);
    for (const [i, token] of tokens.entries())
      if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
  }, 30_000);

  test('a foreign DEL on one master is no loss, on two it is', async () => {
    const { lock, keys } = await hold(cached, { lease: '60s' });
    const [one, two] = [...keys];
    const del = ([node, [name]]: [ServerNode, string[]]) => node.ask('DEL', name as string);
    await del(one as [ServerNode, string[]]);
    await lock.extend();
    expect(lock.signal.aborted).toBe(false);
    const loss = aborted(lock.signal);
    await eventually(async () => {
      for (const each of [one, two]) await del(each as [ServerNode, string[]]);
      await lock.extend().catch(() => {});
      return lock.signal.aborted;
    });
    expect(await loss).toMatchObject({ reason: 'deleted' });
  });
});

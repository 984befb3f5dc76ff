// Locks over every kind of client, with and without a cache of its own.
import { clientSideCache } from '@redcache/core/node-redis';
import {
  createLocks,
  type Lock,
  type Locks,
  type LocksRules,
  type OneDeployment,
} from '@redcache/locks';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Deployment, SentinelDeployment } from '../../support/deployments.ts';
import { startCluster, startSentinel } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  failOver,
  masterNow,
  QUICK_FAILOVER,
  replicaOf,
  roleNow,
  sentinelFailOver,
} from '../../support/failover.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { moveSlot } from '../../support/slots.ts';
import { EveryKind } from '../core/every-kind.ts';
import { KINDS, type Kind, openKind } from '../core/four-kinds.ts';
import { endsOf } from '../core/topology.ts';
import { aborted, freshKey, hear, inRedis, openLocksOver } from './ground.ts';

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());

/** Each kind with a cache and without. */
const CASES = KINDS.flatMap((kind) => [true, false].map((cached) => ({ kind, cached })));

interface Case {
  readonly kind: Kind;
  readonly cached: boolean;
}

/** Whether pushes come over the client itself, or over a connection that is opened when one waits. */
const isTracked = ({ kind, cached }: Case): boolean =>
  cached && (kind === 'client' || kind === 'cluster');

type Options = LocksRules;

/** Locks over a client of their own. Nobody polls within a test. */
async function openLocks(
  { kind, cached }: Case,
  deployment: Deployment = deployments.of(kind),
  options: Options = {},
): Promise<Locks> {
  return openLocksOver(kind, deployment, { cached, ...options });
}

/** Resolves when what waits there for the key has been answered, over a connection that is tracked. */
async function untilTold(locks: Locks, { waits, woken }: Heard, which: Case): Promise<void> {
  await eventually(() => waits.length > 0 && (isTracked(which) || woken.length > 0));
  const key = waits.at(-1)?.key as string;
  // Behind whatever the waiter asked.
  await eventually(() => locks.isLocked(key));
}

interface Heard {
  readonly waits: readonly { readonly key: string }[];
  readonly woken: readonly { readonly key: string; readonly cause: string }[];
}

/** Somebody holds the lock of a key, and somebody else has seen that and waits. */
async function holderAndWaiter(which: Case, deployment?: Deployment) {
  const key = freshKey('waited');
  const [heard, one, two] = [
    { waits: hear('redcache:lock:waiting'), woken: hear('redcache:lock:woken') },
    await openLocks(which, deployment),
    await openLocks(which, deployment),
  ];
  const lock = await one.acquire(key, { lease: '60s' });
  const waiting = two.acquire(key, { wait: '100s' });
  waiting.catch(() => {});
  await untilTold(two, heard, which);
  return { key, lock, waiting, one, two, ...heard };
}

/** Holds the lock of a key and is told of what becomes of it: it has waited for another one there. */
async function watchedHolder(which: Case, deployment?: Deployment) {
  // Of one slot, so that in a cluster whoever waits for the other listens to the same node.
  const tag = freshKey('held');
  const [key, elsewhere] = [`{${tag}}`, `{${tag}}:elsewhere`];
  const heard = { waits: hear('redcache:lock:waiting'), woken: hear('redcache:lock:woken') };
  const locks = await openLocks(which, deployment);
  const lock = await locks.acquire(key, { lease: '1h' });
  if (!isTracked(which)) {
    // Those who wait for a lock of this process would not ask Redis at all.
    const others = await openLocks(which, deployment);
    await others.acquire(elsewhere, { lease: '1h' });
    const controller = new AbortController();
    const { signal } = controller;
    const gone = expect(locks.acquire(elsewhere, { signal })).rejects.toBe('gone');
    await untilTold(locks, heard, which);
    controller.abort('gone');
    await gone;
  }
  await locks.isLocked(key);
  return { key, lock, locks };
}

/** On every server that holds data. */
async function onServers(deployment: Deployment, ...command: string[]): Promise<string[]> {
  const answers: string[] = [];
  for (const node of deployment.nodes)
    if (node.role !== 'sentinel' && (await roleNow(node)) === 'master')
      answers.push(String(await node.ask(...command)));
  return answers;
}

const killClients = (deployment: Deployment): Promise<string[]> =>
  onServers(deployment, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

/** It may take a reconnect until it can be given back. */
async function giveBack(lock: Lock): Promise<void> {
  expect(await eventually(() => lock.release())).toBe('released');
}

describe.for(CASES)('$kind, cached: $cached', (which) => {
  const deployment = () => deployments.of(which.kind);

  test('one at a time holds a lock, whatever its key, each under a higher token', async () => {
    const all = await Promise.all([1, 2, 3].map(() => openLocks(which, undefined, { retry: {} })));
    const keys = [freshKey('a'), `{${freshKey('tag')}}b`, freshKey('c{d'), freshKey('}e')];
    const inside = new Map<string, number>();
    const tokens = new Map<string, bigint[]>(keys.map((key) => [key, []]));
    await Promise.all(
      all.flatMap((locks) =>
        [...keys, ...keys, ...keys].map((key) =>
          locks.withLock(key, async (lock) => {
            inside.set(key, (inside.get(key) ?? 0) + 1);
            expect(inside.get(key)).toBe(1);
            tokens.get(key)?.push(lock.fencingToken);
            await locks.isLocked(key);
            inside.set(key, (inside.get(key) ?? 0) - 1);
          }),
        ),
      ),
    );
    for (const [, each] of tokens) {
      expect(each).toHaveLength(9);
      expect(each).toEqual([...each].sort((a, b) => (a < b ? -1 : 1)));
    }
    expect(await all[0]?.isLocked(keys[0] as string)).toBe(false);
  });

  test('who waits is woken by the push of the release', async () => {
    const { lock, waiting, woken, two, key } = await holderAndWaiter(which);
    expect(await two.tryAcquire(key)).toBeNull();
    expect(await lock.release()).toBe('released');
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(woken.map(({ cause }) => cause)).toEqual(isTracked(which) ? ['push'] : ['poll', 'push']);
  });

  test('a holder hears of a foreign DEL at once', async () => {
    const { lock, key } = await watchedHolder(which);
    const loss = aborted(lock.signal);
    const opened = await openKind(which.kind, deployment());
    await opened.writer.del(inRedis(key));
    await opened.close();
    expect(await loss).toMatchObject({ reason: 'deleted' });
    expect(await lock.release()).toBe('lost');
  });

  test('FLUSHALL: a holder hears of it, and who waits goes on', async () => {
    const { lock } = await watchedHolder(which);
    const loss = aborted(lock.signal);
    const { waiting, woken } = await holderAndWaiter(which);
    await onServers(deployment(), 'FLUSHALL');
    expect(await loss).toMatchObject({ reason: 'flushed' });
    await waiting;
    expect(woken.at(-1)).toMatchObject({ cause: 'flush' });
  });

  test('connections that are killed cost neither the holder its lock nor who waits his turn', async () => {
    const { lock, waiting, woken, two, key } = await holderAndWaiter(which);
    const before = woken.length;
    await killClients(deployment());
    await eventually(() => woken.length > before);
    expect(woken[before]).toMatchObject({ cause: 'disconnect' });
    expect(lock.signal.aborted).toBe(false);
    await eventually(() => two.isLocked(key));
    await giveBack(lock);
    await waiting;
  });

  test('a holder whose connections are killed hears of a foreign DEL afterwards', async () => {
    const { lock, key } = await watchedHolder(which);
    await killClients(deployment());
    await eventually(() => lock.extend().then(() => true));
    const loss = aborted(lock.signal);
    const opened = await openKind(which.kind, deployment());
    await opened.writer.del(inRedis(key));
    await opened.close();
    expect(await loss).toMatchObject({ reason: 'deleted' });
  });

  test('close() leaves no connection but those of the client', async () => {
    const opened = await openKind(which.kind, deployment(), {
      ...(which.cached ? { cache: clientSideCache() as never } : {}),
    });
    onTestFinished(() => opened.close());
    const connections = async (): Promise<number> =>
      (await onServers(deployment(), 'CLIENT', 'LIST', 'TYPE', 'normal')).join('').split('\n')
        .length;
    const before = await connections();
    const locks = createLocks({ client: opened.raw as OneDeployment['client'] });
    const keys = [1, 2, 3, 4, 5, 6].map((n) => opened.keyFor(n));
    const held = await Promise.all(keys.map((key) => locks.acquire(key)));
    const waiting = keys.map((key) => locks.acquire(key).catch((error) => error));
    if (!isTracked(which)) await eventually(async () => (await connections()) > before);
    await locks.close();
    for (const each of await Promise.all(waiting))
      expect(each).toMatchObject({ code: 'REDCACHE_CLOSED' });
    for (const lock of held) expect(lock.signal.reason).toMatchObject({ reason: 'closed' });
    await eventually(connections, (now) => now === before);
    for (const key of keys) expect(await opened.client.exists(inRedis(key))).toBe(0);
  });
});

describe.for([true, false])('cluster, cached: %s', (cached) => {
  const which: Case = { kind: 'cluster', cached };
  const deployment = () => deployments.of('cluster');

  test('a slot that moves: the holder keeps its lock, and who waits hears of the release there', async () => {
    const { key, lock, waiting, two } = await holderAndWaiter(which);
    const { slot, to } = await endsOf(deployment(), inRedis(key));
    await moveSlot(deployment(), slot, to);
    await lock.extend();
    expect(await to.ask('EXISTS', inRedis(key))).toBe(1);
    expect(await two.isLocked(key)).toBe(true);
    expect(lock.signal.aborted).toBe(false);
    await giveBack(lock);
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  });

  test('a slot that has moved: a holder hears of a foreign DEL at the new owner', async () => {
    const { key, lock } = await watchedHolder(which);
    const { slot, to } = await endsOf(deployment(), inRedis(key));
    await moveSlot(deployment(), slot, to);
    await lock.extend();
    const loss = aborted(lock.signal);
    await to.ask('DEL', inRedis(key));
    expect(await loss).toMatchObject({ reason: 'deleted' });
  });

  // These take seconds, so each is shown by one of the two ways of hearing.
  test.runIf(cached)(
    'a failover: the holder keeps its lock, and who waits hears of the release by the new master',
    async () => {
      await using own = await startCluster({ args: QUICK_FAILOVER });
      const { key, lock, waiting, two } = await holderAndWaiter(which, own);
      const { from } = await endsOf(own, inRedis(key));
      await failOver(own, await replicaOf(own, from));
      await eventually(() => two.isLocked(key));
      expect(lock.signal.aborted).toBe(false);
      await giveBack(lock);
      expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    },
  );

  test.runIf(!cached)(
    'a master that is killed: its replica has the lock, and who waits gets it there',
    async () => {
      await using own = await startCluster({ args: QUICK_FAILOVER });
      const { key, lock, waiting } = await holderAndWaiter(which, own);
      const { from } = await endsOf(own, inRedis(key));
      await replicated(own, from);
      await from.kill();
      await giveBackWithin(lock);
      expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    },
  );
});

describe.for([true, false])('sentinel, cached: %s', (cached) => {
  const which: Case = { kind: 'sentinel', cached };

  // These take seconds, so each is shown by one of the two ways of hearing.
  test.runIf(cached)(
    'a failover: the holder keeps its lock, and who waits hears of the release by the new master',
    async () => {
      await using own = await startSentinel();
      const { key, lock, waiting, two, woken } = await holderAndWaiter(which, own);
      const before = woken.length;
      await replicated(own, await masterNow(own));
      await sentinelFailOver(own);
      await eventually(() => woken.length > before);
      await eventually(() => two.isLocked(key));
      expect(lock.signal.aborted).toBe(false);
      await giveBack(lock);
      expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    },
  );

  test.runIf(!cached)(
    'a master that is killed: the new one has the lock, and who waits gets it there',
    async () => {
      await using own: SentinelDeployment = await startSentinel();
      const { lock, waiting } = await holderAndWaiter(which, own);
      const master = await masterNow(own);
      await replicated(own, master);
      await master.kill();
      await giveBackWithin(lock);
      expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    },
  );
});

/** Resolves when the replica has as many keys as its master. */
async function replicated(deployment: Deployment, master: ServerNode): Promise<void> {
  const replica = await replicaOf(deployment, master);
  await eventually(async () => (await replica.ask('DBSIZE')) === (await master.ask('DBSIZE')));
}

/** It takes until the servers have noticed, and node-redis after them. */
async function giveBackWithin(lock: Lock): Promise<void> {
  const outcome = await eventually(() => lock.release(), Boolean, { deadlineMs: 45_000 });
  expect(outcome).toBe('released');
}

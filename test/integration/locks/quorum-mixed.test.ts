// A majority of servers that are reached by clients of different kinds.
import { clientSideCache } from '@redcache/core/node-redis';
import {
  createLocks,
  type IndependentServers,
  type Lock,
  type Locks,
  type LocksRules,
} from '@redcache/locks';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { SentinelDeployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { masterNow } from '../../support/failover.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { EveryKind } from '../core/every-kind.ts';
import { KINDS, type Kind, openKind } from '../core/four-kinds.ts';
import { endsOf } from '../core/topology.ts';
import { extensions, freshKey, hear, inRedis } from './ground.ts';

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());

/** Three of four, so each is needed when another one is gone. */
const MEMBERS: readonly Kind[] = KINDS;

/** Locks over a client of each kind, closed when the test ends. Nobody polls within a test. */
async function openMixed(cached: boolean, options: LocksRules = {}): Promise<Locks> {
  const cache = () => (cached ? { cache: clientSideCache() as never } : {});
  const opened = await Promise.all(
    MEMBERS.map((kind) => openKind(kind, deployments.of(kind), cache())),
  );
  const clients = opened.map(({ raw }) => raw) as unknown as IndependentServers['clients'];
  const locks = createLocks({ clients, retry: { delay: '60s' }, commandTimeout: 400, ...options });
  onTestFinished(async () => {
    await locks.close();
    await Promise.all(opened.map((each) => each.close()));
  });
  return locks;
}

/** The server that has a key, where clients of that kind go. */
async function serverOf(kind: Kind, key: string): Promise<ServerNode> {
  const deployment = deployments.of(kind);
  if (kind === 'cluster') return (await endsOf(deployment, inRedis(key))).from;
  if (kind === 'sentinel') return masterNow(deployment as SentinelDeployment);
  return deployment.nodes[0] as ServerNode;
}

const serversOf = (key: string): Promise<ServerNode[]> =>
  Promise.all(MEMBERS.map((kind) => serverOf(kind, key)));

/** On how many of them it is this holder's. */
async function heldOn(servers: readonly ServerNode[], { key, holder }: Lock): Promise<number> {
  const values = await Promise.all(servers.map((server) => server.ask('GET', inRedis(key))));
  return values.filter((value) => String(value).startsWith(`${holder}:`)).length;
}

describe.for([true, false])('cached: %s', (cached) => {
  test('a lock stands with all kinds, and is waited for until it is given back by all', async () => {
    const waits = hear('redcache:lock:waiting');
    const woken = hear('redcache:lock:woken');
    // All are there: whoever is slow to say in which database he is is not to be left unheard for it.
    const patient = { commandTimeout: 10_000 };
    const [one, two] = [await openMixed(cached, patient), await openMixed(cached, patient)];
    const key = freshKey('mixed');
    const servers = await serversOf(key);
    const lock = await one.acquire(key, { lease: '60s' });
    await eventually(
      () => heldOn(servers, lock),
      (count) => count === MEMBERS.length,
    );
    expect(await two.tryAcquire(key)).toBe(null);
    const waiting = two.acquire(key, { wait: '20s' });
    await eventually(() => waits.length > 0 && woken.length > 0);
    await two.isLocked(key);
    expect(await lock.release()).toBe('released');
    const next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(await next.release()).toBe('released');
    await eventually(
      () => heldOn(servers, next),
      (count) => count === 0,
    );
  }, 30_000);

  test.for(MEMBERS)(
    'it is held, extended and exclusive while the server behind the %s stands still',
    { timeout: 30_000 },
    async (kind) => {
      const [one, two] = [await openMixed(cached, { lease: 1_500 }), await openMixed(cached)];
      const key = freshKey('still');
      const lock = await one.acquire(key);
      const still = await serverOf(kind, key);
      onTestFinished(() => still.resume());
      await still.pause();
      await extensions(lock, 4);
      expect(lock.signal.aborted).toBe(false);
      expect(await two.tryAcquire(key)).toBe(null);
      expect(await lock.release()).toBe('released');
      const next = await two.acquire(key, { wait: '20s', lease: '60s' });
      expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
      await still.resume();
      await next.extend();
      expect(next.signal.aborted).toBe(false);
    },
  );
});

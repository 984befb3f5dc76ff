// What redcache relies on from replication, sentinels and node-redis's sentinel client.
import { DisconnectsClientError, type RedisClientType } from 'redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type SentinelDeployment,
  startSentinel,
  startStandalone,
} from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  awaitReplication,
  demote,
  killUntilPromoted,
  masterNow,
  promote,
  sentinelFailOver,
} from '../../support/failover.ts';
import { proxyEveryNode } from '../../support/proxied.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { RecordingProvider } from '../../support/recording-provider.ts';
import { openKind } from '../core/four-kinds.ts';

let deployment: SentinelDeployment;
beforeAll(async () => {
  deployment = await startSentinel();
});
afterAll(() => deployment.stop());

let keys = 0;
const newKey = (): string => {
  keys += 1;
  return `fact:${process.pid}:${keys}`;
};

/** A connection that tracks and has read `key`. */
async function openReader(node: Parameters<typeof RawConnection.open>[0]): Promise<RawConnection> {
  const reader = await RawConnection.open(node);
  await reader.send('CLIENT', 'TRACKING', 'ON');
  await reader.send('GET', 'key');
  return reader;
}

test('R12: a replica pushes to its own readers when the write arrives', async () => {
  await using master = await startStandalone();
  await using replica = await startStandalone();
  await demote(replica.node, master.node);
  await using reader = await openReader(replica.node);
  await master.node.ask('SET', 'key', 'value');
  const pushes = await eventually(
    () => reader.pushes(),
    (each) => each.length > 0,
  );
  expect(pushes).toEqual([['key']]);
});

test('R12: promotion pushes nothing; demotion with a full resync pushes null', async () => {
  await using master = await startStandalone();
  await using replica = await startStandalone();
  await demote(replica.node, master.node);
  await using reader = await openReader(replica.node);
  await promote(replica.node);
  expect(await reader.pushes()).toEqual([]);
  // A write of its own: from here on it can't follow the master without starting anew.
  await replica.node.ask('SET', 'another', 'value');
  await demote(replica.node, master.node);
  expect(await reader.pushes()).toEqual([null]);
});

test('R12: demotion with a partial resync pushes nothing', async () => {
  await using master = await startStandalone();
  await using replica = await startStandalone();
  await demote(replica.node, master.node);
  await using reader = await openReader(master.node);
  await master.node.ask('FAILOVER');
  await awaitReplication(master.node, replica.node);
  expect(await reader.pushes()).toEqual([]);
});

test('N1: sentinel asks trackingOn for each master connection, replicas and pub/sub; not for sentinels', async () => {
  const cache = new RecordingProvider();
  await using opened = await openKind('sentinel', deployment, { cache, replicas: true });
  // Two to the master, one to the replica.
  expect(cache.count('trackingOn')).toBe(3);
  await opened.raw.subscribe('channel', () => {});
  expect(cache.count('trackingOn')).toBe(4);
});

test('a plain value from handleCache is what the caller gets', async () => {
  class Plain extends RecordingProvider {
    override handleCache(): never {
      return 'plain' as never;
    }
  }
  await using opened = await openKind('sentinel', deployment, { cache: new Plain() });
  expect(await opened.client.get(newKey())).toBe('plain');
});

/** The client behind one command of a sentinel client. */
const memberOf = (raw: {
  _execute(
    isReadonly: boolean,
    fn: (client: RedisClientType) => Promise<unknown>,
  ): Promise<unknown>;
}): Promise<RedisClientType> =>
  new Promise((resolve, reject) => {
    raw._execute(false, async (client) => resolve(client)).catch(reject);
  });

test('destroy and connect in one tick on a master client: what was sent through sentinel is sent again', async () => {
  await using opened = await openKind('sentinel', deployment, { cache: new RecordingProvider() });
  const { client, raw, writer } = opened;
  const [list, key] = [newKey(), newKey()];
  const member = await memberOf(raw as never);
  const waiting = raw.blPop(list, 0);
  const direct = member.set(key, 'sent').catch((error: unknown) => error);
  const master = await masterNow(deployment);
  const blocked = (clients: string): boolean => clients.includes('cmd=blpop');
  await eventually(
    () => master.ask('CLIENT', 'LIST'),
    (each) => blocked(String(each)),
  );
  member.destroy();
  await member.connect();
  // On the client itself it is rejected; the sentinel client takes that for a reason to try again.
  expect(await direct).toBeInstanceOf(DisconnectsClientError);
  await (writer as unknown as typeof raw).rPush(list, 'value');
  expect(await waiting).toEqual({ key: list, element: 'value' });
  expect(await memberOf(raw as never)).toBe(member);
  expect(await client.set(key, 'value')).toBe('OK');
});

test('the same with an address map: it opens new clients in place of all, and an INCR may count twice', async () => {
  await using proxied = await proxyEveryNode(deployment);
  const cache = new RecordingProvider();
  await using opened = await openKind('sentinel', deployment, { cache, through: proxied });
  const { client, raw, writer } = opened;
  const key = newKey();
  const member = await memberOf(raw as never);
  const proxy = proxied.of(await masterNow(deployment));
  proxy.stall('toClient');
  const sent = client.incr(key);
  await eventually(
    () => writer.get(key),
    (value) => value === '1',
  );
  proxy.resume();
  member.destroy();
  // It may be destroyed once more while it connects: that is the sentinel client at work.
  member.connect().catch(() => {});
  expect(await sent).toBe(2);
  expect(member.isOpen).toBe(false);
  expect(await memberOf(raw as never)).not.toBe(member);
});

test('the subscription of a sentinel client comes back when its connection was lost', async () => {
  await using opened = await openKind('sentinel', deployment, { cache: new RecordingProvider() });
  const { raw, writer } = opened;
  const channel = newKey();
  const got: string[] = [];
  await raw.subscribe(channel, (message) => got.push(message));
  const master = await masterNow(deployment);
  await master.ask('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await eventually(async () => {
    await (writer as unknown as typeof raw).publish(channel, 'message');
    return got.length > 0;
  });
});

test('N18: a failover by the sentinels: no error, and the cache is dropped', async () => {
  const cache = new RecordingProvider();
  await using opened = await openKind('sentinel', deployment, { cache });
  const { client } = opened;
  const key = newKey();
  await client.set(key, 'old');
  expect(await client.get(key)).toBe('old');
  cache.take();
  const errors: unknown[] = [];
  opened.raw.on('error', (error) => errors.push(error));
  await sentinelFailOver(deployment);
  expect(await client.set(key, 'new')).toBe('OK');
  expect(await client.get(key)).toBe('new');
  expect(errors).toEqual([]);
  expect(cache.heard).toContain('onClose');
  expect(cache.count('trackingOn')).toBe(2);
}, 60_000);

test('N18: a killed master: the cache is dropped at once, and the next write waits for the new one', async () => {
  const cache = new RecordingProvider();
  await using opened = await openKind('sentinel', deployment, { cache });
  const { client } = opened;
  const key = newKey();
  await client.set(key, 'old');
  await client.get(key);
  cache.take();
  const master = await masterNow(deployment);
  const promoted = killUntilPromoted(deployment);
  await eventually(() => cache.count('onError') > 0);
  expect(cache.heard.slice(0, 2)).toEqual(['onError', 'clear']);
  expect(cache.size()).toBe(0);
  expect(await promoted).not.toBe(master);
  await eventually(() => client.set(key, 'new'), undefined, { deadlineMs: 30_000 });
  expect(await client.get(key)).toBe('new');
}, 90_000);

test('a sentinel client keeps a command while there is no master, and sends it to the next one', async () => {
  await using own = await startSentinel();
  await using opened = await openKind('sentinel', own, { cache: new RecordingProvider() });
  const { client, raw } = opened;
  const key = newKey();
  await client.set(key, 'old');
  const member = await memberOf(raw as never);
  await (await masterNow(own)).kill();
  await eventually(() => !member.isReady);
  // Long before anybody is promoted, and nothing of it is rejected.
  const kept = raw.sendCommand(false, ['SET', key, 'kept']);
  let settled = false;
  kept.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await eventually(() => member.isOpen === false, Boolean, { deadlineMs: 45_000 });
  expect(settled).toBe(false);
  expect(await kept).toBe('OK');
}, 90_000);

test('a failover is told by reconnecting and then ready, with clients of the new master in between', async () => {
  await using own = await startSentinel();
  await using opened = await openKind('sentinel', own, { cache: new RecordingProvider() });
  const { raw } = opened;
  const heard: string[] = [];
  for (const event of ['reconnecting', 'ready', 'end'] as const)
    raw.on(event, () => heard.push(event));
  const before = await memberOf(raw as never);
  await sentinelFailOver(own);
  await eventually(() => heard.includes('ready'));
  const after = await memberOf(raw as never);
  expect(heard).toEqual(['reconnecting', 'ready']);
  expect([before.isOpen, after.isReady]).toEqual([false, true]);
  expect(after).not.toBe(before);
}, 60_000);

test('what a task of _execute rejects with READONLY has the sentinels asked, and the task called again', async () => {
  await using opened = await openKind('sentinel', deployment, { cache: new RecordingProvider() });
  let calls = 0;
  const raw = opened.raw as unknown as {
    _execute(isReadonly: boolean, task: () => Promise<unknown>): Promise<unknown>;
  };
  const answer = await raw._execute(false, async () => {
    calls += 1;
    if (calls === 1) throw new Error('READONLY no more');
    return 'again';
  });
  expect([answer, calls]).toEqual(['again', 2]);
});

// What redcache relies on from clusters and from node-redis's cluster client, one test a fact.
import { DisconnectsClientError, type RedisClientType, RootNodesUnavailableError } from 'redis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  awaitReplication,
  failOver,
  killUntilTakenOver,
  QUICK_FAILOVER,
  replicaOf,
} from '../../support/failover.ts';
import { proxyEveryNode } from '../../support/proxied.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { RecordingProvider } from '../../support/recording-provider.ts';
import type { Reply } from '../../support/resp.ts';
import type { ServerNode } from '../../support/server-node.ts';
import {
  assignSlot,
  awaitOwner,
  finishSlotMove,
  moveKeys,
  moveSlot,
  ownerIn,
  ownerOf,
  ownerPortSeenBy,
  slotOf,
  startSlotMove,
} from '../../support/slots.ts';
import { type OpenKindOptions, openKind } from '../core/four-kinds.ts';

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster({ args: QUICK_FAILOVER });
});
afterAll(() => cluster.stop());

let keys = 0;
/** A key nobody has used, alone in its slot or nearly so. */
const newKey = (): string => {
  keys += 1;
  return `fact:${process.pid}:${keys}`;
};

/** The slot of a key, its owner, and a master that is not. */
async function ends(key: string): Promise<{ slot: number; from: ServerNode; to: ServerNode }> {
  const slot = await slotOf(cluster, key);
  const from = await ownerOf(cluster, slot);
  for (const to of cluster.nodes)
    if (to !== from && ((await to.ask('ROLE')) as Reply[])[0] === 'master')
      return { slot, from, to };
  throw new Error('there is no other master');
}

const open = (cache: RecordingProvider, options: OpenKindOptions = {}) =>
  openKind('cluster', cluster, { cache, ...options });

/** A provider that sends commands of its own before (or after) each command it is handed. */
class Companion extends RecordingProvider {
  readonly #before: (key: string) => readonly string[][];
  readonly #after: (key: string) => readonly string[][];

  constructor(
    {
      before = () => [],
      after = () => [],
    }: {
      before?: (key: string) => readonly string[][];
      after?: (key: string) => readonly string[][];
    },
    ...tracking: string[]
  ) {
    super(...tracking);
    this.#before = before;
    this.#after = after;
  }

  override async handleCache(
    ...[client, parser, send]: Parameters<RecordingProvider['handleCache']>
  ): Promise<unknown> {
    const key = String(parser.firstKey);
    const others = this.#before(key).map((each) => client.sendCommand(each as string[]));
    const reply = send();
    others.push(...this.#after(key).map((each) => client.sendCommand(each as string[])));
    await Promise.allSettled(others);
    return reply;
  }
}

/** Where a key has moved and its slot has not: its owner answers ASK. */
async function askedKey(): Promise<{ key: string; finish: () => Promise<void> }> {
  const key = newKey();
  const { slot, from, to } = await ends(key);
  await from.ask('SET', key, 'moved');
  const move = await startSlotMove(cluster, slot, to);
  await moveKeys(move, [key]);
  return { key, finish: () => finishSlotMove(move) };
}

for (const [what, tracking, before] of [
  ['PTTL', [], (key: string) => [['PTTL', key]]],
  ['CLIENT CACHING YES', ['OPTIN'], () => [['CLIENT', 'CACHING', 'YES']]],
] as const)
  test(`R8: after ASKING, ${what} before the GET: redirected until node-redis gives up`, async () => {
    const { key, finish } = await askedKey();
    await using opened = await open(new Companion({ before }, ...tracking));
    await expect(opened.client.get(key)).rejects.toThrow(/redirections/);
    await finish();
  });

test('R8: after ASKING, the GET first and PTTL behind it: the GET is answered', async () => {
  const { key, finish } = await askedKey();
  await using opened = await open(new Companion({ after: (each) => [['PTTL', each]] }));
  expect(await opened.client.get(key)).toBe('moved');
  await finish();
});

test('R11: a slot that moves without keys pushes nothing', async () => {
  const key = newKey();
  const { slot, from, to } = await ends(key);
  await using reader = await RawConnection.open(from);
  await reader.send('CLIENT', 'TRACKING', 'ON');
  expect(await reader.send('GET', key)).toBeNull();
  await moveSlot(cluster, slot, to);
  await to.ask('SET', key, 'value');
  expect(await reader.pushes()).toEqual([]);
});

test('R11: MIGRATE pushes on the source', async () => {
  const key = newKey();
  const { slot, from, to } = await ends(key);
  await from.ask('SET', key, 'value');
  await using reader = await RawConnection.open(from);
  await reader.send('CLIENT', 'TRACKING', 'ON');
  await reader.send('GET', key);
  const move = await startSlotMove(cluster, slot, to);
  expect(await reader.pushes()).toEqual([]);
  await moveKeys(move, [key]);
  expect(await reader.pushes()).toEqual([[key]]);
  await finishSlotMove(move);
});

test('N4: a cached absence outlives the move of its slot, until a command answers MOVED', async () => {
  const key = newKey();
  const { slot, to } = await ends(key);
  await using opened = await open(new RecordingProvider());
  const { client } = opened;
  expect(await client.get(key)).toBeNull();
  await moveSlot(cluster, slot, to);
  await to.ask('SET', key, 'value');
  for (let i = 0; i < 20; i += 1) expect(await client.get(key)).toBeNull();
  expect(await client.exists(key)).toBe(1);
  expect(await client.get(key)).toBe('value');
});

for (const how of ['graceful', 'force'] as const)
  test(`R11, R12: a ${how} failover pushes nothing; a write to the new master does, through the old one`, async () => {
    const key = newKey();
    const { slot, from } = await ends(key);
    await from.ask('SET', key, 'old');
    await using reader = await RawConnection.open(from);
    await reader.send('CLIENT', 'TRACKING', 'ON');
    await reader.send('GET', key);
    const replica = await replicaOf(cluster, from);
    await failOver(cluster, replica, how);
    expect(await reader.pushes()).toEqual([]);
    await expect(reader.send('GET', key)).rejects.toThrow(`MOVED ${slot}`);
    await replica.ask('SET', key, 'new');
    const pushes = await eventually(
      () => reader.pushes(),
      (each) => each.length > 0,
    );
    expect(pushes).toEqual([[key]]);
  });

test('R11: cut off from its new master, the old one pushes nothing and hits stay stale', async () => {
  const key = newKey();
  const { slot, from } = await ends(key);
  await from.ask('SET', key, 'old');
  await using opened = await open(new RecordingProvider());
  const { client } = opened;
  expect(await client.get(key)).toBe('old');
  const replica = await replicaOf(cluster, from);
  await failOver(cluster, replica);
  // Both ends refuse the other's replication; what the cluster says of the slots stays as it is.
  await from.ask('CONFIG', 'SET', 'masterauth', 'wrong', 'masteruser', 'nobody');
  await replica.ask('CLIENT', 'KILL', 'TYPE', 'replica');
  await replica.ask('SET', key, 'new');
  for (let i = 0; i < 20; i += 1) expect(await client.get(key)).toBe('old');
  expect(await ownerPortSeenBy(from, slot)).toBe(replica.port);
  // A command that is not cached is answered MOVED, and the client drops what it has.
  expect(await client.exists(key)).toBe(1);
  expect(await client.get(key)).toBe('new');
  await from.ask('CONFIG', 'SET', 'masterauth', '', 'masteruser', '');
  await awaitReplication(from, replica);
});

test('N14: MGET, MSET, EXISTS, UNLINK and DEL of many slots are split', async () => {
  const cache = new RecordingProvider();
  await using opened = await open(cache);
  const { client, raw, writer } = opened;
  const many = Array.from({ length: 8 }, newKey);
  expect(await raw.mSet(many.map((key): [string, string] => [key, key]))).toBe('OK');
  expect(await client.mGet(many)).toEqual(many);
  // One entry a part, none for the whole: each is invalidated by its own keys.
  const parts = cache.stats().missCount;
  expect(parts).toBeGreaterThan(1);
  expect(await client.mGet(many)).toEqual(many);
  expect(cache.stats().hitCount).toBe(parts);
  expect(await raw.exists(many)).toBe(many.length);
  expect(await raw.unlink(many.slice(0, 4))).toBe(4);
  expect(await writer.del(many)).toBe(4);
});

test('N14: MOVED makes the client clear, disable and enable the provider; the one that looks tracks too', async () => {
  const key = newKey();
  const { slot, to } = await ends(key);
  const cache = new RecordingProvider();
  await using opened = await open(cache);
  await moveSlot(cluster, slot, to);
  cache.take();
  await opened.client.set(key, 'value');
  // Between the two: a short-lived client with the options of the node, hence with its provider.
  expect(cache.take()).toEqual(['clear', 'disable', 'trackingOn', 'onClose', 'clear', 'enable']);
});

test('N14: the loss of one node is told to the shared provider, which drops everything', async () => {
  await using proxied = await proxyEveryNode(cluster);
  const cache = new RecordingProvider();
  await using opened = await open(cache, { through: proxied });
  const { client, raw } = opened;
  await Promise.all(Array.from({ length: 12 }, newKey).map((key) => client.get(key)));
  const { from } = await ends(newKey());
  cache.take();
  const reconnecting = new Promise((resolve) => raw.once('node-reconnecting', resolve));
  proxied.of(from).cut();
  await reconnecting;
  expect(cache.take().slice(0, 2)).toEqual(['onError', 'clear']);
  expect(cache.size()).toBe(0);
});

test('N14: with useReplicas a read is cached on the connection of the replica that answered', async () => {
  const key = newKey();
  const { slot, from } = await ends(key);
  const replica = await replicaOf(cluster, from);
  const cache = new RecordingProvider();
  await using opened = await open(cache, { replicas: true });
  const { raw, writer } = opened;
  const readers: unknown[] = [];
  const handled = cache.handleCache.bind(cache);
  cache.handleCache = (...args) => {
    readers.push(args[0]);
    return handled(...args);
  };
  // Master and replica take turns; a missing key is read again and again until the replica's turn.
  const replicaClient = await raw.nodeClient(
    raw.nodeByAddress.get(`127.0.0.1:${replica.port}`) as never,
  );
  await eventually(
    async () => {
      cache.clear();
      await opened.client.get(key);
      // The provider is handed the client itself, never what `withTypeMapping` and others derive.
      return readers.at(-1) === (replicaClient as unknown as { _self: unknown })._self;
    },
    Boolean,
    { what: 'a read from the replica' },
  );
  cache.take();
  await writer.set(key, 'value');
  await eventually(() => cache.count(`invalidate ${key}`) > 0);
  expect(slot).toBe(await slotOf(cluster, key));
});

test('a cluster asks trackingOn for every node, pub/sub included, and not for the first discovery', async () => {
  await using proxied = await proxyEveryNode(cluster);
  const cache = new RecordingProvider();
  await using opened = await open(cache, { through: proxied });
  const { raw } = opened;
  expect(raw.masters).toHaveLength(3);
  // Four connections were made: one to discover, three to the masters.
  expect(proxied.proxies.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(4);
  expect(cache.count('trackingOn')).toBe(3);
  await raw.subscribe('channel', () => {});
  expect(cache.count('trackingOn')).toBe(4);
  await raw.sSubscribe('shard', () => {});
  expect(cache.count('trackingOn')).toBe(5);
  const { client } = raw.masters[0] as { client: RedisClientType };
  const ready = new Promise((resolve) => client.once('ready', resolve));
  client.destroy();
  await Promise.all([client.connect(), ready]);
  expect(cache.count('trackingOn')).toBe(6);
});

test('a cluster with useReplicas asks trackingOn for every replica as well', async () => {
  const cache = new RecordingProvider();
  await using opened = await open(cache, { replicas: true });
  expect(opened.raw.replicas).toHaveLength(3);
  expect(cache.count('trackingOn')).toBe(6);
});

test('N18: rediscovery that fails on every node leaves the provider disabled, also when all is well again', async () => {
  await using proxied = await proxyEveryNode(cluster);
  const cache = new RecordingProvider();
  await using opened = await open(cache, { through: proxied });
  const { client, raw } = opened;
  const key = newKey();
  await client.get(key);
  cache.take();
  for (const proxy of proxied.proxies) proxy.cut({ refuse: true });
  // Five seconds after the first try to reconnect, the client looks for the cluster anew.
  const failure = await new Promise((resolve) => {
    raw.on('error', (error) => error instanceof RootNodesUnavailableError && resolve(error));
  });
  expect(failure).toBeInstanceOf(RootNodesUnavailableError);
  expect(cache.heard).toContain('disable');
  for (const proxy of proxied.proxies) proxy.heal();
  await eventually(() => raw.masters.every((node) => node.client?.isReady));
  expect(cache.heard).not.toContain('enable');
  const { hitCount } = cache.stats();
  for (let i = 0; i < 5; i += 1) await client.get(key);
  expect(cache.stats().hitCount).toBe(hitCount);
}, 60_000);

test('a plain value from handleCache is what the caller gets', async () => {
  class Plain extends RecordingProvider {
    override handleCache(): never {
      return 'plain' as never;
    }
  }
  await using opened = await open(new Plain());
  expect(await opened.client.get(newKey())).toBe('plain');
});

test('CLUSTER SLOTS: unchanged while a slot moves, changed at the old owner as soon as it is told', async () => {
  const key = newKey();
  const { slot, from, to } = await ends(key);
  const ask = async (): Promise<string> => JSON.stringify(await from.ask('CLUSTER', 'SLOTS'));
  const before = await ask();
  expect(await ask()).toBe(before);
  const move = await startSlotMove(cluster, slot, to);
  expect(await ask()).toBe(before);
  await assignSlot(move);
  expect(await ownerPortSeenBy(from, slot)).toBe(to.port);
  expect(await ask()).not.toBe(before);
  await awaitOwner(cluster, slot, to);
});

for (const how of ['graceful', 'force'] as const)
  test(`CLUSTER SLOTS: in a ${how} failover the old master never names itself while it is a replica`, async () => {
    const { slot, from } = await ends(newKey());
    const replica = await replicaOf(cluster, from);
    await using old = await RawConnection.open(from);
    const seen: { role: string; owner: number | undefined }[] = [];
    let over = false;
    const watching = (async () => {
      while (!over) {
        const [role, ranges] = await Promise.all(old.pipeline([['ROLE'], ['CLUSTER', 'SLOTS']]));
        seen.push({ role: String((role as Reply[])[0]), owner: ownerIn(ranges as Reply, slot) });
      }
    })();
    await failOver(cluster, replica, how);
    over = true;
    await watching;
    expect(seen.at(-1)).toEqual({ role: 'slave', owner: replica.port });
    expect(seen.filter(({ role, owner }) => role === 'slave' && owner === from.port)).toEqual([]);
  });

test('CLUSTER SLOTS, MYID and INFO of a server that is no cluster: an error', async () => {
  await using connection = await RawConnection.open({
    port: Number(new URL(inject('redis').standalone).port),
  });
  for (const what of ['SLOTS', 'MYID', 'INFO'])
    await expect(connection.send('CLUSTER', what)).rejects.toThrow(
      'ERR This instance has cluster support disabled',
    );
});

test('destroy and connect in one tick on a node client: sent and unsent are rejected, then it works', async () => {
  await using proxied = await proxyEveryNode(cluster);
  const cache = new RecordingProvider();
  await using opened = await open(cache, { through: proxied });
  const { client, raw } = opened;
  const key = newKey();
  const { from } = await ends(key);
  const node = await raw.nodeClient(raw.nodeByAddress.get(`127.0.0.1:${from.port}`) as never);
  const proxy = proxied.of(from);
  proxy.stall('toClient');
  const { forwarded } = proxy.bytes('toServer');
  const rejections = [client.set(key, 'sent'), client.multi().incr(`{${key}}`).exec()].map((each) =>
    expect(each).rejects.toThrow(DisconnectsClientError),
  );
  await eventually(() => proxy.bytes('toServer').forwarded > forwarded);
  const unsent = expect(node.sendCommand(['SET', key, 'unsent'])).rejects.toThrow(
    DisconnectsClientError,
  );
  proxy.resume();
  node.destroy();
  const again = node.connect();
  await Promise.all([...rejections, unsent, again]);
  expect(cache.heard).toContain('onClose');
  expect(await client.set(key, 'value')).toBe('OK');
  expect(await client.get(key)).toBe('value');
});

test('destroy and connect in one tick on the pub/sub client: its subscription comes back', async () => {
  await using opened = await open(new RecordingProvider());
  const { raw, writer } = opened;
  const channel = newKey();
  const got: string[] = [];
  await raw.subscribe(channel, (message) => got.push(message));
  const { client } = raw.pubSubNode as { client: RedisClientType };
  client.destroy();
  await client.connect();
  await (writer as unknown as typeof raw).publish(channel, 'message');
  await eventually(() => got.length > 0);
  expect(got).toEqual(['message']);
});

// The last one: it costs the cluster a node.
/** The numbers that these commands, sent in one tick, have pushed to a list, in the order in which they ran. */
async function orderOf(
  { raw, writer }: Pick<Awaited<ReturnType<typeof open>>, 'raw' | 'writer'>,
  key: string,
): Promise<string[]> {
  const numbers = Array.from({ length: 100 }, (_, i) => `${i}`);
  await Promise.all(numbers.map((n) => raw.sendCommand(key, false, ['RPUSH', key, n])));
  return (writer as unknown as typeof raw).lRange(key, 0, -1);
}

test('commands of one slot that a cluster client sends in one tick keep their order', async () => {
  await using opened = await open(new RecordingProvider());
  const numbers = Array.from({ length: 100 }, (_, i) => `${i}`);
  expect(await orderOf(opened, newKey())).toEqual(numbers);
});

test('a cluster client sends in a later microtask, whatever has become of the connection by then', async () => {
  await using opened = await open(new RecordingProvider());
  const { raw, writer } = opened;
  const key = newKey();
  const node = await raw.getNodeClientForKey(key);
  const sent = raw.sendCommand(key, false, ['SET', key, 'sent']).catch((error: unknown) => error);
  node.destroy();
  expect(await sent).toBeInstanceOf(Error);
  // It asks nobody whether the connection stands, and what it is given there waits for a new one.
  const connecting = node.connect();
  expect(node.isReady).toBe(false);
  const kept = raw.sendCommand(key, false, ['SET', key, 'kept']);
  expect(await writer.get(key)).toBeNull();
  await connecting;
  expect(await kept).toBe('OK');
  expect(await writer.get(key)).toBe('kept');
});

test('a command that is told MOVED has the cluster client learn the slots, through sendCommand too', async () => {
  await using opened = await open(new RecordingProvider());
  const { raw } = opened;
  const key = newKey();
  const { slot, to } = await ends(key);
  await raw.sendCommand(key, false, ['TYPE', key]);
  await moveSlot(cluster, slot, to);
  expect(raw.slots[slot]?.master.port).not.toBe(to.port);
  await raw.sendCommand(key, false, ['TYPE', key]);
  expect(raw.slots[slot]?.master.port).toBe(to.port);
  expect(raw.slots[slot]?.master.client?.isReady).toBe(true);
});

test('N18: a killed master rejects what was sent to it; the cluster client finds the replica', async () => {
  await using proxied = await proxyEveryNode(cluster);
  const cache = new RecordingProvider();
  await using opened = await open(cache, { through: proxied });
  const { client } = opened;
  const key = newKey();
  const { from } = await ends(key);
  await client.get(key);
  cache.take();
  const proxy = proxied.of(from);
  proxy.stall('toServer');
  const { received } = proxy.bytes('toServer');
  const sent = client.set(key, 'lost').then(String, String);
  await eventually(() => proxy.bytes('toServer').received > received);
  await killUntilTakenOver(cluster, from);
  expect(await sent).toMatch(/ECONNRESET|Socket closed/);
  expect(cache.heard.slice(0, 2)).toEqual(['onError', 'clear']);
  await eventually(() => client.set(key, 'value'), undefined, { deadlineMs: 30_000 });
  expect(await client.get(key)).toBe('value');
}, 90_000);

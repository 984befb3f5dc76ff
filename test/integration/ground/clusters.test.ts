import { createCluster } from 'redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import {
  failOver,
  killUntilTakenOver,
  QUICK_FAILOVER,
  replicaOf,
  roleNow,
} from '../../support/failover.ts';
import { joinCluster, leaveCluster } from '../../support/membership.ts';
import { proxyEveryNode } from '../../support/proxied.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import type { ServerNode } from '../../support/server-node.ts';
import {
  finishSlotMove,
  moveKeys,
  moveSlot,
  ownerOf,
  slotOf,
  startSlotMove,
} from '../../support/slots.ts';

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster({ spares: 1, args: QUICK_FAILOVER });
});
afterAll(() => cluster.stop());

/** The owner of a key's slot, and a master that is not. */
async function ends(key: string): Promise<{ slot: number; from: ServerNode; to: ServerNode }> {
  const slot = await slotOf(cluster, key);
  const from = await ownerOf(cluster, slot);
  const to = cluster.nodesOf('master').find((node) => node !== from) as ServerNode;
  return { slot, from, to };
}

test('a slot without keys moves, and both ends redirect at once', async () => {
  const { slot, from, to } = await ends('no:key');
  await moveSlot(cluster, slot, to);
  expect(await ownerOf(cluster, slot)).toBe(to);
  await expect(from.ask('GET', 'no:key')).rejects.toThrow(`MOVED ${slot} 127.0.0.1:${to.port}`);
  expect(await to.ask('GET', 'no:key')).toBeNull();
});

test('a slot moves with its keys; half way the old owner answers ASK for those that are gone', async () => {
  const tag = '{move}';
  const [gone, here] = [`${tag}:gone`, `${tag}:here`];
  const { slot, from, to } = await ends(gone);
  for (const key of [gone, here]) await from.ask('SET', key, key);
  const move = await startSlotMove(cluster, slot, to);
  expect(await moveKeys(move, [gone])).toEqual([gone]);
  await expect(from.ask('GET', gone)).rejects.toThrow(`ASK ${slot} 127.0.0.1:${to.port}`);
  expect(await from.ask('GET', here)).toBe(here);
  await using asking = await RawConnection.open({ port: to.port, protocol: 2 });
  const [, value] = await Promise.all(asking.pipeline([['ASKING'], ['GET', gone]]));
  expect(value).toBe(gone);
  expect(await moveKeys(move)).toEqual([here]);
  await finishSlotMove(move);
  expect(await to.ask('GET', here)).toBe(here);
  await expect(from.ask('GET', here)).rejects.toThrow('MOVED');
});

test('a spare joins, takes a slot, gives it back and leaves', async () => {
  const [spare] = cluster.nodesOf('spare') as [ServerNode];
  const { slot, from } = await ends('spare:key');
  await from.ask('SET', 'spare:key', 'value');
  await joinCluster(cluster, spare);
  await moveSlot(cluster, slot, spare);
  expect(await spare.ask('GET', 'spare:key')).toBe('value');
  await moveSlot(cluster, slot, from);
  await leaveCluster(cluster, spare);
  expect(String(await from.ask('CLUSTER', 'NODES'))).not.toContain(`:${spare.port}@`);
  expect(String(await spare.ask('CLUSTER', 'INFO'))).toContain('cluster_known_nodes:1\r');
});

/** Where a node's client dials. */
const socketPort = (client: unknown): number =>
  (client as { options: { socket: { port: number } } }).options.socket.port;

test('a proxy in front of every node: a client with its address map reaches none directly', async () => {
  await using proxied = await proxyEveryNode(cluster);
  const client = createCluster({
    rootNodes: [{ url: proxied.url }],
    nodeAddressMap: proxied.nodeAddressMap,
  });
  client.on('error', () => {});
  await client.connect();
  for (let i = 0; i < 20; i += 1) await client.set(`proxied:${i}`, 'value');
  const masters = cluster.nodesOf('master').map((node) => proxied.of(node));
  for (const proxy of masters) expect(proxy.open).toBeGreaterThan(0);
  const ports = proxied.proxies.map(({ port }) => port);
  for (const { client: node } of client.masters) expect(ports).toContain(socketPort(node));
  client.destroy();
});

for (const how of ['graceful', 'force'] as const)
  test(`${how} failover: the replica is the master and the old master its replica`, async () => {
    const [master] = cluster.nodesOf('master') as [ServerNode];
    const was = await roleNow(master);
    const [old, replica] =
      was === 'master'
        ? [master, await replicaOf(cluster, master)]
        : [await otherEnd(master), master];
    await failOver(cluster, replica, how);
    expect(await roleNow(replica)).toBe('master');
    expect(await replicaOf(cluster, replica)).toBe(old);
  });

/** The master that a replica follows. */
async function otherEnd(replica: ServerNode): Promise<ServerNode> {
  const [, , port] = (await replica.ask('ROLE')) as string[];
  return cluster.nodes.find((node) => node.port === Number(port)) as ServerNode;
}

test('a killed master is replaced by its replica', async () => {
  const master = cluster.nodesOf('master')[2] as ServerNode;
  const slots = (await master.ask('CLUSTER', 'SLOTS')) as [number][];
  const replica = await killUntilTakenOver(cluster, master);
  expect(await roleNow(replica)).toBe('master');
  expect((await replica.ask('CLUSTER', 'SLOTS')) as unknown[]).toHaveLength(slots.length);
}, 60_000);

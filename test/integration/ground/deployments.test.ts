import { readdirSync } from 'node:fs';
import { createClient, createCluster, createSentinel } from 'redis';
import { expect, inject, test } from 'vitest';
import {
  type Deployment,
  startCluster,
  startSentinel,
  startStandalone,
} from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { isRunning } from '../../support/managed-process.ts';
import { RawConnection } from '../../support/raw-connection.ts';

const byBinary = inject('redis').by === 'binary';

/** Container process ids mean nothing here; what a stopped server has in common is that nobody answers. */
async function expectGone(deployment: Deployment, pids: readonly number[]): Promise<void> {
  for (const node of deployment.nodes) await expect(node.ask('PING')).rejects.toThrow();
  if (byBinary) expect(pids.filter(isRunning)).toEqual([]);
}

test('the shared server answers', async () => {
  const client = createClient({ url: inject('redis').standalone });
  await client.connect();
  expect(await client.ping()).toBe('PONG');
  client.destroy();
});

test('a standalone server starts with its arguments, answers and leaves no process', async () => {
  const standalone = await startStandalone({ args: ['--tracking-table-max-keys', '7'] });
  const pids = standalone.nodes.map(({ pid }) => pid);
  const client = createClient({ url: standalone.url });
  await client.connect();
  await client.set('key', 'value');
  expect(await client.get('key')).toBe('value');
  client.destroy();
  expect(await standalone.node.ask('CONFIG', 'GET', 'tracking-table-max-keys')).toEqual([
    'tracking-table-max-keys',
    '7',
  ]);
  await standalone.stop();
  await expectGone(standalone, pids);
});

test('a standalone server takes a configuration file', async () => {
  await using standalone = await startStandalone({ conf: 'maxmemory-policy allkeys-lfu\n' });
  expect(await standalone.node.ask('CONFIG', 'GET', 'maxmemory-policy')).toEqual([
    'maxmemory-policy',
    'allkeys-lfu',
  ]);
});

test('a cluster of three masters and three replicas takes writes in every slot and leaves no process', async () => {
  const cluster = await startCluster();
  const pids = cluster.nodes.map(({ pid }) => pid);
  expect(cluster.nodes.map(({ role }) => role)).toEqual([
    ...Array(3).fill('master'),
    ...Array(3).fill('replica'),
  ]);
  const client = createCluster({ rootNodes: [{ url: cluster.url }] });
  client.on('error', () => {});
  await client.connect();
  expect(client.masters).toHaveLength(3);
  const keys = Array.from({ length: 60 }, (_, i) => `key:${i}`);
  await Promise.all(keys.map((key) => client.set(key, key)));
  expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
  client.destroy();
  for (const replica of cluster.nodesOf('replica')) {
    const role = (await replica.ask('ROLE')) as string[];
    expect([role[0], role[3]]).toEqual(['slave', 'connected']);
    await eventually(
      () => replica.ask('DBSIZE'),
      (size) => Number(size) > 0,
    );
  }
  await cluster.stop();
  await expectGone(cluster, pids);
});

test('a master of the cluster that was killed and restarted owns its slots again', async () => {
  await using cluster = await startCluster();
  const [master] = cluster.nodesOf('master');
  const id = await master?.ask('CLUSTER', 'MYID');
  await master?.restart();
  expect(await master?.ask('CLUSTER', 'MYID')).toBe(id);
  await eventually(
    async () => String(await master?.ask('CLUSTER', 'INFO')),
    (info) => info.includes('cluster_state:ok'),
  );
});

test('sentinels show clients the master, agree on a new one, and leave no process', async () => {
  const deployment = await startSentinel();
  const pids = deployment.nodes.map(({ pid }) => pid);
  expect(deployment.nodes.map(({ role }) => role)).toEqual([
    'master',
    'replica',
    ...Array(3).fill('sentinel'),
  ]);
  const client = createSentinel({
    name: deployment.masterName,
    sentinelRootNodes: deployment.nodesOf('sentinel').map(({ host, port }) => ({ host, port })),
  });
  client.on('error', () => {});
  await client.connect();
  await client.set('key', 'value');
  expect(await client.get('key')).toBe('value');
  client.destroy();

  const [master] = deployment.nodesOf('master');
  const [replica] = deployment.nodesOf('replica');
  const [sentinel] = deployment.nodesOf('sentinel');
  await master?.kill();
  await eventually(
    () => sentinel?.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', deployment.masterName),
    (address) => String(address) === `127.0.0.1,${replica?.port}`,
    { what: 'the replica to be the master', deadlineMs: 25_000 },
  );
  await deployment.stop();
  await expectGone(deployment, pids);
}, 60_000);

test('a paused server answers nothing until it is resumed, on the same connection', async () => {
  await using standalone = await startStandalone();
  const { node } = standalone;
  await using connection = await RawConnection.open(node);
  await node.pause();
  let answered = false;
  const pong = connection.send('PING').finally(() => {
    answered = true;
  });
  // The system still accepts for it; a server that ran would have answered by the time this is done.
  const silent = await Promise.all(
    Array.from({ length: 20 }, () => RawConnection.open({ port: node.port, protocol: 2 })),
  );
  for (const each of silent) each.close();
  expect(answered).toBe(false);
  await node.resume();
  expect(await pong).toBe('PONG');
});

test('a killed server refuses, and answers on the same port after a restart, empty', async () => {
  await using standalone = await startStandalone();
  const { node } = standalone;
  const { pid, port } = node;
  await node.ask('SET', 'key', 'value');
  await node.kill();
  await expect(node.ask('PING')).rejects.toThrow();
  await node.restart();
  expect(node.port).toBe(port);
  if (byBinary) {
    expect(isRunning(pid)).toBe(false);
    expect(node.pid).not.toBe(pid);
  }
  expect(await node.ask('GET', 'key')).toBeNull();
});

test('a paused server can be killed, and stopped', async () => {
  const standalone = await startStandalone();
  const pids = standalone.nodes.map(({ pid }) => pid);
  await standalone.node.pause();
  await standalone.stop();
  await expectGone(standalone, pids);
});

test.runIf(byBinary)('a server that can not start says why', async () => {
  const starting = startStandalone({ args: ['--no-such-option', 'x'] });
  await expect(starting).rejects.toThrow(/exit 1[\s\S]*no-such-option/);
});

test.runIf(byBinary)('every server writes a log, kept until the run has passed', async () => {
  const logs = process.env.REDCACHE_TEST_LOGS ?? '';
  const standalone = await startStandalone();
  const { port } = standalone.node;
  await standalone.stop();
  const written = readdirSync(logs, { recursive: true }).map(String);
  expect(written.filter((file) => file.endsWith(`${port}.log`)).length).toBeGreaterThan(0);
});

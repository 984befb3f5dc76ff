import { createSentinel } from 'redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type SentinelDeployment,
  startSentinel,
  startStandalone,
} from '../../support/deployments.ts';
import {
  demote,
  killUntilPromoted,
  masterNow,
  promote,
  roleNow,
  sentinelFailOver,
} from '../../support/failover.ts';
import { proxyEveryNode } from '../../support/proxied.ts';

let deployment: SentinelDeployment;
beforeAll(async () => {
  deployment = await startSentinel();
});
afterAll(() => deployment.stop());

test('a client reaches master and sentinels through their proxies', async () => {
  await using proxied = await proxyEveryNode(deployment);
  const client = createSentinel({
    name: deployment.masterName,
    sentinelRootNodes: proxied.addressesOf('sentinel').map((each) => ({ ...each })),
    nodeAddressMap: proxied.nodeAddressMap,
  });
  client.on('error', () => {});
  await client.connect();
  await client.set('proxied', 'value');
  expect(await client.get('proxied')).toBe('value');
  const master = proxied.of(await masterNow(deployment));
  expect(master.open).toBeGreaterThan(0);
  await client.destroy();
});

test('asked to fail over, sentinels promote the replica and demote the master', async () => {
  const old = await masterNow(deployment);
  const promoted = await sentinelFailOver(deployment);
  expect(promoted).not.toBe(old);
  expect(await masterNow(deployment)).toBe(promoted);
  expect(await roleNow(old)).toBe('slave');
}, 60_000);

test('a killed master is replaced by its replica', async () => {
  const old = await masterNow(deployment);
  const promoted = await killUntilPromoted(deployment);
  expect(await masterNow(deployment)).toBe(promoted);
  expect(old.running).toBe(false);
}, 60_000);

test('a server is demoted with the data of its master, and promoted', async () => {
  await using master = await startStandalone();
  await using other = await startStandalone();
  await master.node.ask('SET', 'key', 'value');
  await demote(other.node, master.node);
  expect(await other.node.ask('GET', 'key')).toBe('value');
  await expect(other.node.ask('SET', 'key', 'x')).rejects.toThrow('READONLY');
  await promote(other.node);
  expect(await other.node.ask('SET', 'key', 'x')).toBe('OK');
});

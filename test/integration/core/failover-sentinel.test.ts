// A replica that sentinels promote, and what was read of either server (I4).
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SentinelDeployment, startSentinel } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  awaitReplication,
  killUntilPromoted,
  masterNow,
  replicaOf,
  sentinelFailOver,
} from '../../support/failover.ts';
import {
  expectBounded,
  loadsOf,
  MAX_STALENESS_MS,
  type MaxStaleness,
  NEVER,
  newKey,
  openLasting,
  untilCached,
  Watch,
} from './topology.ts';

let deployment: SentinelDeployment;
beforeAll(async () => {
  deployment = await startSentinel();
});
afterAll(() => deployment.stop());

const open = (maxStaleness: MaxStaleness = MAX_STALENESS_MS) =>
  openLasting('sentinel', deployment, maxStaleness);

test('a replica is promoted: what the old master had is served for no longer than maxStaleness', async () => {
  await using opened = await open();
  const { client, engine } = opened;
  const [key, absent] = [newKey(), newKey()];
  await (await masterNow(deployment)).ask('SET', key, 'old');
  const reads = [() => client.get(key), () => client.get(absent)];
  await untilCached(engine, reads);
  const watches = reads.map((read) => new Watch(read));
  const promoted = await sentinelFailOver(deployment);
  await promoted.ask('MSET', key, 'new', absent, 'new');
  const sinceMs = performance.now();
  for (const watch of watches) await watch.until('new');
  await watches[0]?.forMore(MAX_STALENESS_MS);
  for (const watch of watches) await watch.stop();
  for (const watch of watches) expectBounded(watch, sinceMs, (value) => value !== 'new');
  await untilCached(engine, reads);
  // By the new master, which pushes.
  await promoted.ask('SET', key, 'newer');
  await eventually(async () => (await client.get(key)) === 'newer');
});

test('the master is killed: at once nothing it had is served; back as a replica it does no harm', async () => {
  await using opened = await open(NEVER);
  const { client, engine } = opened;
  const key = newKey();
  const old = await masterNow(deployment);
  await old.ask('SET', key, 'old');
  const reads = [() => client.get(key)];
  await untilCached(engine, reads);
  const { evictions, entries } = engine.stats();
  await awaitReplication(await replicaOf(deployment, old), old);
  const taken = killUntilPromoted(deployment);
  await eventually(() => engine.stats().evictions.disconnect === evictions.disconnect + entries);
  expect(engine.stats().entries).toBe(0);
  const promoted = await taken;
  await promoted.ask('SET', key, 'new');
  // node-redis may be on its way; what it answers, once it does, is current.
  await eventually(async () => {
    const value = await client.get(key);
    expect(value).toBe('new');
    return true;
  });
  await untilCached(engine, reads);
  await old.restart();
  await awaitReplication(old, promoted);
  expect(await loadsOf(engine, reads)).toBe(0);
  await promoted.ask('SET', key, 'newer');
  await eventually(async () => (await client.get(key)) === 'newer');
});

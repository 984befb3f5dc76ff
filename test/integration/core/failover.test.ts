// Masters of a cluster that are replaced, die, are cut off, come and go (I4).
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { CAN_BE_CUT_OFF, cutOff } from '../../support/cut-off.ts';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  awaitReplication,
  failOver,
  killUntilTakenOver,
  QUICK_FAILOVER,
  replicaOf,
  roleNow,
} from '../../support/failover.ts';
import { joinCluster, leaveCluster } from '../../support/membership.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { moveSlot, ownerPortSeenBy } from '../../support/slots.ts';
import {
  endsOf,
  expectBounded,
  loadsOf,
  MAX_STALENESS_MS,
  type MaxStaleness,
  NEVER,
  newKey,
  openLasting,
  SLACK_MS,
  untilCached,
  Watch,
} from './topology.ts';

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster({ args: [...QUICK_FAILOVER, ...CAN_BE_CUT_OFF], spares: 1 });
});
afterAll(() => cluster.stop());

const open = (maxStaleness: MaxStaleness = MAX_STALENESS_MS) =>
  openLasting('cluster', cluster, maxStaleness);

type Opened = Awaited<ReturnType<typeof open>>;

/**
 * A key of that shard whose value `old` is kept, and one of another master.
 *
 * Each test has its own shard to fail over: a node that wins twice within seconds counts the votes of
 * the first time (Redis 7.0), and its master takes over from it again.
 */
async function keptKey({ client, engine }: Opened, shard: 0 | 1 | 2) {
  const members = [cluster.nodesOf('master')[shard], cluster.nodesOf('replica')[shard]];
  let key = newKey();
  while (!members.includes((await endsOf(cluster, key)).from)) key = newKey();
  const { slot, from, to } = await endsOf(cluster, key);
  let other = newKey();
  while ((await endsOf(cluster, other)).from !== to) other = newKey();
  await from.ask('SET', key, 'old');
  await to.ask('SET', other, 'other');
  const reads = [() => client.get(key), () => client.get(other)];
  await untilCached(engine, reads);
  return { key, slot, from, reads };
}

const isOld = (value: unknown): boolean => value === 'old';

for (const [shard, how] of [
  [0, 'graceful'],
  [1, 'force'],
] as const)
  test(`a ${how} CLUSTER FAILOVER: what the old master had is served for no longer than maxStaleness`, async () => {
    await using opened = await open();
    const { key, from, reads } = await keptKey(opened, shard);
    const watch = new Watch(() => opened.client.get(key));
    const replica = await replicaOf(cluster, from);
    await failOver(cluster, replica, how);
    await replica.ask('SET', key, 'new');
    const sinceMs = performance.now();
    await watch.until('new');
    await watch.forMore(MAX_STALENESS_MS);
    await watch.stop();
    expectBounded(watch, sinceMs, isOld);
    await untilCached(opened.engine, reads);
    // By the new master, which pushes.
    await replica.ask('SET', key, 'newer');
    await eventually(async () => (await opened.client.get(key)) === 'newer');
  });

/** Has the replica take over, and waits for nobody else to know. */
async function takeOver(replica: ServerNode, ...how: string[]): Promise<void> {
  await eventually(
    async () => {
      if ((await roleNow(replica)) !== 'master') await replica.ask('CLUSTER', 'FAILOVER', ...how);
      return eventually(
        () => roleNow(replica),
        (role) => role === 'master',
        { deadlineMs: 6_000 },
      );
    },
    Boolean,
    { what: 'the replica to take over', deadlineMs: 30_000 },
  );
}

test('an old master that follows nobody answers heartbeats and pushes nothing: served for no longer than maxStaleness', async () => {
  await using opened = await open();
  const { key, slot, from, reads } = await keptKey(opened, 2);
  const replica = await replicaOf(cluster, from);
  const watch = new Watch(() => opened.client.get(key));
  // What the cluster says of the slots stays as it is.
  await from.ask('CONFIG', 'SET', 'masterauth', 'wrong', 'masteruser', 'nobody');
  await takeOver(replica);
  await replica.ask('SET', key, 'new');
  await eventually(
    () => ownerPortSeenBy(from, slot),
    (port) => port === replica.port,
    { what: `the old master to see port ${replica.port} as the new one` },
  );
  const sinceMs = performance.now();
  await watch.until('new');
  await watch.forMore(MAX_STALENESS_MS);
  await watch.stop();
  await from.ask('CONFIG', 'SET', 'masterauth', '', 'masteruser', '');
  expectBounded(watch, sinceMs, isOld);
  await untilCached(opened.engine, reads);
  await awaitReplication(from, replica);
}, 60_000);

/** The moment at which a command was first refused there because the cluster is down. */
async function downAtMs(node: ServerNode, key: string): Promise<number> {
  await eventually(
    async () => {
      const answer = await node.ask('GET', key).catch((error: unknown) => error);
      return String(answer).includes('CLUSTERDOWN');
    },
    Boolean,
    { what: 'the node to notice that it is alone', deadlineMs: 30_000 },
  );
  return performance.now();
}

test('an old master that was cut off: until cluster-node-timeout it answers all reads itself and nobody can know; then it says CLUSTERDOWN, and what it had is served for no longer than maxStaleness', async () => {
  await using opened = await open();
  const { key, slot, from, reads } = await keptKey(opened, 0);
  const replica = await replicaOf(cluster, from);
  const isolated = await cutOff(cluster, from);
  let isHealed = false;
  const heal = async (): Promise<void> => {
    if (!isHealed) await isolated.heal();
    isHealed = true;
  };
  onTestFinished(heal);
  const watch = new Watch(() => opened.client.get(key));
  const down = downAtMs(from, key);
  await takeOver(replica, 'FORCE');
  await replica.ask('SET', key, 'new');
  const writtenAtMs = performance.now();
  const sinceMs = Math.max(await down, writtenAtMs);
  expect(await ownerPortSeenBy(from, slot)).toBe(from.port);
  await watch.forMore(4 * MAX_STALENESS_MS);
  await watch.stop();
  await heal();
  expectBounded(watch, sinceMs, isOld);
  await awaitReplication(from, replica);
  await untilCached(opened.engine, reads);
  expect(await opened.client.get(key)).toBe('new');
}, 90_000);

test('a node that joins: what moves to it is kept from it; and when it has left, no more', async () => {
  await using opened = await open();
  const { client, engine } = opened;
  const { key, slot, from, reads } = await keptKey(opened, 0);
  const [spare] = cluster.nodesOf('spare') as [ServerNode];
  await joinCluster(cluster, spare);
  await untilCached(engine, reads);
  expect(engine.stats().connections).toBe(3);
  const watch = new Watch(() => client.get(key));
  await moveSlot(cluster, slot, spare);
  await spare.ask('SET', key, 'new');
  let sinceMs = performance.now();
  await watch.until('new');
  expectBounded(watch, sinceMs, isOld);
  await untilCached(engine, reads);
  await spare.ask('SET', key, 'newer');
  await watch.until('newer');
  expect(engine.stats().connections).toBe(4);
  await moveSlot(cluster, slot, from);
  await leaveCluster(cluster, spare);
  await from.ask('SET', key, 'last');
  sinceMs = performance.now();
  await watch.until('last');
  await watch.forMore(MAX_STALENESS_MS);
  await watch.stop();
  expectBounded(watch, sinceMs, (value) => value === 'newer');
  // node-redis's own: a node without slots is in no answer to CLUSTER SLOTS, and ASK names it.
  for (const failure of watch.failures) expect(String(failure)).toContain('Cannot find node');
  await untilCached(engine, reads);
  // Its connection was closed by node-redis, and is forgotten.
  await eventually(() => engine.stats().connections === 3);
}, 60_000);

test('a slot that nobody owns: what its owner had is served for no longer than maxStaleness', async () => {
  await using opened = await open();
  const { key, slot, from } = await keptKey(opened, 2);
  const watch = new Watch(() => opened.client.get(key));
  await from.ask('CLUSTER', 'DELSLOTS', `${slot}`);
  const sinceMs = performance.now();
  await watch.forMore(4 * MAX_STALENESS_MS);
  const untilMs = performance.now();
  await from.ask('CLUSTER', 'ADDSLOTS', `${slot}`);
  await watch.stop();
  const served = watch.seen.filter(({ answeredAtMs }) => answeredAtMs < untilMs);
  expect(Math.max(...served.map(({ askedAtMs }) => askedAtMs - sinceMs))).toBeLessThan(
    MAX_STALENESS_MS + SLACK_MS,
  );
  await eventually(async () => (await opened.client.get(key)) === 'old');
});

/** A moment at which it had not taken over yet; resolves once it has. */
async function lastSeenAsReplicaMs(replica: ServerNode): Promise<number> {
  let askedAtMs = 0;
  let notYetMs = 0;
  await eventually(
    async () => {
      askedAtMs = performance.now();
      const role = await roleNow(replica);
      if (role === 'slave') notYetMs = askedAtMs;
      return role;
    },
    (role) => role === 'master',
    { what: 'the replica to take over', deadlineMs: 30_000 },
  );
  return notYetMs;
}

// The last one: it costs the cluster a node for a while.
test('a killed master: at once nothing it had is served; its replica takes over; back as a replica it does no harm', async () => {
  await using opened = await open(NEVER);
  const { client, engine } = opened;
  const { key, from, reads } = await keptKey(opened, 1);
  const { evictions } = engine.stats();
  const watch = new Watch(() => client.get(key));
  const replica = await replicaOf(cluster, from);
  const taken = killUntilTakenOver(cluster, from);
  await eventually(() => engine.stats().evictions.disconnect > evictions.disconnect);
  const deadAtMs = performance.now();
  // What was kept of another master is served all the while.
  expect(await loadsOf(engine, [reads[1] as () => Promise<unknown>])).toBe(0);
  const notYetMs = await lastSeenAsReplicaMs(replica);
  expect(notYetMs).toBeGreaterThan(deadAtMs);
  expect(await taken).toBe(replica);
  const between = watch.seen.filter(
    ({ askedAtMs, answeredAtMs }) => askedAtMs > deadAtMs && answeredAtMs < notYetMs,
  );
  expect(between).toEqual([]);
  await replica.ask('SET', key, 'new');
  const sinceMs = performance.now();
  await watch.until('new');
  expectBounded(watch, sinceMs, isOld);
  await untilCached(engine, reads);
  await from.restart();
  await awaitReplication(from, replica);
  await replica.ask('SET', key, 'newer');
  await watch.until('newer');
  await watch.stop();
  await untilCached(engine, reads);
}, 90_000);

// What is read of replicas: they take no writes, so that nobody can prove that their pushes arrive (I4).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Deployment,
  type SentinelDeployment,
  startCluster,
  startSentinel,
} from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  failOver,
  masterNow,
  QUICK_FAILOVER,
  replicaOf,
  sentinelFailOver,
} from '../../support/failover.ts';
import type { ServerNode } from '../../support/server-node.ts';
import type { Kind } from './four-kinds.ts';
import {
  endsOf,
  expectBounded,
  MAX_STALENESS_MS,
  type MaxStaleness,
  NEVER,
  newKey,
  openLasting,
  SLACK_MS,
  Watch,
} from './topology.ts';

/** Reads go to replicas too, in a cluster; in a sentinel to them alone. */
const open = (kind: Kind, deployment: Deployment, maxStaleness: MaxStaleness = MAX_STALENESS_MS) =>
  openLasting(kind, deployment, maxStaleness, { replicas: true });

type Opened = Awaited<ReturnType<typeof open>>;

/** Resolves when the last read was answered from here: what was read of a replica soon ends by age. */
async function untilHit({ client, engine }: Opened, key: string): Promise<void> {
  await eventually(async () => {
    const { hits } = engine.stats();
    await client.get(key);
    return engine.stats().hits > hits;
  });
}

/** How often a server has carried out a command. */
async function callsAt(node: ServerNode, command: string): Promise<number> {
  const info = String(await node.ask('INFO', 'commandstats'));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}

/** Resolves when a copy was read of the replica and served again. */
async function untilHitOf(opened: Opened, replica: ServerNode, key: string): Promise<void> {
  await eventually(
    async () => {
      const before = await callsAt(replica, 'get');
      opened.engine.clear();
      await opened.client.get(key);
      if ((await callsAt(replica, 'get')) === before) return false;
      const { hits } = opened.engine.stats();
      await opened.client.get(key);
      return opened.engine.stats().hits > hits;
    },
    Boolean,
    { what: 'a copy of what the replica answered to be served' },
  );
}

describe('cluster', () => {
  let cluster: Deployment;
  beforeAll(async () => {
    cluster = await startCluster({ args: [...QUICK_FAILOVER] });
  });
  afterAll(() => cluster.stop());

  test('what a replica answered is served, and falls by the push of the replica when the write reaches it', async () => {
    await using opened = await open('cluster', cluster, NEVER);
    const { client, engine } = opened;
    const key = newKey();
    const { from } = await endsOf(cluster, key);
    const replica = await replicaOf(cluster, from);
    await from.ask('SET', key, 'old');
    await untilHitOf(opened, replica, key);
    for (const value of ['1', '2', '3']) {
      const { pushes } = engine.stats();
      await from.ask('SET', key, value);
      await eventually(() => engine.stats().pushes > pushes);
      // Master and replica take turns, and both have it by now.
      for (let i = 0; i < 6; i += 1) expect(await client.get(key)).toBe(value);
      await untilHitOf(opened, replica, key);
    }
  });

  test('a replica that is killed takes what was read there, and nothing else', async () => {
    await using opened = await open('cluster', cluster, NEVER);
    const { client, engine } = opened;
    const [key, other] = [newKey(), newKey()];
    const { from } = await endsOf(cluster, key);
    const replica = await replicaOf(cluster, from);
    await untilHitOf(opened, replica, key);
    // By the master itself, which is proved: it does not end by age.
    await eventually(async () => {
      const before = await callsAt(from, 'get');
      await client.get(`{${key}}${other}`);
      return (await callsAt(from, 'get')) > before;
    });
    const { evictions, entries } = engine.stats();
    await replica.kill();
    await eventually(() => engine.stats().evictions.disconnect > evictions.disconnect);
    const lost = engine.stats().evictions.disconnect - evictions.disconnect;
    expect(engine.stats().entries).toBe(entries - lost);
    expect(entries - lost).toBeGreaterThan(0);
    await replica.restart();
  });

  test('after a CLUSTER FAILOVER nothing outdated is served for longer than maxStaleness', async () => {
    await using opened = await open('cluster', cluster);
    const { client } = opened;
    const key = newKey();
    const { from } = await endsOf(cluster, key);
    await from.ask('SET', key, 'old');
    const replica = await eventually(() => replicaOf(cluster, from));
    await eventually(
      () => client.get(key),
      (value) => value === 'old',
    );
    await untilHit(opened, key);
    const watch = new Watch(() => client.get(key));
    await failOver(cluster, replica);
    await replica.ask('SET', key, 'new');
    // The old master is a replica now, and has it as well from this moment on.
    await replica.ask('WAIT', '1', '10000');
    const sinceMs = performance.now();
    await watch.until('new');
    await watch.forMore(2 * MAX_STALENESS_MS);
    await watch.stop();
    expectBounded(watch, sinceMs, (value) => value === 'old');
    await untilHit(opened, key);
  });
});

/**
 * Asks every few milliseconds and waits for no answer: node-redis may leave a read of a replica
 * unanswered for ever when that has been promoted, with a cache or without.
 */
function askOften(read: () => Promise<unknown>) {
  const answers: { readonly askedAtMs: number; readonly value: unknown }[] = [];
  let isOver = false;
  const asking = eventually(
    () => {
      const askedAtMs = performance.now();
      read().then(
        (value) => answers.push({ askedAtMs, value }),
        () => {},
      );
      return isOver;
    },
    Boolean,
    { deadlineMs: 120_000 },
  );
  return {
    answers,
    stop: async (): Promise<void> => {
      isOver = true;
      await asking;
    },
  };
}

describe('sentinel', () => {
  let deployment: SentinelDeployment;
  beforeAll(async () => {
    deployment = await startSentinel();
  });
  afterAll(() => deployment.stop());

  test('what the replica answered falls by its push; promoted, what was read there is served for no longer than maxStaleness', async () => {
    await using opened = await open('sentinel', deployment);
    const { client } = opened;
    const key = newKey();
    const master = await masterNow(deployment);
    const replica = await replicaOf(deployment, master);
    await master.ask('SET', key, 'old');
    await master.ask('WAIT', '1', '10000');
    await untilHitOf(opened, replica, key);
    await master.ask('SET', key, 'old too');
    await eventually(
      () => client.get(key),
      (value) => value === 'old too',
    );
    await untilHit(opened, key);
    const asking = askOften(() => client.get(key));
    const promoted = await sentinelFailOver(deployment);
    expect(promoted).toBe(replica);
    await promoted.ask('SET', key, 'new');
    await promoted.ask('WAIT', '1', '10000');
    const sinceMs = performance.now();
    await eventually(() => performance.now() > sinceMs + 4 * MAX_STALENESS_MS);
    await asking.stop();
    const late = asking.answers.filter(
      ({ askedAtMs }) => askedAtMs > sinceMs + MAX_STALENESS_MS + SLACK_MS,
    );
    expect(late.filter(({ value }) => value !== 'new')).toEqual([]);
    expect(asking.answers.map(({ value }) => value)).toContain('old too');
  });
});

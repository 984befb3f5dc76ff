// A server is replaced by another one, or comes back empty, while caches over each kind of client are in
// use: every call settles as documented, what is outdated is served for no longer than `maxStaleness`, and
// afterwards all is as before.
import { type Cache, createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { inject, type TestContext, test } from 'vitest';
import {
  type Deployment,
  type SentinelDeployment,
  startCluster,
  startSentinel,
  startStandalone,
} from '../../support/deployments.ts';
import { eventually, pause } from '../../support/eventually.ts';
import { failOver, QUICK_FAILOVER, replicaOf, sentinelFailOver } from '../../support/failover.ts';
import { ownerOf, slotOf } from '../../support/slots.ts';
import { type Kind, openKind } from '../core/four-kinds.ts';
import { expectBounded, MAX_STALENESS_MS, newKey, Watch } from '../core/topology.ts';

const { by } = inject('redis');

/** Without what one server alone knew, there is a moment in which it can't be asked. */
const MAY_FAIL_WITH = [
  'REDCACHE_OUTCOME_UNKNOWN',
  'REDCACHE_UNAVAILABLE',
  'REDCACHE_ACQUIRE_TIMEOUT',
  'REDCACHE_LOCK_LOST',
];
/** What a server says of itself while it is replaced, to whoever writes. */
const MAY_BE_REFUSED_WITH = /^(READONLY|CLUSTERDOWN|LOADING|MASTERDOWN|NOREPLICAS|UNBLOCKED) /;

async function open(
  kind: Kind,
  deployment: Deployment,
  onTestFinished: TestContext['onTestFinished'],
): Promise<Cache> {
  const cache = clientSideCache({ maxStaleness: MAX_STALENESS_MS });
  const opened = await openKind(kind, deployment, { cache: cache as never });
  const aside = createCache({
    client: opened.raw as never,
    ...{ ttl: '1h', timeout: { redis: '500ms' } },
  });
  onTestFinished(async () => {
    await aside.close();
    await opened.close();
  });
  return aside;
}

/** Everything a cache can be asked, over and over. */
class Traffic {
  readonly failures: unknown[] = [];
  readonly #done = new Map<string, number>();
  readonly #running: Promise<void>;
  #isOver = false;

  constructor(cache: Cache) {
    const keys = Array.from({ length: 6 }, newKey) as [string, string, string, ...string[]];
    const [loaded, set, written] = keys;
    let version = 0;
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      get: () => cache.get(loaded, () => 'v', { tags: ['x'] }),
      getMany: () => cache.getMany(keys, (missing) => new Map(missing.map((each) => [each, 'v']))),
      set: () => {
        version += 1;
        return cache.set(set, version);
      },
      write: () => cache.write(written, () => 'v', { wait: '1s' }),
      touch: () => cache.touch(set, '1h'),
      deleteMany: () => cache.deleteMany(keys.slice(3)),
      delete: () => cache.delete(loaded),
      invalidateTag: () => cache.invalidateTag('x'),
    };
    this.#running = Promise.all(
      Object.entries(calls).map(([name, call]) => this.#repeat(name, call)),
    ).then(() => {});
  }

  /** Resolves when each has succeeded some more times. */
  async goesOn(): Promise<void> {
    const before = new Map(this.#done);
    await eventually(
      () => [...this.#done].filter(([name, count]) => count <= (before.get(name) ?? 0) + 3),
      (behind) => behind.length === 0 && this.#done.size === 8,
      { what: 'every kind of call to succeed again' },
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #repeat(name: string, call: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      try {
        await call();
        this.#done.set(name, (this.#done.get(name) ?? 0) + 1);
      } catch (error) {
        this.failures.push(error);
      }
      await pause(2);
    }
  }
}

function isAllowed(error: unknown): boolean {
  const { code, message, cause } = error as {
    code?: string;
    message: string;
    cause?: unknown;
  };
  // Of several keys: the first of their errors.
  if (code === 'REDCACHE_BATCH') return isAllowed(cause);
  return MAY_FAIL_WITH.includes(code ?? '') || MAY_BE_REFUSED_WITH.test(message);
}

interface Replacement {
  readonly deployment: Deployment;
  /** Of that key; resolves when the new one is there. */
  replace(key: string): Promise<unknown>;
}

async function restarted(): Promise<Replacement> {
  const server = await startStandalone();
  return { deployment: server, replace: () => server.node.restart() };
}

async function failedOver(): Promise<Replacement> {
  const deployment = await startCluster({ args: QUICK_FAILOVER });
  return {
    deployment,
    replace: async (key) => {
      const master = await ownerOf(deployment, await slotOf(deployment, key));
      await failOver(deployment, await replicaOf(deployment, master));
    },
  };
}

async function promoted(): Promise<Replacement> {
  const deployment: SentinelDeployment = await startSentinel();
  return { deployment, replace: () => sentinelFailOver(deployment) };
}

const cases: readonly [Kind, string, () => Promise<Replacement>][] = [
  ['client', 'its server is restarted', restarted],
  ['pool', 'its server is restarted', restarted],
  ['cluster', 'a replica takes over', failedOver],
  ['sentinel', 'the replica is promoted', promoted],
];

const running = test.runIf(by === 'binary').concurrent;
running.for(cases)('%s: %s', { timeout: 60_000 }, async ([kind, , prepare], context) => {
  const { expect, onTestFinished } = context;
  const { deployment, replace } = await prepare();
  onTestFinished(() => deployment.stop());
  const here = await open(kind, deployment, onTestFinished);
  const other = await open(kind, deployment, onTestFinished);
  const key = newKey();
  let truth = 'old';
  const read = (cache: Cache) => () => cache.get(key, () => truth);
  for (const cache of [here, other])
    await eventually(async () => {
      await read(cache)();
      return cache.peek(key).hit;
    });
  const traffic = new Traffic(here);
  await traffic.goesOn();
  const watch = new Watch(read(here));
  await replace(key);
  truth = 'new';
  // As long as it takes somebody to get through.
  await eventually(async () => {
    await other.delete(key);
    return true;
  });
  const sinceMs = performance.now();
  await watch.until('new');
  await watch.forMore(MAX_STALENESS_MS);
  await traffic.goesOn();
  await traffic.stop();
  await watch.stop();
  expectBounded(watch, sinceMs, (value) => value === 'old');
  expect(watch.failures).toEqual([]);
  expect(traffic.failures.filter((error) => !isAllowed(error))).toEqual([]);
  for (const cache of [here, other])
    await eventually(async () => {
      await read(cache)();
      return cache.peek(key).hit && cache.stats().uncertainKeys === 0;
    });
  // By push, from the new one.
  await other.set(key, 'newer');
  await eventually(async () => (await read(here)()) === 'newer');
});

// Redis gone, hung or cut off (I13): reads go on by the loader, nothing is pretended, and afterwards
// nothing is stale.
import { setImmediate } from 'node:timers/promises';
import type { Cache } from '@redcache/cache-aside';
import { expect, inject, onTestFinished, test } from 'vitest';
import { loader, newKey, openCache } from '../integration/cache-aside/local-cache.ts';
import { type StandaloneDeployment, startStandalone } from '../support/deployments.ts';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/proxy.ts';

/** node-redis would give up after five seconds at the earliest, and only on what is unsent. */
const LONG_BEFORE_MS = 4_000;
const UNKNOWN = { code: 'REDCACHE_OUTCOME_UNKNOWN' };
const UNAVAILABLE = { code: 'REDCACHE_UNAVAILABLE' };
const byBinary = inject('redis').by === 'binary';

/** A way to take Redis away, and to bring it back. */
interface Outage {
  readonly server: StandaloneDeployment;
  readonly url: string;
  begin(): Promise<void>;
  end(): Promise<void>;
  /** Whether what Redis held is still there afterwards. */
  readonly keepsData: boolean;
}

const killed = (): Promise<Outage> => ofServer('kill', 'restart', false);
const hung = (): Promise<Outage> => ofServer('pause', 'resume', true);

async function ofServer(
  begin: 'kill' | 'pause',
  end: 'restart' | 'resume',
  keepsData: boolean,
): Promise<Outage> {
  const server = await startStandalone();
  const { node } = server;
  return { server, url: server.url, begin: () => node[begin](), end: () => node[end](), keepsData };
}

async function silent(): Promise<Outage> {
  const server = await startStandalone();
  const proxy = await TcpProxy.start(server.node);
  onTestFinished(() => proxy.close());
  return {
    server,
    url: proxy.url,
    begin: async () => proxy.stall(),
    end: async () => proxy.resume(),
    keepsData: true,
  };
}

/** Nothing passes; then every connection is cut, with what was on its way; then all is well. */
async function silentThenCut(): Promise<Outage> {
  const server = await startStandalone();
  const proxy = await TcpProxy.start(server.node);
  onTestFinished(() => proxy.close());
  return {
    server,
    url: proxy.url,
    begin: async () => proxy.stall(),
    end: async () => {
      proxy.cut({ refuse: true });
      proxy.resume();
      proxy.heal();
    },
    keepsData: true,
  };
}

const outages: [string, () => Promise<Outage>][] = [
  ['killed and restarted', killed],
  ['stopped and resumed', hung],
  ['unreachable and reachable again', silent],
  ['unreachable, then cut off, then back', silentThenCut],
];

async function elapsedMs(work: Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work;
  return performance.now() - startedAtMs;
}

/** Reads until a value is kept in this process again. */
const cachingAgain = (cache: Cache, key: string): Promise<unknown> =>
  eventually(
    async () => {
      await cache.get(key, () => 'after');
      return cache.peek(key).hit;
    },
    (hit) => hit,
    { what: 'caching to resume' },
  );

test.runIf(byBinary).each(outages)('Redis %s', async (_, prepare) => {
  const outage = await prepare();
  onTestFinished(() => outage.server.stop());
  const { cache, engine } = await openCache(outage.url);
  const [known, changed, setOne, many] = [newKey(), newKey(), newKey(), newKey()];
  const database = new Map([
    [known, 'known'],
    [changed, 'old'],
    [setOne, 'old'],
    [many, 'old'],
  ]);
  const read = (key: string): Promise<unknown> => cache.get(key, async () => database.get(key));
  for (const key of database.keys()) expect(await read(key)).toBe(database.get(key));
  for (const key of database.keys()) expect(cache.peek(key).hit).toBe(true);

  await outage.begin();

  // A new key comes from its loader, which runs once for all who ask.
  const fresh = newKey();
  let runs = 0;
  const callers = Array.from({ length: 50 }, () =>
    cache.get(fresh, async () => {
      runs += 1;
      return 'loaded';
    }),
  );
  expect(await elapsedMs(Promise.all(callers))).toBeLessThan(LONG_BEFORE_MS);
  expect(await Promise.all(callers)).toEqual(callers.map(() => 'loaded'));
  expect(runs).toBe(1);
  expect(cache.peek(fresh).hit).toBe(false);
  // Without a loader, and with another policy.
  expect(await cache.get(newKey())).toBeUndefined();
  await expect(cache.get(newKey(), () => 1, { onUnavailable: 'throw' })).rejects.toMatchObject(
    UNAVAILABLE,
  );
  expect(await cache.getMany([fresh, newKey()], () => ({ [fresh]: 'loaded' }))).toEqual(
    new Map([[fresh, 'loaded']]),
  );

  // The truth changes, and nobody can say what became of the deletes and writes.
  for (const key of [changed, setOne, many]) database.set(key, 'new');
  const writes = [
    expect(cache.delete(changed)).rejects.toMatchObject({ ...UNKNOWN, key: changed }),
    expect(cache.set(setOne, 'newer')).rejects.toMatchObject(UNKNOWN),
    expect(cache.deleteMany([many, newKey()])).rejects.toMatchObject({ code: 'REDCACHE_BATCH' }),
  ];
  expect(await elapsedMs(Promise.all(writes))).toBeLessThan(LONG_BEFORE_MS);
  expect(cache.stats().uncertainKeys).toBe(4);
  for (const key of [changed, setOne, many]) {
    expect(cache.peek(key).hit).toBe(false);
    expect(await read(key)).toBe('new');
    expect(cache.peek(key).hit).toBe(false);
  }

  // From the first moment it is back nobody here reads what was before.
  const seen = new Set<unknown>();
  let watching = true;
  const watch = (async () => {
    while (watching) {
      for (const key of [changed, many]) seen.add(await read(key));
      // Local hits alone would never let anything else happen.
      await setImmediate();
    }
  })();
  await outage.end();
  await eventually(() => cache.stats().uncertainKeys === 0, Boolean, { what: 'certainty' });
  await cachingAgain(cache, newKey());
  await eventually(() => [changed, many].every((key) => cache.peek(key).hit));
  watching = false;
  await watch;
  expect([...seen]).toEqual(['new']);
  expect(['new', 'newer']).toContain(await read(setOne));
  for (const key of [changed, setOne, many]) {
    const held = String(await outage.server.node.ask('GET', key));
    expect(held).not.toContain('old');
  }
  for (const key of [changed, many]) expect(cache.peek(key)).toEqual({ hit: true, value: 'new' });
  if (outage.keepsData) expect(await read(known)).toBe('known');
  expect(engine.state).toBe('tracking');
});

test.runIf(byBinary)('Redis hangs while a loader runs: its callers have the value', async () => {
  const outage = await hung();
  onTestFinished(() => outage.server.stop());
  const { cache } = await openCache(outage.url);
  const key = newKey();
  const { load, runs } = loader();
  const callers = Promise.all([cache.get(key, load), cache.get(key, load)]);
  await eventually(() => runs.length === 1);
  await outage.begin();
  runs[0]?.answer('v');
  expect(await elapsedMs(callers)).toBeLessThan(LONG_BEFORE_MS);
  expect(await callers).toEqual(['v', 'v']);
  expect(cache.peek(key).hit).toBe(false);
  await outage.end();
  await eventually(async () => {
    expect(await cache.get(key, () => 'v')).toBe('v');
    return cache.peek(key).hit;
  });
});

test.runIf(byBinary)(
  'Redis hangs while callers wait: they load at the end of the lease',
  async () => {
    const outage = await hung();
    onTestFinished(() => outage.server.stop());
    const { cache } = await openCache(outage.url);
    const key = newKey();
    await outage.server.node.ask('SET', key, 'rc1 l theirs\n', 'PX', '1500');
    let runs = 0;
    const load = (): string => {
      runs += 1;
      return 'mine';
    };
    const callers = Promise.all(Array.from({ length: 50 }, () => cache.get(key, load)));
    await eventually(() => cache.stats().waits === 1);
    await outage.begin();
    expect(new Set(await callers)).toEqual(new Set(['mine']));
    expect(runs).toBe(1);
    expect(cache.stats()).toMatchObject({ wokenByTimer: 1 });
    await outage.end();
  },
);

test.runIf(byBinary)(
  'a load that was granted while its caller had given up blocks nobody',
  async () => {
    const outage = await silent();
    onTestFinished(() => outage.server.stop());
    const { cache, client } = await openCache(outage.url, { lease: '1h' });
    const key = newKey();
    await cache.get(newKey(), () => 'knows the scripts');
    // What the client sends in one go is answered, but not heard.
    await outage.begin();
    expect(await cache.get(key, () => 'v')).toBe('v');
    await outage.end();
    await client.ping();
    await eventually(async () => (await outage.server.node.ask('GET', key)) === null);
  },
);

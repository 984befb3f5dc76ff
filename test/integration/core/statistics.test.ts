import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type CacheStats, type CoreChannels, createTrackingCache } from '@redcache/core';
import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import { BasicPooledClientSideCache, createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { callsOf } from './cached-kind.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

/** What is published on a channel of redcache from now on. */
function hear<Name extends keyof CoreChannels>(name: Name) {
  const heard: CoreChannels[Name][] = [];
  const note = (message: unknown): void => void heard.push(message as CoreChannels[Name]);
  subscribe(name, note);
  return { heard, [Symbol.dispose]: () => void unsubscribe(name, note) };
}

/** A tracked client through a proxy, and somebody else who writes. */
async function open(options?: ClientSideCacheOptions) {
  const proxy = await TcpProxy.start(redis.node);
  const tracked = await trackedClient(proxy.url, options);
  const other = await otherClient(redis.url);
  const before = tracked.engine.stats();
  return {
    ...tracked,
    proxy,
    other: other.client,
    /** What has been counted since it was opened. */
    since: <Name extends NumberName>(...names: readonly Name[]): Readonly<Record<Name, number>> => {
      const now = tracked.engine.stats();
      return Object.fromEntries(names.map((name) => [name, now[name] - before[name]])) as never;
    },
    evicted: (): Partial<CacheStats['evictions']> =>
      Object.fromEntries(
        Object.entries(tracked.engine.stats().evictions).filter(([, count]) => count > 0),
      ),
    [Symbol.asyncDispose]: async () => {
      await tracked[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await proxy.close();
    },
  };
}

type NumberName = {
  [Name in keyof CacheStats]-?: CacheStats[Name] extends number ? Name : never;
}[keyof CacheStats];

let keys = 0;
const newKey = (): string => {
  keys += 1;
  return `statistics:${keys}`;
};

describe('reads', () => {
  test('hits, misses, loads, fills, entries and bytes', async () => {
    await using opened = await open();
    const { client, engine, other, since } = opened;
    const [text, hash] = [newKey(), newKey()];
    await other.set(text, 'v'.repeat(1_000));
    await other.hSet(hash, { a: '1', b: '2' });
    await client.get(text);
    const oneBytes = engine.stats().bytes;
    expect(oneBytes).toBeGreaterThan(1_000);
    expect(oneBytes).toBeLessThan(1_400);
    for (let i = 0; i < 3; i += 1) await client.get(text);
    await client.hGetAll(hash);
    await client.hGet(hash, 'a');
    await client.hGet(hash, 'a');
    expect(since('hits', 'misses', 'loads', 'fills', 'coalesced', 'failedLoads')).toEqual({
      hits: 4,
      misses: 3,
      loads: 3,
      fills: 3,
      coalesced: 0,
      failedLoads: 0,
    });
    expect(engine.stats().entries).toBe(3);
    expect(engine.stats().bytes).toBeGreaterThan(oneBytes);
    await other.del([text, hash]);
    await eventually(() => engine.stats().entries === 0);
    expect(engine.stats().bytes).toBe(0);
  });

  test('coalesced: those that joined a read under way; it is one load, a miss of each', async () => {
    await using opened = await open();
    const { client, since } = opened;
    const key = newKey();
    await Promise.all(Array.from({ length: 10 }, () => client.get(key)));
    expect(since('hits', 'misses', 'coalesced', 'loads', 'fills')).toEqual({
      hits: 0,
      misses: 10,
      coalesced: 9,
      loads: 1,
      fills: 1,
    });
  });

  test('failedLoads: what the server refused, and nothing of it is kept', async () => {
    await using opened = await open();
    const { client, since, other } = opened;
    const key = newKey();
    await other.hSet(key, 'field', 'value');
    for (let i = 0; i < 2; i += 1) await expect(client.get(key)).rejects.toThrow(/^WRONGTYPE/);
    expect(since('misses', 'loads', 'failedLoads', 'fills', 'entries')).toEqual({
      misses: 2,
      loads: 2,
      failedLoads: 2,
      fills: 0,
      entries: 0,
    });
  });

  test('refusedFills: a reply whose key changed on its way is handed out and not kept', async () => {
    await using opened = await open();
    const { client, since, other, proxy } = opened;
    const key = newKey();
    await other.set(key, 'old');
    const pttls = await callsOf(redis, 'pttl');
    proxy.stall('toClient');
    const reading = client.get(key);
    await eventually(async () => (await callsOf(redis, 'pttl')) > pttls);
    await other.set(key, 'new');
    proxy.resume('toClient');
    expect(await reading).toBe('old');
    await opened.drained();
    expect(since('loads', 'fills', 'refusedFills', 'pushes', 'entries')).toEqual({
      loads: 1,
      fills: 0,
      refusedFills: 1,
      pushes: 1,
      entries: 0,
    });
    expect(await client.get(key)).toBe('new');
  });

  test('loadMs: no less than a load was held up, and no more than it took altogether', async () => {
    await using opened = await open();
    const { client, since, proxy } = opened;
    const key = newKey();
    const pttls = await callsOf(redis, 'pttl');
    proxy.stall('toClient');
    const beforeMs = performance.now();
    const reading = client.get(key);
    const sentMs = performance.now();
    await eventually(async () => (await callsOf(redis, 'pttl')) > pttls);
    const heldMs = performance.now() - sentMs;
    proxy.resume('toClient');
    await reading;
    const tookMs = performance.now() - beforeMs;
    const { loadMs } = since('loadMs');
    expect(loadMs).toBeGreaterThanOrEqual(heldMs);
    expect(loadMs).toBeLessThanOrEqual(tookMs);
    await client.get(key);
    expect(since('loadMs').loadMs).toBe(loadMs);
  });

  test('what goes past the cache is not counted at all', async () => {
    await using opened = await open({ cacheable: (command) => command !== 'GET' });
    const { client, since } = opened;
    const key = newKey();
    await client.get(key);
    await client.ttl(key);
    await client.multi().get(key).exec();
    expect(since('hits', 'misses', 'loads', 'entries')).toEqual({
      hits: 0,
      misses: 0,
      loads: 0,
      entries: 0,
    });
  });
});

describe('evictions, each by its cause and no other', () => {
  test('size: the bound of entries', async () => {
    await using opened = await open({ maxEntries: 3 });
    for (let i = 0; i < 5; i += 1) await opened.client.get(newKey());
    expect(opened.evicted()).toEqual({ size: 2 });
    expect(opened.engine.stats().entries).toBe(3);
  });

  test('bytes: the bound of bytes', async () => {
    await using opened = await open({ maxBytes: 5_000 });
    const { client, other, engine } = opened;
    for (let i = 0; i < 4; i += 1) {
      const key = newKey();
      await other.set(key, 'v'.repeat(2_000));
      await client.get(key);
    }
    expect(opened.evicted()).toEqual({ bytes: 2 });
    expect(engine.stats()).toMatchObject({ entries: 2 });
    expect(engine.stats().bytes).toBeLessThanOrEqual(5_000);
  });

  test('ttl: its own time, or the server’s', async () => {
    await using opened = await open({ negativeTtl: 30 });
    const { client, other, evicted } = opened;
    const [absent, short] = [newKey(), newKey()];
    await client.get(absent);
    await eventually(async () => (await client.get(absent)) === null && evicted().ttl === 1);
    // The server pushes as well when it removes a key that has expired, but only once it comes by.
    await other.sendCommand(['DEBUG', 'SET-ACTIVE-EXPIRE', '0']).catch(() => {});
    await other.set(short, 'value', { PX: 60 });
    expect(await client.get(short)).toBe('value');
    await eventually(async () => (await client.get(short)) === null);
    const { ttl = 0, invalidation = 0 } = evicted();
    expect(ttl + invalidation).toBeGreaterThanOrEqual(2);
  });

  test('invalidation: a push of its key; pushes of keys nobody keeps are counted as pushes alone', async () => {
    await using opened = await open();
    const { client, other, evicted, since } = opened;
    const [one, two, twice] = [newKey(), newKey(), newKey()];
    await other.set(twice, 'value');
    for (const key of [one, two, twice]) await client.get(key);
    await client.strLen(twice);
    // A read past the cache makes the server push too.
    const unkept = newKey();
    await client.multi().get(unkept).exec();
    for (const key of [one, twice, unkept]) await other.set(key, 'new');
    await opened.drained();
    await opened.drained();
    expect(evicted()).toEqual({ invalidation: 3 });
    expect(since('pushes', 'flushes', 'entries')).toEqual({ pushes: 3, flushes: 0, entries: 1 });
  });

  test('flush: FLUSHALL by somebody else, and clear()', async () => {
    await using opened = await open();
    const { client, other, evicted, since, engine } = opened;
    for (let i = 0; i < 3; i += 1) await client.get(newKey());
    await other.flushAll();
    await opened.drained();
    expect(evicted()).toEqual({ flush: 3 });
    expect(since('flushes', 'pushes')).toEqual({ flushes: 1, pushes: 0 });
    await client.get(newKey());
    engine.clear();
    expect(evicted()).toEqual({ flush: 4 });
    expect(since('flushes')).toEqual({ flushes: 1 });
  });

  test('own-write: a write of the same process, before the server says anything', async () => {
    await using opened = await open();
    const { client, evicted } = opened;
    const [one, two] = [newKey(), newKey()];
    await client.get(one);
    await client.get(two);
    const writing = client.set(one, 'value');
    expect(evicted()).toEqual({ 'own-write': 1 });
    await writing;
    await opened.drained();
    await client.get(one);
    await client.flushAll();
    expect(evicted()).toEqual({ 'own-write': 3 });
  });

  test('disconnect: what a lost connection had read; it is counted once', async () => {
    await using opened = await open();
    const { client, evicted, since, proxy, engine } = opened;
    for (let i = 0; i < 4; i += 1) await client.get(newKey());
    proxy.cut();
    await eventually(() => since('reconnects').reconnects === 1 && engine.state === 'tracking');
    for (let i = 0; i < 4; i += 1) await client.get(newKey());
    expect(evicted()).toEqual({ disconnect: 4 });
    expect(engine.stats().entries).toBe(4);
  });

  test('whatever the causes: fills are what is there and what has left, but for what was replaced', async () => {
    await using opened = await open({ maxEntries: 20 });
    const { client, other, engine, proxy } = opened;
    const some = Array.from({ length: 30 }, newKey);
    const before = engine.stats().fills;
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(some.map((key) => client.get(key)));
      await other.set(some[round] as string, `${round}`);
      if (round % 3 === 0) await client.set(some[round + 1] as string, 'mine');
      if (round % 7 === 6) await other.flushAll();
      if (round === 10) {
        proxy.cut();
        await eventually(() => engine.stats().reconnects === 1 && engine.state === 'tracking');
      }
      await opened.drained();
    }
    const { fills, entries, evictions } = engine.stats();
    const left = Object.values(evictions).reduce((sum, count) => sum + count, 0);
    expect(evictions).toMatchObject({ bytes: 0, ttl: 0 });
    for (const cause of ['size', 'invalidation', 'flush', 'own-write', 'disconnect'] as const)
      expect(evictions[cause], cause).toBeGreaterThan(0);
    expect(entries + left).toBe(fills - before);
  });
});

describe('connections', () => {
  test('reconnects: how often a connection came up after its first time; 0 before', async () => {
    await using opened = await open();
    const { engine, proxy } = opened;
    expect(engine.stats()).toMatchObject({ reconnects: 0, connections: 1, silences: 0 });
    for (const times of [1, 2, 3]) {
      proxy.cut();
      await eventually(() => engine.stats().reconnects === times && engine.state === 'tracking');
    }
    expect(engine.stats()).toMatchObject({ reconnects: 3, connections: 1, silences: 0 });
  });

  test('reconnects outlive the connections that made them', async () => {
    await using opened = await open();
    const { engine, proxy, client } = opened;
    proxy.cut();
    await eventually(() => engine.stats().reconnects === 1 && engine.state === 'tracking');
    client.destroy();
    expect(engine.stats()).toMatchObject({ reconnects: 1, connections: 0, state: 'down' });
    await client.connect();
    await client.ping();
    await eventually(() => engine.state === 'tracking');
    expect(engine.stats()).toMatchObject({ reconnects: 2, connections: 1 });
  });

  test('heartbeatAgeMs grows while nothing is heard, and begins anew with what is', async () => {
    await using opened = await open({ maxStaleness: '10m' });
    const { client, engine, proxy } = opened;
    proxy.stall();
    const reading = client.get(newKey());
    await eventually(() => engine.stats().heartbeatAgeMs > 150);
    const sentMs = performance.now();
    proxy.resume();
    await reading;
    expect(engine.stats().heartbeatAgeMs).toBeLessThanOrEqual(performance.now() - sentMs);
    client.destroy();
    expect(engine.stats().heartbeatAgeMs).toBe(0);
  });

  test('silences: replacements of a connection that was not heard for maxStaleness', async () => {
    using silent = hear('redcache:silent');
    await using opened = await open({ maxStaleness: 500 });
    const { client, engine, proxy } = opened;
    await client.get(newKey());
    proxy.stall();
    await eventually(() => engine.stats().silences === 1);
    expect(silent.heard).toHaveLength(1);
    expect(silent.heard[0]?.silentForMs).toBeGreaterThanOrEqual(500);
    proxy.resume();
    await eventually(() => engine.state === 'tracking');
    expect(engine.stats()).toMatchObject({ reconnects: 1, connections: 1 });
  });

  /** A client of a user who may do everything but this, once its tracking is settled. */
  async function limited(name: string, ...rules: string[]) {
    await using admin = await otherClient(redis.url);
    const user = ['ACL', 'SETUSER', name, 'on', 'nopass', '&*', '+@all'];
    await admin.client.sendCommand([...user, ...rules]);
    const cache = clientSideCache();
    const client = createClient({
      url: redis.url.replace('redis://', `redis://${name}:any@`),
      clientSideCache: cache,
    });
    client.on('error', () => {});
    await client.connect();
    for (let i = 0; i < 2; i += 1) await client.get(newKey());
    return { client, engine: cache.engine };
  }

  test('state and reason: what is untracked says why, and no connection of it is counted', async () => {
    using unsupported = hear('redcache:unsupported');
    using connections = hear('redcache:connection');
    const { client, engine } = await limited('untracked', '~*', '-client|tracking');
    await eventually(() => engine.state === 'untracked');
    const stats = engine.stats();
    const { reason } = stats;
    expect(stats).toMatchObject({ connections: 0, entries: 0, heartbeatAgeMs: 0, hits: 0 });
    expect(String(reason)).toMatch(/NOPERM/);
    client.destroy();
    expect(engine.stats()).not.toHaveProperty('reason');
    expect(unsupported.heard).toEqual([{ reason }]);
    expect(connections.heard).toEqual([{ state: 'untracked', reason }, { state: 'down' }]);
  });

  test('state and reason: what is unverified says why, and is counted', async () => {
    using unsupported = hear('redcache:unsupported');
    using connections = hear('redcache:connection');
    const { client, engine } = await limited('unverified', '%R~*');
    await eventually(() => engine.state === 'unverified');
    const { reason } = engine.stats();
    expect(engine.stats()).toMatchObject({ connections: 1 });
    expect(String(reason)).toMatch(/NOPERM/);
    client.destroy();
    expect(connections.heard).toEqual([{ state: 'unverified', reason }, { state: 'down' }]);
    expect(unsupported.heard).toEqual([]);
  });

  test('an engine whose host sees to tracking itself has no heartbeat, and its age is 0', () => {
    const engine = createTrackingCache();
    engine.session.dispatch({ is: 'connected' });
    expect(engine.stats()).toMatchObject({ state: 'tracking', connections: 1, heartbeatAgeMs: 0 });
    engine.close();
    expect(engine.stats()).toMatchObject({ state: 'closed', connections: 0, heartbeatAgeMs: 0 });
  });

  test('what stats() answered stays as it was', async () => {
    await using opened = await open();
    const { client, engine } = opened;
    const before = engine.stats();
    const copy = structuredClone(before);
    const key = newKey();
    await client.get(key);
    await client.set(key, 'value');
    expect(before).toEqual(copy);
    expect(engine.stats()).not.toEqual(copy);
  });
});

/** Each channel of redcache: has happen what it tells of, and answers exactly what that should be. */
const CHANNELS: {
  readonly [Name in keyof CoreChannels]: () => Promise<readonly CoreChannels[Name][]>;
} = {
  'redcache:invalidation': async () => {
    await using opened = await open();
    const key = newKey();
    await opened.client.get(key);
    await opened.client.strLen(key);
    await opened.other.set(key, 'value');
    await opened.drained();
    return [
      { key: expect.stringMatching(/^redcache:probe:/) as unknown as string, entries: 0 },
      { key, entries: 2 },
    ];
  },
  'redcache:flush': async () => {
    const opened = await open();
    const { client, other, engine, proxy } = opened;
    const readTwo = () => Promise.all([client.get(newKey()), client.get(newKey())]);
    await readTwo();
    await other.flushAll();
    await opened.drained();
    await readTwo();
    // Redis pushes nothing for it.
    await client.sendCommand(['SWAPDB', '8', '9']);
    await readTwo();
    engine.clear();
    await readTwo();
    proxy.cut();
    await eventually(() => engine.stats().reconnects === 1 && engine.state === 'tracking');
    await readTwo();
    engine.close();
    await opened[Symbol.asyncDispose]();
    return [
      { cause: 'flush', entries: 2 },
      // At issue, and at reply.
      { cause: 'own-write', entries: 2 },
      { cause: 'own-write', entries: 0 },
      { cause: 'clear', entries: 2 },
      { cause: 'disconnect', entries: 2 },
      { cause: 'close', entries: 2 },
      { cause: 'disconnect', entries: 0 },
    ];
  },
  'redcache:connection': async () => {
    const opened = await open();
    opened.proxy.cut();
    await eventually(
      () => opened.engine.stats().reconnects === 1 && opened.engine.state === 'tracking',
    );
    opened.engine.close();
    await opened[Symbol.asyncDispose]();
    return [{ state: 'tracking' }, { state: 'down' }, { state: 'tracking' }, { state: 'closed' }];
  },
  'redcache:unsupported': async () => {
    await using admin = await otherClient(redis.url);
    const user = ['ACL', 'SETUSER', 'unsupported', 'on', 'nopass', '~*', '&*', '+@all'];
    await admin.client.sendCommand([...user, '-client|tracking']);
    const cache = clientSideCache();
    const url = redis.url.replace('redis://', 'redis://unsupported:any@');
    // However many connections there are.
    const clients = [1, 2].map(() => createClient({ url, clientSideCache: cache }));
    for (const client of clients) {
      await client.connect();
      await client.get(newKey());
      await eventually(() => cache.engine.state === 'untracked');
    }
    await Promise.all(clients.map((client) => client.close()));
    return [{ reason: expect.objectContaining({ message: expect.stringMatching(/^NOPERM/) }) }];
  },
  'redcache:silent': async () => {
    await using opened = await open({ maxStaleness: 500 });
    await opened.client.get(newKey());
    opened.proxy.stall();
    await eventually(() => opened.engine.stats().silences === 1);
    opened.client.destroy();
    return [{ silentForMs: expect.any(Number) as unknown as number }];
  },
  'redcache:callback-error': async () => {
    const error = new Error('from a listener');
    await using opened = await open({
      cacheable: () => {
        throw error;
      },
    });
    await opened.client.get(newKey());
    const key = newKey();
    const stop = opened.engine.onInvalidation(key, () => {
      throw error;
    });
    opened.engine.invalidate([key]);
    stop();
    return [
      { callback: 'cacheable', error },
      { callback: 'onInvalidation', error },
    ];
  },
};

describe('channels of redcache', () => {
  for (const [name, happen] of Object.entries(CHANNELS))
    test(`${name} tells of what happens, and of nothing else`, async () => {
      using channel = hear(name as keyof CoreChannels);
      const expected = await happen();
      expect(channel.heard).toEqual(expected);
    });
});

describe('node-redis’s own channels', () => {
  /** What a client with this cache publishes while the same things happen to it. */
  async function published(cache: BasicPooledClientSideCache) {
    await using other = await otherClient(redis.url);
    const requests: { result: string; clientId: string }[] = [];
    const evictions: unknown[] = [];
    const onRequest = (message: unknown): void => void requests.push(message as never);
    const onEviction = (message: unknown): void => void evictions.push(message);
    subscribe('node-redis:cache:request', onRequest);
    subscribe('node-redis:cache:eviction', onEviction);
    const client = createClient({ url: redis.url, clientSideCache: cache });
    client.on('error', () => {});
    const ids = new Set<string>();
    const onReady = (message: unknown): void =>
      void ids.add((message as { clientId: string }).clientId);
    subscribe('node-redis:connection:ready', onReady);
    try {
      await client.connect();
      await client.ping();
      await client.ping();
      // Misses and hits, a reply of no one, one that is joined.
      await Promise.all([client.get('a'), client.get('a')]);
      await client.get('a');
      await client.hGetAll('h');
      await client.hGetAll('h');
      // Nothing is said of what passes by.
      await client.ttl('a');
      await other.client.set('a', 'new');
      await client.ping();
      await client.get('a');
      // One more than there may be.
      await client.get('b');
      await client.get('c');
      await client.get('d');
      await other.client.flushAll();
      await client.ping();
      await client.get('a');
      return { results: requests.map(({ result }) => result), evictions, requests, ids };
    } finally {
      client.destroy();
      unsubscribe('node-redis:cache:request', onRequest);
      unsubscribe('node-redis:cache:eviction', onEviction);
      unsubscribe('node-redis:connection:ready', onReady);
    }
  }

  test('say of this cache what they say of node-redis’s own', async () => {
    const own = await published(new BasicPooledClientSideCache({ maxEntries: 3 }));
    const ours = await published(clientSideCache({ maxEntries: 3 }));
    expect(own.results).toContain('hit');
    expect(ours.results).toEqual(own.results);
    expect(ours.evictions).toEqual(own.evictions);
    expect(ours.evictions).toContainEqual({ reason: 'full', count: 1 });
    expect(ours.evictions).toContainEqual({ reason: 'invalidation', count: 3 });
    // By the name that the client has on its other channels.
    for (const { clientId } of ours.requests) expect(ours.ids).toContain(clientId);
  });

  test('name an end by time as such, and a mGet as one request', async () => {
    const heard: unknown[] = [];
    const note = (message: unknown): void => void heard.push(message);
    await using opened = await open({ negativeTtl: 30 });
    const { client } = opened;
    const [one, two] = [newKey(), newKey()];
    subscribe('node-redis:cache:eviction', note);
    try {
      await client.get(one);
      await eventually(async () => {
        await client.get(one);
        return heard.length > 0;
      });
      expect(heard[0]).toEqual({ reason: 'ttl', count: 1 });
    } finally {
      unsubscribe('node-redis:cache:eviction', note);
    }
    const results: unknown[] = [];
    const onRequest = (message: unknown): void =>
      void results.push((message as { result: string }).result);
    subscribe('node-redis:cache:request', onRequest);
    try {
      await opened.other.mSet({ [one]: '1', [two]: '2' });
      await opened.drained();
      await client.mGet([one, two]);
      await client.mGet([one, two]);
      expect(results).toEqual(['miss', 'hit']);
    } finally {
      unsubscribe('node-redis:cache:request', onRequest);
    }
  });
});

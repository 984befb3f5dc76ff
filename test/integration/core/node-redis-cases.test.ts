import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import {
  BasicClientSideCache,
  BasicPooledClientSideCache,
  createClient,
  createCluster,
  createSentinel,
} from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { openCached } from './cached-kind.ts';
import { KINDS, type Kind, type OpenKind, openKind, startFor } from './four-kinds.ts';

/** A client of one of the kinds with a cache, node-redis's own or ours, as a user sees the two. */
interface Seat extends OpenKind {
  readonly cache: BasicClientSideCache;
  readonly url: string;
  /** Hits and misses, by the statistics that both have. */
  counted(): readonly [hits: number, misses: number];
  /** Resolves when the cache has told of the change that `write` makes: `bytes` or `text`, by the key. */
  changed(key: string, write: () => Promise<unknown>): Promise<'bytes' | 'text'>;
  /** Another client made by `duplicate()`, tracked by now. */
  duplicate(): Promise<SingleClient>;
}

type SingleClient = ReturnType<typeof createClient>;

type Verdict = 'same' | 'better' | 'different';

interface Case {
  readonly kinds?: readonly Kind[];
  readonly options?: { readonly maxEntries?: number; readonly ttl?: number };
  /** node-redis's own cache is the one that several clients may share. */
  readonly isShared?: boolean;
  /** Answers all that is to be seen. */
  readonly scenario: (seat: Seat) => unknown;
  readonly verdict: Verdict;
  /** What ours shows; node-redis's own shows the same if nothing else is said. */
  readonly ours: unknown;
  readonly builtIn?: unknown;
  /** Where node-redis's own shows the one thing or the other, by what comes first. */
  readonly races?: readonly Kind[];
}

const NOBODY = { host: '127.0.0.1', port: 1 };

const four = (value: string): string[] => Array.from({ length: 4 }, () => value);

/** Reads one after the other. */
async function readAll({ client }: Seat, keys: readonly string[]): Promise<(string | null)[]> {
  const values: (string | null)[] = [];
  for (const key of keys) values.push(await client.get(key));
  return values;
}

/** All reads and writes of these go over one connection, so that a push stands right behind its write. */
const ONE_CONNECTION = ['client', 'cluster', 'sentinel'] as const;

const CASES: Readonly<Record<string, Case>> = {
  'a first read is a miss, later ones are hits': {
    scenario: async (seat) => {
      const keys = [seat.keyFor('x'), seat.keyFor('y')] as const;
      const seen: unknown[] = [];
      for (const key of keys) {
        await seat.client.set(key, `of ${key === keys[0] ? 'x' : 'y'}`);
        seen.push(await readAll(seat, [key, key, key]), seat.counted());
      }
      return [...seen, seat.cache.size()];
    },
    verdict: 'same',
    ours: [['of x', 'of x', 'of x'], [2, 1], ['of y', 'of y', 'of y'], [4, 2], 2],
  },

  'no more copies than maxEntries': {
    options: { maxEntries: 10 },
    scenario: async (seat) => {
      const keys = Array.from({ length: 11 }, (_, n) => seat.keyFor(n));
      await readAll(seat, keys);
      await seat.client.get(keys[0] as string);
      return [seat.counted(), seat.cache.size(), seat.cache.stats().evictionCount];
    },
    verdict: 'same',
    ours: [[0, 12], 10, 2],
  },

  'the copy that was used longest ago leaves first': {
    options: { maxEntries: 10 },
    scenario: async (seat) => {
      const read = (...numbers: number[]) => readAll(seat, numbers.map(seat.keyFor));
      await read(1, 2, 3, 4, 5, 1, 6, 7, 8, 9, 10, 11);
      const before = seat.counted();
      await read(1);
      const one = seat.counted();
      await read(2);
      return [before, one, seat.counted()];
    },
    verdict: 'same',
    ours: [
      [1, 11],
      [2, 11],
      [2, 12],
    ],
  },

  'clear() forgets all copies, and the statistics begin anew': {
    scenario: async (seat) => {
      const [x, y] = [seat.keyFor('x'), seat.keyFor('y')];
      await readAll(seat, [x, x, y]);
      seat.cache.clear();
      const cleared = [seat.cache.size(), seat.counted()];
      await readAll(seat, [x, x]);
      return [...cleared, seat.counted()];
    },
    verdict: 'same',
    ours: [0, [0, 0], [1, 1]],
  },

  'clear(false) forgets all copies, and the statistics go on': {
    scenario: async (seat) => {
      const [x, y] = [seat.keyFor('x'), seat.keyFor('y')];
      await readAll(seat, [x, x, y]);
      seat.cache.clear(false);
      await readAll(seat, [x, x]);
      return [seat.counted(), seat.cache.stats().evictionCount];
    },
    verdict: 'same',
    ours: [[2, 3], 2],
  },

  'invalidate(null) forgets all copies': {
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      await seat.client.set(x, 'value');
      const values = await readAll(seat, [x]);
      seat.cache.invalidate(null);
      return [...values, seat.cache.size(), ...(await readAll(seat, [x])), seat.counted()];
    },
    verdict: 'same',
    ours: ['value', 0, 'value', [0, 2]],
  },

  'after FLUSHDB over the same connection nothing of before is read': {
    kinds: ONE_CONNECTION,
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      await seat.client.set(x, 'value');
      const before = await seat.client.get(x);
      await flushAt(seat);
      return [before, await seat.client.get(x), seat.counted()];
    },
    verdict: 'same',
    ours: ['value', null, [0, 2]],
  },

  'after an own write over the same connection the new value is read': {
    kinds: ONE_CONNECTION,
    scenario: async (seat) => {
      const seen: unknown[] = [];
      for (const key of [seat.keyFor('x'), seat.keyFor('y')])
        for (const value of ['1', '2', '3']) {
          await seat.client.set(key, value);
          seen.push(await seat.client.get(key));
        }
      return [...seen, seat.counted()];
    },
    verdict: 'same',
    ours: ['1', '2', '3', '1', '2', '3', [0, 6]],
  },

  'after an own write over another connection the new value is read': {
    kinds: ['pool'],
    scenario: async (seat) => {
      let stale = 0;
      for (let n = 0; n < 300; n += 1) {
        const key = seat.keyFor(n % 3);
        await seat.client.get(key);
        await seat.client.set(key, `${n}`);
        if ((await seat.client.get(key)) !== `${n}`) stale += 1;
      }
      return stale;
    },
    verdict: 'better',
    ours: 0,
    races: ['pool'],
  },

  'the event `invalidate` tells of each key that changed': {
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      await seat.client.set(x, '1');
      const seen: unknown[] = [await readAll(seat, [x, x, x, x]), seat.counted()];
      for (const value of ['2', '3']) {
        seen.push(await seat.changed(x, () => seat.client.set(x, value)));
        seen.push(await readAll(seat, [x, x, x, x]), seat.counted());
      }
      return seen;
    },
    verdict: 'same',
    ours: [four('1'), [3, 1], ...['bytes', four('2'), [6, 2]], ...['bytes', four('3'), [9, 3]]],
  },

  'what mGet() gave may be changed, and nobody notices': {
    scenario: async (seat) => {
      const seen: (string | null)[][] = [];
      const keys = [`{${seat.keyFor('m')}}:x`, `{${seat.keyFor('m')}}:y`];
      for (const [n, key] of keys.entries()) await seat.client.set(key, `${n}`);
      for (let i = 0; i < 3; i += 1) {
        const values = await seat.client.mGet(keys);
        seen.push([...values]);
        values[0] = 'mine';
        values.length = 1;
      }
      return seen;
    },
    verdict: 'same',
    ours: [
      ['0', '1'],
      ['0', '1'],
      ['0', '1'],
    ],
  },

  'what mGet() asks for': {
    scenario: async (seat) => {
      const [x, y] = [`{${seat.keyFor('m')}}:x`, `{${seat.keyFor('m')}}:y`];
      const seen: unknown[] = [];
      for (const [key, value] of [
        [x, '1'],
        [y, '2'],
        [x, '3'],
        [y, '4'],
      ] as const) {
        if (value < '3') await seat.client.set(key, value);
        else seen.push(await seat.changed(key, () => seat.client.set(key, value)));
        if (value > '1') seen.push(await seat.client.mGet([x, y]), seat.counted());
      }
      return [...seen, await seat.client.mGet([x, y]), seat.counted()];
    },
    verdict: 'better',
    // Key by key: each time only the key that changed is asked for.
    ours: [
      ...[
        ['1', '2'],
        [0, 2],
      ],
      ...['bytes', ['3', '2'], [1, 3]],
      ...['bytes', ['3', '4'], [2, 4]],
      ...[
        ['3', '4'],
        [4, 4],
      ],
    ],
    // Command by command.
    builtIn: [
      ...[
        ['1', '2'],
        [0, 1],
      ],
      ...['bytes', ['3', '2'], [0, 2]],
      ...['bytes', ['3', '4'], [0, 3]],
      ...[
        ['3', '4'],
        [1, 3],
      ],
    ],
    // Each member that has read a key is told of its change, one of them after it was read anew.
    races: ['pool'],
  },

  'two reads at the same time are one command': {
    kinds: ONE_CONNECTION,
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      await seat.client.set(x, 'value');
      const values = await Promise.all([seat.client.get(x), seat.client.get(x)]);
      return [...values, seat.counted(), seat.cache.stats().loadCount()];
    },
    verdict: 'same',
    ours: ['value', 'value', [0, 2], 1],
  },

  'the very first reads of a connection': {
    kinds: ['client'],
    scenario: async (seat) => {
      const fresh = 'engine' in seat.cache ? clientSideCache() : new BasicClientSideCache();
      const client = createClient({ url: seat.url, RESP: 3, clientSideCache: fresh });
      await client.connect();
      for (let i = 0; i < 3; i += 1) await client.get(seat.keyFor('x'));
      const { hitCount, missCount } = fresh.stats();
      client.destroy();
      return [hitCount, missCount];
    },
    verdict: 'same',
    ours: [2, 1],
  },

  'closed and connected again, a client has nothing of before': {
    kinds: ['client'],
    scenario: async ({ client, raw, keyFor, cache }) => {
      await client.get(keyFor('x'));
      await client.get(keyFor('y'));
      await (raw as SingleClient).close();
      const size = cache.size();
      await (raw as SingleClient).connect();
      return [size, await client.get(keyFor('x'))];
    },
    verdict: 'same',
    ours: [0, null],
  },

  'the statistics of a client that was closed and connected again': {
    kinds: ['client'],
    scenario: async (seat) => {
      await seat.client.get(seat.keyFor('x'));
      await (seat.raw as SingleClient).close();
      await (seat.raw as SingleClient).connect();
      await seat.client.get(seat.keyFor('x'));
      return seat.counted();
    },
    verdict: 'different',
    ours: [0, 2],
    builtIn: [0, 1],
  },

  'what one client has read another that shares the cache need not, until the first is closed': {
    kinds: ['client'],
    isShared: true,
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      const twin = await seat.duplicate();
      await twin.get(x);
      await seat.client.get(x);
      const shared = seat.counted();
      await twin.close();
      await readAll(seat, [x, x]);
      return [shared, seat.counted()];
    },
    verdict: 'same',
    ours: [
      [1, 1],
      [2, 2],
    ],
  },

  'what the other has read itself stays when the first is closed': {
    kinds: ['client'],
    isShared: true,
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      const twin = await seat.duplicate();
      await seat.client.get(x);
      await twin.close();
      await seat.client.get(x);
      return seat.counted();
    },
    verdict: 'better',
    ours: [1, 1],
    builtIn: [0, 2],
  },

  'a client that never was connected takes nothing with it when it is destroyed': {
    kinds: ['client'],
    isShared: true,
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      await seat.client.get(x);
      const never = createClient({ RESP: 3, clientSideCache: seat.cache });
      never.destroy();
      never.destroy();
      await seat.client.get(x);
      return seat.counted();
    },
    verdict: 'same',
    ours: [1, 1],
  },

  'the statistics of a life: misses, hits, evictions, a change': {
    options: { maxEntries: 2 },
    scenario: async (seat) => {
      const [a, b, c] = [seat.keyFor('a'), seat.keyFor('b'), seat.keyFor('c')] as const;
      for (const key of [a, b, c]) await seat.client.set(key, 'value');
      // A leaves for C, and B for A.
      await readAll(seat, [a, b, a, b, c, a, c]);
      await seat.changed(a, () => seat.client.set(a, 'new'));
      const value = await seat.client.get(a);
      const stats = seat.cache.stats();
      return [
        value,
        [stats.hitCount, stats.missCount, stats.evictionCount],
        [stats.loadSuccessCount, stats.loadFailureCount],
        [stats.requestCount(), stats.loadCount(), stats.hitRate(), stats.missRate()],
        [stats.loadFailureRate(), stats.averageLoadPenalty() === stats.totalLoadTime / 5],
      ];
    },
    verdict: 'same',
    ours: ['new', [3, 5, 2], [5, 0], [8, 5, 3 / 8, 5 / 8], [0, true]],
  },

  'statistics are snapshots that can be added and subtracted': {
    scenario: async (seat) => {
      const x = seat.keyFor('x');
      const none = seat.cache.stats();
      await readAll(seat, [x, x]);
      const some = seat.cache.stats();
      await readAll(seat, [x, x, x]);
      const since = seat.cache.stats().minus(some);
      const back = some.minus(seat.cache.stats());
      return [
        [none.requestCount(), none.hitRate(), none.missRate(), none.averageLoadPenalty()],
        [since.hitCount, since.missCount, since.plus(some).requestCount()],
        [back.hitCount, back.requestCount(), back.loadFailureRate()],
      ];
    },
    verdict: 'same',
    ours: [
      [0, 1, 0, 0],
      [3, 0, 5],
      [0, 0, 0],
    ],
  },

  'the diagnostics channels tell of each request and of evictions': {
    options: { maxEntries: 1, ttl: 60_000 },
    scenario: async (seat) => {
      const [x, y] = [seat.keyFor('x'), seat.keyFor('y')];
      const told: unknown[] = [];
      const onRequest = (message: unknown) => told.push((message as { result: string }).result);
      const onEviction = (message: unknown) => told.push(message);
      subscribe('node-redis:cache:request', onRequest);
      subscribe('node-redis:cache:eviction', onEviction);
      try {
        await readAll(seat, [x, x, y]);
        await seat.changed(y, () => seat.client.set(y, 'value'));
        return [...told, seat.cache.size()];
      } finally {
        unsubscribe('node-redis:cache:request', onRequest);
        unsubscribe('node-redis:cache:eviction', onEviction);
      }
    },
    verdict: 'same',
    ours: [
      ...['miss', 'hit', 'miss', { reason: 'full', count: 1 }],
      ...[{ reason: 'invalidation', count: 1 }, 0],
    ],
  },

  'RESP 2 is refused at construction; RESP 3 and none are not': {
    kinds: ONE_CONNECTION,
    scenario: ({ kind, cache }) => {
      const tried = (RESP?: 2 | 3): string => {
        const options = { ...(RESP && { RESP }), clientSideCache: cache as never };
        const makers: Readonly<Record<string, () => unknown>> = {
          client: () => createClient(options),
          cluster: () => createCluster({ ...options, rootNodes: [{ socket: NOBODY }] }),
          sentinel: () =>
            createSentinel({ ...options, name: 'any', sentinelRootNodes: [NOBODY] } as never),
        };
        return said(makers[kind] as () => unknown);
      };
      return [tried(2), tried(3), tried()];
    },
    verdict: 'same',
    ours: ['Client Side Caching is only supported with RESP3', 'nothing', 'nothing'],
  },

  'a client given a cache is refused emitInvalidate': {
    kinds: ['client'],
    scenario: ({ cache }) =>
      said(() => createClient({ RESP: 3, clientSideCache: cache, emitInvalidate: true } as never)),
    verdict: 'same',
    ours: 'emitInvalidate is not supported (or necessary) when clientSideCache is enabled',
  },

  'options that ask for no bound at all': {
    kinds: ['client'],
    scenario: ({ cache }) => {
      const isOurs = 'engine' in cache;
      return [{ ttl: 0 }, { maxEntries: 0 }, { evictPolicy: 'FIFO' }].map((options) =>
        said(() =>
          isOurs ? clientSideCache(options as never) : new BasicClientSideCache(options as never),
        ),
      );
    },
    verdict: 'different',
    ours: [
      expect.stringContaining('ttl must be'),
      expect.stringContaining('maxEntries must be'),
      expect.stringContaining("unknown option 'evictPolicy'"),
    ],
    builtIn: ['nothing', 'nothing', 'nothing'],
  },
};

/** What was thrown, in words. */
function said(task: () => unknown): string {
  try {
    task();
    return 'nothing';
  } catch (error) {
    return (error as Error).message;
  }
}

async function flushAt({ kind, raw }: Seat): Promise<void> {
  if (kind !== 'cluster') {
    await (raw as SingleClient).flushDb();
    return;
  }
  const cluster = raw as OpenKind<'cluster'>['raw'];
  for (const node of cluster.masters) await (await cluster.nodeClient(node)).flushDb();
}

async function open(
  who: 'ours' | 'built-in',
  kind: Kind,
  deployment: Deployment,
  { options, isShared = false }: Case,
): Promise<Seat> {
  if (who === 'ours') {
    const opened = await openCached(kind, deployment, {
      options: options as ClientSideCacheOptions,
    });
    return seatOf(opened, deployment, opened.cache, async () => {
      const { connections } = opened.engine.stats();
      return () => opened.engine.stats().connections > connections;
    });
  }
  const Cache = kind === 'client' && !isShared ? BasicClientSideCache : BasicPooledClientSideCache;
  const cache = new Cache(options);
  return seatOf(
    await openKind(kind, deployment, { cache }),
    deployment,
    cache,
    async () => () => true,
  );
}

function seatOf(
  opened: OpenKind,
  { url }: Deployment,
  cache: BasicClientSideCache,
  tracked: () => Promise<() => boolean>,
): Seat {
  return {
    ...opened,
    cache,
    url,
    counted: () => {
      const { hitCount, missCount } = cache.stats();
      return [hitCount, missCount];
    },
    changed: async (key, write) => {
      const told = new Promise<'bytes' | 'text'>((resolve) => {
        const listen = (named: unknown): void => {
          if (String(named) !== key) return;
          cache.off('invalidate', listen);
          resolve(Buffer.isBuffer(named) ? 'bytes' : 'text');
        };
        cache.on('invalidate', listen);
      });
      await write();
      return await told;
    },
    duplicate: async () => {
      const isTracked = await tracked();
      const twin = (opened.raw as SingleClient).duplicate();
      twin.on('error', () => {});
      await twin.connect();
      await twin.ping();
      await eventually(isTracked);
      return twin as SingleClient;
    },
  };
}

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    for (const [name, each] of Object.entries(CASES)) {
      if (each.kinds !== undefined && !each.kinds.includes(kind)) continue;
      const { scenario, ours, builtIn = ours, races = [], verdict } = each;
      test(`ours: ${name}`, async () => {
        const seat = await open('ours', kind, deployment, each);
        try {
          expect(await scenario(seat)).toEqual(ours);
        } finally {
          await seat.close();
        }
      });

      if (!races.includes(kind))
        test(`node-redis's own, ${verdict}: ${name}`, async () => {
          const seat = await open('built-in', kind, deployment, each);
          try {
            expect(await scenario(seat)).toEqual(builtIn);
          } finally {
            await seat.close();
          }
        });
    }
  });

test('a verdict other than same is one, and the table of the documentation has them all', async () => {
  for (const [name, { verdict, builtIn, races }] of Object.entries(CASES))
    expect([name, verdict === 'same']).toEqual([name, (builtIn ?? races) === undefined]);
  const text = await readFile(new URL('../../../docs/node-redis-cache-cases.md', import.meta.url));
  const rows = [...String(text).matchAll(/^\| (.+?) \| (same|better|different) \|/gm)];
  expect(rows.map(([, name, verdict]) => [name, verdict])).toEqual(
    Object.entries(CASES).map(([name, { verdict }]) => [name, verdict]),
  );
});

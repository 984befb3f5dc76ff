// Each figure of docs/observability.md, by what makes it one more and no other than those that belong to it.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestCache, type TestCache } from '../src/testing/index.ts';

/** Two processes over one Redis; those that are counted are of the first. */
let cache: TestCache;
let other: TestCache;

const OPTIONS = { ttl: '1m', lease: '10s', timeout: { redis: 100, hard: '30s' } } as const;

beforeEach(async () => {
  cache = createTestCache(OPTIONS);
  other = createTestCache({ ...OPTIONS, redis: cache.redis });
  // The namespace has begun, and both know.
  await other.set('known', 1);
  await Promise.all([cache.get('known'), other.get('known')]);
});

afterEach(async () => {
  cache.redis.become('up');
  await Promise.all([cache.close(), other.close()]);
});

/** All counters, of refreshes by cause, of times how many; but for bytes. */
function counts(): Record<string, number> {
  const {
    refreshes,
    loadTime,
    waitTime,
    families: _,
    bytesRead,
    bytesWritten,
    ...rest
  } = cache.stats();
  const times = { loadTime: loadTime.count, waitTime: waitTime.count };
  return { ...rest, ...refreshes, ...times };
}

const turns = (): Promise<void> => cache.advance(1);

/** Something happens here, in the course of time. */
async function during<T>(call: Promise<T>, ms: number): Promise<T | undefined> {
  const settled = call.catch(() => undefined);
  await cache.advance(ms);
  return settled;
}

function loader() {
  let answer = (_: unknown): void => {};
  const load = (): Promise<unknown> =>
    new Promise((resolve) => {
      answer = resolve;
    });
  return { load, answer: (value: unknown) => answer(value) };
}

/** A value that has aged, and may be served. */
async function aged(key: string, grace: object): Promise<void> {
  await other.set(key, 'old', grace);
  await other.expire(key);
  await turns();
}

const GRACE = { grace: '1h' } as const;
const IF_ERROR = { staleIfError: '1h' } as const;
const fails = (): never => {
  throw new Error('no');
};

interface Scenario {
  readonly name: string;
  prepare?(): Promise<unknown>;
  act(): Promise<unknown>;
  readonly counted: Readonly<Record<string, number>>;
}

const LOADED = { misses: 1, loads: 1, loadTime: 1 };

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a value from here',
    act: () => cache.get('known'),
    counted: { localHits: 1 },
  },
  {
    name: 'a value from here, by the way that looks at options',
    act: () => cache.getEntry('known', fails, { grace: '1m' }),
    counted: { localHits: 1 },
  },
  {
    name: 'an absence from here',
    prepare: () => cache.get('none', () => undefined),
    act: () => cache.get('none', fails),
    counted: { negativeHits: 1 },
  },
  {
    name: 'many from here',
    prepare: () => cache.get('none', () => undefined),
    act: () => cache.getMany(['known', 'none', 'known']),
    counted: { localHits: 1, negativeHits: 1 },
  },
  {
    name: 'a value from Redis',
    prepare: () => other.set('k', 'v'),
    act: () => cache.get('k', fails),
    counted: { redisHits: 1 },
  },
  {
    name: 'an absence from Redis',
    prepare: () => other.set('k', undefined),
    act: () => cache.get('k', fails),
    counted: { redisHits: 1 },
  },
  {
    name: 'nothing, and nobody to load it',
    act: () => cache.get('k'),
    counted: { misses: 1 },
  },
  {
    name: 'nothing, which is loaded',
    act: () => cache.get('k', () => 'v'),
    counted: LOADED,
  },
  {
    name: 'two that are loaded by one call',
    act: () => cache.getMany(['a', 'b'], (keys) => Object.fromEntries(keys.map((key) => [key, 1]))),
    counted: { misses: 2, loads: 2, loadTime: 1 },
  },
  {
    name: 'a look at what is none of anybody',
    act: async () => cache.peek('known'),
    counted: {},
  },
  {
    name: 'a caller who joins',
    act: () => Promise.all([cache.get('k', () => 'v'), cache.get('k', fails)]),
    counted: { ...LOADED, coalesced: 1 },
  },
  {
    name: 'a loader that fails',
    act: () => cache.get('k', fails).catch(() => {}),
    counted: { ...LOADED, loadFailures: 1 },
  },
  {
    name: 'a loader that takes too long',
    act: () => during(cache.get('k', loader().load, { timeout: { hard: 50 } }), 60),
    counted: { ...LOADED, loadFailures: 1 },
  },
  {
    name: 'a load that nobody waits for any more',
    act: async () => {
      const leaving = new AbortController();
      const reading = cache.get('k', loader().load, { signal: leaving.signal }).catch(() => {});
      await turns();
      leaving.abort();
      await reading;
      await turns();
    },
    counted: LOADED,
  },
  {
    name: 'a value that has aged, while it is loaded behind',
    prepare: () => aged('k', GRACE),
    act: async () => {
      expect(await cache.get('k', () => 'new', GRACE)).toBe('old');
      await turns();
    },
    counted: { staleHits: 1, grace: 1, loads: 1, loadTime: 1 },
  },
  {
    name: 'a value that has aged, since its load fails',
    prepare: () => aged('k', IF_ERROR),
    act: async () => expect(await cache.get('k', fails, IF_ERROR)).toBe('old'),
    counted: { ...LOADED, loadFailures: 1, staleHits: 1 },
  },
  {
    name: 'a value that has aged, since its load takes long',
    prepare: () => aged('k', GRACE),
    act: async () => {
      const options = { ...GRACE, timeout: { soft: 10 } } as const;
      const { load, answer } = loader();
      expect(await during(cache.get('k', load, options), 20)).toBe('old');
      answer('new');
      await turns();
    },
    counted: { ...LOADED, staleHits: 1 },
  },
  {
    name: 'a value that is loaded before it ages, for it is hot',
    prepare: async () => {
      await other.set('k', 'old');
      await cache.advance('55s');
    },
    act: async () => {
      const hotKeys = { threshold: 1, window: '1s' } as const;
      expect(await cache.get('k', () => 'new', { hotKeys })).toBe('old');
      await turns();
    },
    counted: { redisHits: 1, hot: 1, loads: 1, loadTime: 1 },
  },
  {
    name: 'a value that is loaded before it ages, by chance',
    prepare: async () => {
      const { load, answer } = loader();
      const loading = other.get('k', load);
      await cache.advance('20s');
      answer('old');
      await loading;
      await cache.advance('59900ms');
    },
    act: async () => {
      const earlyRefresh = { after: 0.5, beta: 1_000 };
      expect(await cache.get('k', () => 'new', { earlyRefresh })).toBe('old');
      await turns();
    },
    counted: { redisHits: 1, early: 1, loads: 1, loadTime: 1 },
  },
  {
    name: 'a refresh for which there is no room',
    prepare: async () => {
      const names = Array.from({ length: 1_033 }, (_, i) => `k${i}`);
      await Promise.all(names.map((name) => aged(name, GRACE)));
      const { load } = loader();
      for (const name of names.slice(1)) await cache.get(name, load, GRACE);
      await turns();
    },
    act: () => cache.get('k0', fails, GRACE),
    counted: { staleHits: 1, refreshesDropped: 1 },
  },
  {
    name: 'a value that is deleted while it is loaded',
    act: async () => {
      const { load, answer } = loader();
      const reading = cache.get('k', load);
      await turns();
      await other.delete('k');
      answer('v');
      expect(await reading).toBe('v');
    },
    counted: { ...LOADED, lostLeases: 1 },
  },
  {
    name: 'a wait that a push ends',
    act: async () => {
      const { load, answer } = loader();
      const theirs = other.get('k', load);
      await turns();
      const mine = cache.get('k', fails);
      await turns();
      answer('v');
      expect(await Promise.all([theirs, mine])).toEqual(['v', 'v']);
    },
    counted: { waits: 1, waitTime: 1, wokenByPush: 1, redisHits: 1 },
  },
  {
    name: 'a wait that the end of the lease ends',
    prepare: async () => {
      cache.redis.set('k', 'rc1 l gone\n');
      // As a loader leaves it whose process was ended.
      other.redis.expire('k', '5s');
    },
    act: () =>
      during(
        cache.get('k', () => 'v'),
        6_000,
      ),
    counted: { ...LOADED, waits: 1, waitTime: 1, wokenByTimer: 1 },
  },
  {
    name: 'writes',
    act: async () => {
      await cache.set('a', 1);
      await cache.touch('a', '2m');
      await cache.expire('a');
      await cache.write('b', () => 2);
    },
    counted: { writes: 4 },
  },
  {
    name: 'deletes',
    act: async () => {
      await cache.delete('a');
      await cache.deleteMany(['known', 'b', 'known']);
    },
    counted: { deletes: 3 },
  },
  {
    name: 'a read without Redis',
    prepare: async () => {
      cache.redis.become('away');
      await cache.advance(200);
    },
    act: () => cache.get('k', () => 'v'),
    counted: { loads: 1, loadTime: 1, misses: 1, unavailable: 1 },
  },
  {
    name: 'a read without Redis that is to fail then',
    prepare: async () => {
      cache.redis.become('away');
      await cache.advance(200);
    },
    act: () => cache.get('k', fails, { onUnavailable: 'throw' }).catch(() => {}),
    counted: { unavailable: 1 },
  },
  {
    name: 'a delete that goes unanswered',
    prepare: async () => cache.redis.become('hung'),
    act: () => during(cache.delete('k'), 200),
    counted: { unknownOutcomes: 1, uncertainKeys: 1 },
  },
];

test.for(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
  '%s',
  async ([, { prepare, act, counted }]) => {
    await prepare?.();
    await turns();
    const before = counts();
    await act();
    await turns();
    const changed = Object.entries(counts())
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, more]) => more !== 0);
    expect(Object.fromEntries(changed)).toEqual(counted);
  },
);

test('every counter is made to count by one of these', () => {
  const named = new Set(SCENARIOS.flatMap(({ counted }) => Object.keys(counted)));
  expect([...named].sort()).toEqual(Object.keys(counts()).sort());
});

test('bytes are those of values that were read and written', async () => {
  const { bytesRead, bytesWritten } = cache.stats();
  await other.set('k', 'é'.repeat(100));
  await cache.get('k');
  await cache.get('k');
  const stored = Buffer.byteLength(other.redis.peek('k') as string);
  expect(cache.stats()).toMatchObject({ bytesRead: bytesRead + stored, bytesWritten });
  await cache.set('k', 'x');
  const written = Buffer.byteLength(other.redis.peek('k') as string);
  expect(cache.stats().bytesWritten).toBe(bytesWritten + written);
});

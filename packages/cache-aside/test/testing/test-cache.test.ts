import { AcquireTimeoutError } from '@redcache/locks';
import { afterEach, expect, test, vi } from 'vitest';
import { BatchError } from '../../src/index.ts';
import { createTestCache, type TestCache, type TestCacheOptions } from '../../src/testing/index.ts';

const caches: TestCache[] = [];
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

function start(options?: TestCacheOptions): TestCache {
  const cache = createTestCache(options);
  caches.push(cache);
  return cache;
}

/** Closed, nothing is left, whatever became of Redis. */
afterEach(async () => {
  vi.useRealTimers();
  for (const cache of caches) await cache.close();
  for (const { redis } of caches.splice(0)) expect(redis.clock.timers).toBe(0);
  expect(unhandled.splice(0)).toEqual([]);
});

const never = (): never => {
  throw new Error('the loader was called');
};

test('loads once, is read from here, and ends when its time has come', async () => {
  const cache = start({ ttl: '10m' });
  let loads = 0;
  const load = async (): Promise<object> => {
    loads += 1;
    return { name: `Ada ${loads}` };
  };
  expect(await Promise.all([cache.get('user', load), cache.get('user', load)])).toEqual([
    { name: 'Ada 1' },
    { name: 'Ada 1' },
  ]);
  expect(cache.peek('user')).toEqual({ hit: true, value: { name: 'Ada 1' } });
  await cache.advance('4m');
  expect(await cache.get('user', load)).toEqual({ name: 'Ada 1' });
  await cache.advance('7m');
  expect(await cache.get('user', load)).toEqual({ name: 'Ada 2' });
  expect(cache.stats()).toMatchObject({ loads: 2, coalesced: 1, localHits: 1 });
});

test('values take the way through Redis, so they are what any process reads', async () => {
  const cache = start();
  const date = new Date(0);
  expect(await cache.get('date', () => ({ date }))).toEqual({ date: date.toJSON() });
  await expect(cache.get('big', () => 1n)).rejects.toMatchObject({ code: 'REDCACHE_CODEC' });
  const bytes = start({ codec: 'bytes', compress: { above: 10 } });
  const value = Buffer.from([...'é'.repeat(50)].map((_, i) => (i * 37) % 256));
  await bytes.set('b', value);
  const other = start({ redis: bytes.redis, codec: 'bytes' });
  expect(await other.get('b', never)).toEqual(value);
});

test('caches over one Redis are processes: they hear of each other, and load once', async () => {
  const one = start({ namespace: 'ns' });
  const two = start({ redis: one.redis, namespace: 'ns' });
  let loads = 0;
  let answer = (_: string): void => {};
  const load = (): Promise<string> => {
    loads += 1;
    return new Promise((resolve) => {
      answer = resolve;
    });
  };
  const both = Promise.all([one.get('k', load), two.get('k', load)]);
  await one.advance(1);
  answer('v');
  expect(await both).toEqual(['v', 'v']);
  expect(loads).toBe(1);
  await two.delete('k');
  await one.advance(1);
  expect(one.peek('k')).toEqual({ hit: false });
  expect(one.redis.keys()).not.toContain('ns:k');
});

test('what another program does to a key is heard', async () => {
  const cache = start({ foreign: 'raw' });
  await cache.set('k', 'old');
  expect(await cache.get('k')).toBe('old');
  cache.redis.set('k', '"new"');
  await cache.advance(1);
  expect(await cache.get('k')).toBe('new');
  expect(cache.redis.delete('k')).toBe(true);
  expect(cache.redis.delete('k')).toBe(false);
  await cache.advance(1);
  expect(await cache.get('k')).toBeUndefined();
});

test('grace, soft timeouts and staleIfError go by the clock of the test', async () => {
  const cache = start({ ttl: '1m', grace: '1m', staleIfError: '1h' });
  await cache.set('k', 'old');
  await cache.advance('90s');
  expect(await cache.get('k', () => 'new')).toBe('old');
  await cache.advance(1);
  expect(await cache.get('k', never)).toBe('new');
  await cache.advance('30m');
  expect(await cache.get('k', () => Promise.reject(new Error('down')))).toBe('new');
  expect(cache.stats().refreshes.grace).toBe(1);
});

test('tags and clear make stale what they name', async () => {
  const cache = start();
  await cache.set('a', 1, { tags: ['t'] });
  await cache.set('b', 2);
  await cache.get('a');
  await cache.invalidateTag('t');
  expect([await cache.get('a'), await cache.get('b')]).toEqual([undefined, 2]);
  await cache.clear();
  expect(await cache.get('b')).toBeUndefined();
});

test('what another program sets while a writer runs is deleted, not written over', async () => {
  const cache = start();
  cache.redis.set('k', 'of another program');
  const written = cache.write('k', async () => {
    cache.redis.set('k', 'set meanwhile');
    return 'written';
  });
  await cache.advance(1);
  expect(await written).toBe('written');
  expect(cache.redis.peek('k')).toBeUndefined();
});

test('writers run one after the other, in whatever cache', async () => {
  const one = start();
  const two = start({ redis: one.redis });
  const order: string[] = [];
  let end = (): void => {};
  const first = one.write('k', () => {
    order.push('first');
    return new Promise<string>((resolve) => {
      end = () => resolve('one');
    });
  });
  await one.advance(1);
  const second = two.write('k', () => {
    order.push('second');
    return 'two';
  });
  await expect(
    Promise.all([two.write('k', never, { wait: 10 }), two.advance(20)]),
  ).rejects.toBeInstanceOf(AcquireTimeoutError);
  expect(order).toEqual(['first']);
  end();
  expect(await first).toBe('one');
  await two.advance('1s');
  expect(await second).toBe('two');
  expect(await one.get('k', never)).toBe('two');
});

test('many at once: families, warming, touching, deleting', async () => {
  const cache = start();
  const users = cache.define({ name: 'user', load: (id: number) => `user ${id}` });
  expect(await users.getMany([1, 2])).toEqual(new Map([[1, 'user 1'], [2, 'user 2']])); // biome-ignore format: a pair
  const done = await cache.warm(['a', 'b'], async (keys) => new Map(keys.map((key) => [key, key])));
  expect(done).toMatchObject({ loaded: 2, skipped: 0 });
  expect(await cache.touchMany(['a', 'none'], '1h')).toEqual(new Set(['a']));
  await cache.advance('30m');
  expect(await cache.getMany(['a', 'b'])).toEqual(new Map([['a', 'a']]));
  await cache.deleteMany(['a', 'b']);
  expect(await cache.getMany(['a', 'b'])).toEqual(new Map());
});

test('without Redis loaders are called, and writes say that nobody knows', async () => {
  const cache = start({ redis: 'away' });
  expect(cache.redis.state).toBe('away');
  const [value] = await Promise.all([cache.get('k', () => 'v'), cache.advance('1s')]);
  expect(value).toBe('v');
  await expect(cache.delete('k')).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
  expect(cache.stats()).toMatchObject({ uncertainKeys: 1 });
  cache.redis.become('up');
  await cache.advance('1s');
  expect(cache.stats()).toMatchObject({ uncertainKeys: 0 });
  expect(await cache.get('k', () => 'w')).toBe('w');
  expect(await cache.get('k', never)).toBe('w');
});

test('a Redis that hangs costs each call its time, and is heard when it goes on', async () => {
  const cache = start({ onUnavailable: 'throw' });
  await cache.set('k', 'v');
  cache.redis.become('hung');
  const reading = cache.get('k', never);
  await Promise.all([
    expect(reading).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' }),
    cache.advance('1s'),
  ]);
  const setting = cache.setMany([
    ['k', 'w'],
    ['l', 'w'],
  ]);
  await Promise.all([expect(setting).rejects.toBeInstanceOf(BatchError), cache.advance('1s')]);
  cache.redis.become('up');
  await cache.advance('1s');
  expect(cache.stats()).toMatchObject({ uncertainKeys: 0, unknownOutcomes: 2 });
});

test('a connection that is lost and comes back has forgotten what it read', async () => {
  const cache = start();
  await cache.get('k', () => 'v');
  cache.redis.become('away');
  cache.redis.set('k', 'rubbish');
  cache.redis.become('up');
  await cache.advance(1);
  expect(await cache.get('k', () => 'w')).toBe('w');
});

test('a Redis that loses everything', async () => {
  const cache = start();
  await cache.get('k', () => 'v');
  cache.redis.flush();
  await cache.advance(1);
  expect(await cache.get('k', () => 'w')).toBe('w');
});

test('works while timers are those of a test', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] });
  const cache = start();
  expect(await cache.get('k', () => 'v')).toBe('v');
  await cache.advance('1m');
  expect(await cache.get('k', never)).toBe('v');
});

test.for(['up', 'away', 'hung'] as const)(
  'closed while Redis is %s, with all under way',
  async (state) => {
    const cache = start();
    const stuck = (): Promise<never> => new Promise(() => {});
    const calls = [
      cache.get('loading', stuck),
      cache.getMany(['a', 'b'], stuck),
      cache.write('writing', stuck),
    ];
    await cache.advance(1);
    cache.redis.become(state);
    calls.push(cache.get('later', stuck));
    const outcomes = Promise.allSettled(calls);
    await cache.close();
    for (const outcome of await outcomes) expect(outcome.status).toBe('rejected');
    await cache.close();
  },
);

test('refuses what no cache takes', () => {
  const config = expect.objectContaining({ code: 'REDCACHE_CONFIG' });
  expect(() => createTestCache({ redis: 'gone' as never })).toThrow(config);
  expect(() => createTestCache({ redis: {} as never })).toThrow(config);
  expect(() => createTestCache({ ttl: -1 })).toThrow(config);
  expect(() => createTestCache({ client: {} } as never)).toThrow(config);
  expect(() => createTestCache({ clock: {} } as never)).toThrow(config);
  expect(() => start().redis.become('gone' as never)).toThrow(config);
});

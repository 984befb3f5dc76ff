// What callers do to a cache who wish it ill, or know no better.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestCache, type TestCache } from '../src/testing/index.ts';

let cache: TestCache;
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

beforeEach(() => {
  cache = createTestCache();
});

afterEach(async () => {
  await cache.close();
  expect(cache.redis.clock.timers).toBe(0);
  expect(unhandled.splice(0)).toEqual([]);
});

const never = (): never => {
  throw new Error('the loader was called');
};

test('a value is what it was when it was set, though the epoch was not known yet', async () => {
  const value = { n: 1 };
  const bytes = createTestCache({ redis: cache.redis, namespace: 'b', codec: 'bytes' });
  const buffer = Buffer.from('old');
  const setting = Promise.all([
    cache.set('k', value),
    cache.setMany([['l', value]], { tags: ({ n }: { n: number }) => [`n${n}`] }),
    bytes.set('k', buffer),
  ]);
  value.n = 2;
  buffer.write('new');
  await setting;
  expect(await cache.getMany(['k', 'l'])).toEqual(new Map([['k', { n: 1 }], ['l', { n: 1 }]])); // biome-ignore format: pairs
  expect(String(await bytes.get('k'))).toBe('old');
  await cache.invalidateTag('n1');
  expect(await cache.get('l')).toBeUndefined();
  await bytes.close();
});

test.for(['\ud800', 'a\udc00b', 1, null, {}])('refuses the namespace %j', (namespace) => {
  expect(() => createTestCache({ namespace: namespace as never })).toThrow(
    expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
  );
});

test.for([
  ['the prototype of objects', '__proto__'],
  ['a constructor', 'constructor'],
  ['a method', 'hasOwnProperty'],
  ['a slot', '{slot}'],
  ['a command', 'a b\r\nDEL k'],
  ['a key of ours', 'redcache:epoch:mine'],
  ['the character 0', '\u0000'],
  ['100 pairs of surrogates', '💥'.repeat(100)],
  ['10 kB', 'k'.repeat(10_000)],
] as const)('a key, id, tag and family may be called what they like: %s', async ([, name]) => {
  const tags = [name, 'other'];
  const load = async (keys: string[]): Promise<Record<string, string>> =>
    Object.fromEntries(keys.map((key) => [key, `value of ${key}`]));
  expect(await cache.getMany([name, 'k'], load, { tags })).toEqual(
    new Map([[name, `value of ${name}`], ['k', 'value of k']]), // biome-ignore format: pairs
  );
  expect(await cache.get(name, never)).toBe(`value of ${name}`);
  await cache.invalidateTag(name);
  expect(await cache.get(name)).toBeUndefined();
  const family = cache.define({
    name: name
      .replaceAll(':', '')
      .slice(0, 20)
      .toWellFormed()
      .replace(/\ufffd$/, ''),
    load: async (id: string) => id.length,
  });
  expect(await family.get(name)).toBe(name.length);
  expect(await family.write(name, () => 5)).toBe(5);
  expect(await cache.writeMany([name], () => ({ [name]: 'w' }))).toEqual(new Map([[name, 'w']]));
  expect(Object.keys(cache.stats().families)).toEqual([family.name]);
  expect(cache.stats().families[family.name]).toMatchObject({ loads: 1, writes: 1 });
  await cache.deleteMany([name]);
  expect(cache.peek(name)).toEqual({ hit: false });
});

test('values with a property __proto__ stay what they are, and change nobody', async () => {
  const value = JSON.parse('{"__proto__":{"admin":true},"constructor":1}');
  for (const freeze of [true, 'clone', false] as const) {
    const one = createTestCache({ freeze });
    await one.set('k', value);
    const found = (await one.get('k')) as Record<string, unknown>;
    expect(Object.entries(found)).toEqual(Object.entries(value));
    expect(found.admin).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    await one.close();
  }
});

test('a loader that asks for its own key waits for itself until its time is over, and no longer', async () => {
  const hard = { timeout: { hard: '2s' } } as const;
  const asking = cache.get('k', () => cache.get('k', never, hard), hard);
  const outcome = asking.catch((error: unknown) => error);
  await cache.advance('3s');
  expect(await outcome).toMatchObject({ code: 'REDCACHE_LOAD_TIMEOUT' });
  expect(await cache.get('k', () => 'v')).toBe('v');
});

test('a loader may ask for other keys, and for its own anew, and change its own', async () => {
  const load = async (key: string): Promise<unknown> =>
    key === 'a' ? [await cache.get('b', load), await cache.get('c', load)] : key;
  expect(await cache.get('a', load)).toEqual(['b', 'c']);
  const replacing = cache.get('d', async () => {
    await cache.set('d', 'set by the loader');
    return 'loaded';
  });
  expect(await replacing).toBe('loaded');
  expect(await cache.get('d', never)).toBe('set by the loader');
  expect(cache.stats().lostLeases).toBe(1);
});

test('callers may abort, close and ask from within a loader', async () => {
  const leaving = new AbortController();
  const reading = cache.get(
    'k',
    () => {
      leaving.abort(new Error('left'));
      return 'v';
    },
    { signal: leaving.signal },
  );
  await expect(reading).rejects.toThrow('left');
  await cache.advance(1);
  let closing: Promise<void> | undefined;
  const closed = cache.get('l', () => {
    closing = cache.close();
    return cache.get('m', never);
  });
  await expect(closed).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  await closing;
});

test('very many keys at once', async () => {
  const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
  const load = async (asked: string[]): Promise<Map<string, number>> =>
    new Map(asked.map((key, i) => [key, i]));
  expect((await cache.getMany(keys, load)).size).toBe(3_000);
  expect((await cache.getMany([...keys, ...keys])).size).toBe(3_000);
  await cache.deleteMany(keys);
  expect((await cache.getMany(keys)).size).toBe(0);
  expect(cache.stats()).toMatchObject({ loads: 3_000, deletes: 3_000, unavailable: 0 });
}, 30_000);

test('two caches over one Redis, with codecs of their own under one key, misread nothing', async () => {
  const bytes = createTestCache({ redis: cache.redis, codec: 'bytes' });
  await cache.set('k', 'text');
  expect(await bytes.get('k', () => Buffer.from('bytes'))).toEqual(Buffer.from('bytes'));
  expect(await cache.get('k', () => 'text again')).toBe('text again');
  await bytes.close();
});

test('time that passes in a jump serves nothing that is over', async () => {
  const ttl = { ttl: '10s' } as const;
  await cache.get('k', () => 'old', ttl);
  // As for a process that was stopped: no timer has run meanwhile.
  cache.redis.clock.jump(11_000);
  expect(cache.peek('k')).toEqual({ hit: false });
  expect(await cache.get('k', () => 'new', ttl)).toBe('new');
});

test('a lease that ended while the process was stopped stores nothing', async () => {
  let answer = (_: string): void => {};
  const reading = cache.get(
    'k',
    () =>
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
    { lease: '1s' },
  );
  await cache.advance(1);
  cache.redis.clock.jump(5_000);
  answer('late');
  expect(await reading).toBe('late');
  await cache.advance(1);
  expect(await cache.get('k')).toBeUndefined();
});

test('without Redis no more loaders run at a time than may, whatever is asked for', async () => {
  const few = createTestCache({ redis: 'away', maxLoadsWithoutRedis: 3 });
  await few.advance('1s');
  let running = 0;
  let most = 0;
  const load = async (): Promise<string> => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return 'v';
  };
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  expect(new Set(await Promise.all(keys.map((key) => few.get(key, load))))).toEqual(new Set(['v']));
  expect(most).toBe(3);
  await few.close();
});

test('what a writer answers and nobody can store leaves nothing of before (W2)', async () => {
  await cache.set('k', 'old');
  await expect(cache.write('k', () => 1n)).rejects.toMatchObject({ code: 'REDCACHE_CODEC' });
  expect(await cache.get('k')).toBeUndefined();
});

test('the next writer has to wait until what the one before has sent was answered (W4)', async () => {
  const order: string[] = [];
  let end = (): void => {};
  const first = cache.write('k', () => {
    order.push('first');
    return new Promise<string>((resolve) => {
      end = () => resolve('one');
    });
  });
  await cache.advance(1);
  const second = cache.write('k', () => {
    order.push('second');
    return 'two';
  });
  await cache.advance(1);
  cache.redis.become('hung');
  end();
  const outcome = first.catch((error: unknown) => error);
  await cache.advance('1s');
  expect(await outcome).toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
  expect(order).toEqual(['first']);
  cache.redis.become('up');
  await cache.advance('1s');
  expect(await second).toBe('two');
  expect(await cache.get('k', never)).toBe('two');
});

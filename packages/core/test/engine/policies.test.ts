import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Entry } from '../../src/store/entry.ts';
import type { EvictionPolicy } from '../../src/store/policy.ts';
import type { EvictionCause } from '../../src/store/store.ts';
import { negative, present, setting } from './setting.ts';

afterEach(() => vi.restoreAllMocks());

describe('ttlJitter', () => {
  test.for([
    ['none, when chance says so', 0, 0.25, 1_000],
    ['as much as is allowed, when chance says so', 1, 0.25, 750],
    ['half of that', 0.5, 0.5, 750],
  ] as const)('takes off %s', async ([, chance, ttlJitter, livesMs]) => {
    vi.spyOn(Math, 'random').mockReturnValue(chance);
    using it = await setting({ ttl: 1_000, ttlJitter });
    await it.cached('k', 'value');
    it.clock.advance(livesMs - 1);
    expect(await it.read('k')).toBe('value');
    it.clock.advance(1);
    expect(it.cache.lookup('k')).toBeUndefined();
    void it.read('k');
    await it.answer('new');
  });

  test('copies that were read together do not end together, and none lives longer or much shorter', async () => {
    using it = await setting({ ttl: 1_000, negativeTtl: 500, ttlJitter: 0.2 });
    for (let i = 0; i < 200; i += 1) {
      it.cache.fill(it.cache.guard([`p${i}`]), `p${i}`, 1, present());
      it.cache.fill(it.cache.guard([`r${i}`]), `r${i}`, 1, present(800));
      it.cache.fill(it.cache.guard([`n${i}`]), `n${i}`, 1, negative());
    }
    const ends: Record<string, number[]> = { p: [], r: [], n: [] };
    for (const { key, deadlineAtMs } of it.cache.internals.store)
      ends[key.charAt(0)]?.push(deadlineAtMs - it.clock.nowMs());
    for (const [kind, longestMs] of [
      ['p', 1_000],
      ['r', 800],
      ['n', 500],
    ] as const) {
      expect(new Set(ends[kind]).size).toBeGreaterThan(100);
      expect(Math.max(...(ends[kind] ?? []))).toBeLessThanOrEqual(longestMs);
      expect(Math.min(...(ends[kind] ?? []))).toBeGreaterThanOrEqual(0.8 * longestMs);
    }
  });
});

describe('which copy makes room', () => {
  test('lru unless something else is said: the one that was not used', async () => {
    using it = await setting({ maxEntries: 2 });
    await it.cached('a', 1);
    await it.cached('b', 1);
    it.cache.lookupReply('a');
    await it.cached('c', 1);
    expect(it.cache.lookupReply('a')).toBeDefined();
    expect(it.cache.lookupReply('b')).toBeUndefined();
  });

  test('ttl: the one that ends first', async () => {
    using it = await setting({ maxEntries: 2, store: 'ttl' });
    await it.cached('a', 1, present(5_000));
    await it.cached('b', 1, present(1_000));
    it.cache.lookupReply('b');
    await it.cached('c', 1, present(3_000));
    expect(['a', 'b', 'c'].map((key) => it.cache.lookupReply(key) !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('lfu: bounded, and what is used again and again stays', async () => {
    using it = await setting({ maxEntries: 10, store: 'lfu' });
    await it.cached('hot', 1);
    for (let i = 0; i < 200; i += 1) {
      expect(it.cache.lookupReply('hot')).toBeDefined();
      await it.cached(`${i}`, 1);
    }
    expect(it.cache.stats().entries).toBe(10);
  });

  test("a policy of one's own is made once for each engine, and told of everything", async () => {
    let made = 0;
    const told: string[] = [];
    const members = new Set<Entry>();
    /** The newest leaves first. */
    const policy: EvictionPolicy<Entry> = {
      add: (entry) => {
        told.push(`add ${entry.key}`);
        members.add(entry);
      },
      touch: ({ key }) => void told.push(`touch ${key}`),
      remove: (entry) => {
        told.push(`remove ${entry.key}`);
        members.delete(entry);
      },
      victim: () => [...members].at(-1),
      clear: () => {
        told.push('clear');
        members.clear();
      },
    };
    const store = (): EvictionPolicy<Entry> => {
      made += 1;
      return policy;
    };
    using it = await setting({ maxEntries: 2, store });
    const fill = (key: string): boolean => it.cache.fill(it.cache.guard([key]), key, 1, present());
    for (const key of ['a', 'b', 'c']) fill(key);
    it.cache.lookup('a');
    it.cache.lookup('c');
    it.client.push('a');
    it.cache.clear();
    expect(told).toEqual(['add a', 'add b', 'add c', 'remove c', 'touch a', 'remove a', 'clear']);
    expect([made, members.size]).toEqual([1, 0]);
  });
});

describe('onEvicted', () => {
  test('is told why and how many', async () => {
    const told: [EvictionCause, number][] = [];
    using it = await setting({
      maxEntries: 2,
      onEvicted: (cause, count) => told.push([cause, count]),
    });
    for (const key of ['a', 'b', 'c']) await it.cached(key, 1);
    it.client.push('c');
    await it.cached('d', 1);
    it.client.flush();
    await it.cached('e', 1);
    it.client.connection('down');
    expect(told).toEqual([
      ['size', 1],
      ['invalidation', 1],
      ['flush', 2],
      ['disconnect', 1],
    ]);
    await it.client.connect();
  });

  test('that throws is reported, and the engine goes on', async () => {
    const error = new Error('mine');
    using it = await setting({
      maxEntries: 1,
      onEvicted: () => {
        throw error;
      },
    });
    const messages: unknown[] = [];
    const note = (message: unknown): void => void messages.push(message);
    subscribe('redcache:callback-error', note);
    await it.cached('a', 1);
    await it.cached('b', 2);
    it.client.push('b');
    unsubscribe('redcache:callback-error', note);
    expect(messages).toEqual([
      { callback: 'onEvicted', error },
      { callback: 'onEvicted', error },
    ]);
    expect(it.cache.stats()).toMatchObject({ entries: 0, evictions: { size: 1, invalidation: 1 } });
  });

  test('that looks into the engine finds it valid', async () => {
    const seen: unknown[] = [];
    using it = await setting({
      maxEntries: 1,
      onEvicted: (): void => void seen.push(it.cache.stats().entries, it.cache.lookupReply('a')),
    });
    await it.cached('a', 1);
    await it.cached('b', 2);
    expect(seen).toEqual([1, undefined]);
  });
});

describe('a key and what of it was read', () => {
  test('are kept apart, and fall together', async () => {
    using it = await setting();
    for (const rest of ['', 'GET', 'HGETALL'])
      it.cache.fill(it.cache.guard(['k']), 'k', `value of ${rest}`, present(), rest);
    expect(it.cache.lookup('k')?.value).toBe('value of ');
    expect(it.cache.lookup('k', 'GET')?.value).toBe('value of GET');
    expect(it.cache.lookup('k', 'HGETALL')?.value).toBe('value of HGETALL');
    expect(it.cache.lookup('k', 'TYPE')).toBeUndefined();
    it.client.push('k');
    expect(it.cache.stats()).toMatchObject({ entries: 0, evictions: { invalidation: 3 } });
  });

  test('with `rest` a read is found by its key, and joined by its signature', async () => {
    using it = await setting();
    let fetched = 0;
    const read = (rest: string): Promise<unknown> =>
      it.cache.read(
        ['k'],
        `${rest} k`,
        async () => {
          fetched += 1;
          return { value: rest, cache: present() };
        },
        { rest },
      );
    expect(await Promise.all([read('GET'), read('GET'), read('TYPE')])).toEqual([
      'GET',
      'GET',
      'TYPE',
    ]);
    expect(fetched).toBe(2);
    expect(it.cache.lookup('k', 'GET')?.value).toBe('GET');
    expect(it.cache.lookupReply('GET k')).toBeUndefined();
    expect([await read('TYPE'), fetched]).toEqual(['TYPE', 2]);
  });
});

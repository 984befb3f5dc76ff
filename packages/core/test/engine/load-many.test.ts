import { describe, expect, test } from 'vitest';
import type { Fetched } from '../../src/flight/fetched.ts';
import { settled } from '../../src/testing/index.ts';
import { negative, present, setting } from './setting.ts';

/** An engine whose fetches of several keys wait for the test to answer them. */
async function many() {
  const it = await setting();
  const fetches: {
    readonly positions: readonly number[];
    resolve(fetched: readonly Fetched<unknown>[]): void;
    reject(error: unknown): void;
  }[] = [];
  const load = (...keys: readonly string[]): Promise<unknown>[] =>
    it.cache.loadMany(
      keys.map((key) => ({ key, signature: `GET ${key}`, rest: 'GET' })),
      (positions) => new Promise((resolve, reject) => fetches.push({ positions, resolve, reject })),
    );
  const has = (key: string): unknown => it.cache.lookup(key, 'GET')?.value;
  return { ...it, fetches, load, has };
}

const kept = (value: unknown): Fetched<unknown> => ({ value, cache: present() });

describe('several keys at once', () => {
  test('are fetched together, and each is here by itself afterwards', async () => {
    using it = await many();
    const loaded = it.load('a', 'b');
    expect(it.fetches.map(({ positions }) => positions)).toEqual([[0, 1]]);
    it.fetches[0]?.resolve([kept(1), { value: null, cache: negative() }]);
    expect(await Promise.all(loaded)).toEqual([1, null]);
    expect([it.has('a'), it.has('b')]).toEqual([1, null]);
    expect(it.cache.stats()).toMatchObject({ loads: 1, fills: 2, entries: 2 });
    it.client.push('a');
    expect([it.has('a'), it.has('b')]).toEqual([undefined, null]);
  });

  test('that are all being fetched are joined, and nothing is fetched', async () => {
    using it = await many();
    const first = it.load('a', 'b');
    const second = it.load('b', 'a');
    expect(it.fetches).toHaveLength(1);
    it.fetches[0]?.resolve([kept(1), kept(2)]);
    expect(await Promise.all([...first, ...second])).toEqual([1, 2, 2, 1]);
    expect(it.cache.stats()).toMatchObject({ loads: 1, coalesced: 2 });
  });

  test('of which some are being fetched: only the others are', async () => {
    using it = await many();
    const first = it.load('b');
    const second = it.load('a', 'b', 'c');
    expect(it.fetches.map(({ positions }) => positions)).toEqual([[0], [0, 2]]);
    it.fetches[1]?.resolve([kept('a'), kept('c')]);
    it.fetches[0]?.resolve([kept('b')]);
    expect(await Promise.all([...first, ...second])).toEqual(['b', 'a', 'b', 'c']);
  });

  test('a single read joins one of them, and they join a single read', async () => {
    using it = await many();
    const single = (key: string): Promise<unknown> =>
      it.cache.read([key], `GET ${key}`, async () => kept('single'), { rest: 'GET' });
    const loaded = it.load('a');
    const joined = single('a');
    it.fetches[0]?.resolve([kept('many')]);
    expect(await Promise.all([...loaded, joined])).toEqual(['many', 'many']);
    const reading = single('b');
    const [joining] = it.load('b');
    expect(it.fetches).toHaveLength(1);
    expect(await Promise.all([reading, joining])).toEqual(['single', 'single']);
  });

  test('one of them named twice is fetched once', async () => {
    using it = await many();
    const loaded = it.load('a', 'b', 'a');
    expect(it.fetches[0]?.positions).toEqual([0, 1]);
    it.fetches[0]?.resolve([kept(1), kept(2)]);
    expect(await Promise.all(loaded)).toEqual([1, 2, 1]);
  });

  test('none of them: nothing is fetched', async () => {
    using it = await many();
    expect(it.load()).toEqual([]);
    expect(it.fetches).toEqual([]);
  });
});

describe('one of them is invalidated meanwhile', () => {
  test('it is handed out, not kept and not joined; the others are kept', async () => {
    using it = await many();
    const loaded = it.load('a', 'b', 'c');
    it.client.push('b');
    const later = it.load('a', 'b', 'c');
    expect(it.fetches[1]?.positions).toEqual([1]);
    it.fetches[0]?.resolve([kept(1), kept('old'), kept(3)]);
    expect(await Promise.all(loaded)).toEqual([1, 'old', 3]);
    expect([it.has('a'), it.has('b'), it.has('c')]).toEqual([1, undefined, 3]);
    it.fetches[1]?.resolve([kept('new')]);
    expect(await Promise.all(later)).toEqual([1, 'new', 3]);
    expect(it.has('b')).toBe('new');
  });

  test('all of them by a flush: none is kept', async () => {
    using it = await many();
    const loaded = it.load('a', 'b');
    it.client.flush();
    it.fetches[0]?.resolve([kept(1), kept(2)]);
    expect(await Promise.all(loaded)).toEqual([1, 2]);
    expect(it.cache.stats()).toMatchObject({ entries: 0, refusedFills: 2 });
  });
});

describe('failures', () => {
  test('reach all who ask, also for one of them, and the next ones ask again', async () => {
    using it = await many();
    const all = [...it.load('a', 'b'), ...it.load('b')];
    const error = new Error('LOADING');
    it.fetches[0]?.reject(error);
    expect(await Promise.allSettled(all)).toEqual(
      Array(3).fill({ status: 'rejected', reason: error }),
    );
    expect(it.cache.stats()).toMatchObject({ loads: 1, failedLoads: 1, entries: 0 });
    const again = it.load('a');
    it.fetches[1]?.resolve([kept(1)]);
    expect(await again[0]).toBe(1);
  });

  test('that nobody waits for are no unhandled rejections', async () => {
    using it = await many();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    it.load('a', 'b');
    it.fetches[0]?.reject(new Error('nobody waits'));
    await settled();
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('a fetch that throws at once fails as one that rejects', async () => {
    using it = await many();
    const error = new Error('no');
    const [loading] = it.cache.loadMany([{ key: 'a', signature: 'a', rest: 'GET' }], () => {
      throw error;
    });
    await expect(loading).rejects.toBe(error);
  });

  test('fewer answers than were asked for fail, and leave nothing open', async () => {
    using it = await many();
    const loaded = it.load('a', 'b');
    it.fetches[0]?.resolve([kept(1)]);
    expect((await Promise.allSettled(loaded)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
    ]);
  });
});

test('one that is uncacheable is handed out and not kept', async () => {
  using it = await many();
  const loaded = it.load('a', 'b');
  it.fetches[0]?.resolve([{ value: 1, cache: 'uncacheable' }, kept(2)]);
  expect(await Promise.all(loaded)).toEqual([1, 2]);
  expect([it.has('a'), it.has('b')]).toEqual([undefined, 2]);
  expect(it.cache.stats()).toMatchObject({ fills: 1, refusedFills: 0 });
});

test('while a key is fenced, or the connection is down, every call asks for itself', async () => {
  using it = await many();
  const fence = it.cache.fence(['a']);
  const all = [...it.load('a', 'b'), ...it.load('a', 'b')];
  expect(it.fetches.map(({ positions }) => positions)).toEqual([[0, 1], [0]]);
  it.fetches[0]?.resolve([kept(1), kept(2)]);
  it.fetches[1]?.resolve([kept(3)]);
  expect(await Promise.all(all)).toEqual([1, 2, 3, 2]);
  fence.settle();
  expect([it.has('a'), it.has('b')]).toEqual([undefined, 2]);
  it.client.connection('down');
  const down = [...it.load('b'), ...it.load('b')];
  expect(it.fetches).toHaveLength(4);
  for (const { resolve } of it.fetches.slice(2)) resolve([kept(4)]);
  expect(await Promise.all(down)).toEqual([4, 4]);
  expect(it.has('b')).toBeUndefined();
});

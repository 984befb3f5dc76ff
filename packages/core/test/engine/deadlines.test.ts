import { describe, expect, test } from 'vitest';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { negative, present, setting } from './setting.ts';

const ttls = { ttl: 1_000, negativeTtl: 100 } as const;

describe('I3: a local copy lives no longer than', () => {
  test.for([
    ['the ttl of the cache, when the key never expires', present('none'), 1_000],
    ['the ttl of the cache, when the key lives longer', present(5_000), 1_000],
    ['what its key has left', present(300), 300],
    ['a single millisecond, if that is all', present(1), 1],
    ['the negativeTtl, when there is no such key', negative('none'), 100],
    ['what is left, when that is less than the negativeTtl', negative(40), 40],
  ] as const)('%s', async ([, filling, livesMs]) => {
    using it = await setting(ttls);
    await it.cached('k', 'value', filling);
    it.clock.advance(livesMs - 1);
    expect(await it.read('k')).toBe('value');
    it.clock.advance(1);
    void it.read('k');
    expect(it.client.sent).toHaveLength(1);
    await it.answer('new');
    expect(it.cache.stats()).toMatchObject({ evictions: { ttl: 1 }, hits: 1 });
  });

  test('counted from before the send, however long the reply took', async () => {
    using it = await setting(ttls);
    const reading = it.read('k', present(300));
    it.clock.advance(200);
    await it.answer('value');
    await reading;
    it.clock.advance(99);
    expect(await it.read('k')).toBe('value');
    it.clock.advance(1);
    void it.read('k');
    expect(it.client.sent).toHaveLength(1);
    await it.answer('new');
  });

  test('nothing, when its time was over before the reply came', async () => {
    using it = await setting(ttls);
    const reading = it.read('k', present(300));
    it.clock.advance(300);
    await it.answer('value');
    expect(await reading).toBe('value');
    expect(it.cache.stats()).toMatchObject({ entries: 0, refusedFills: 1 });
  });

  test.for([0, -1, -2, Number.NaN, Number.NEGATIVE_INFINITY])(
    'nothing, when %d is left',
    async (remaining) => {
      using it = await setting(ttls);
      await it.cached('k', 'value', present(remaining));
      expect(it.cache.stats().entries).toBe(0);
    },
  );
});

test('R16: a process that was stopped serves nothing that is past its time, though no timer ran', async () => {
  using it = await setting(ttls);
  await it.cached('k', 'value', present(300));
  it.cache.fill(it.cache.guard(['k']), 'k', 'value', present(300));
  expect(it.clock.timers).toBe(0);
  it.clock.jump(299);
  expect(it.cache.lookup('k')?.value).toBe('value');
  it.clock.jump(1);
  expect(it.cache.lookup('k')).toBeUndefined();
  void it.read('k');
  expect(it.client.sent).toHaveLength(1);
  await it.answer('new');
});

test('a hit does not prolong the life of a copy', async () => {
  using it = await setting(ttls);
  await it.cached('k', 'value', present(300));
  for (let i = 0; i < 29; i += 1) {
    it.clock.advance(10);
    expect(await it.read('k')).toBe('value');
  }
  it.clock.advance(10);
  void it.read('k');
  expect(it.client.sent).toHaveLength(1);
  await it.answer('new');
});

test('a newer copy has its own time', async () => {
  using it = await setting(ttls);
  const fill = (remaining: number): boolean =>
    it.cache.fill(it.cache.guard(['k']), 'k', remaining, present(remaining));
  fill(300);
  fill(10);
  it.clock.advance(10);
  expect(it.cache.lookup('k')).toBeUndefined();
  fill(10);
  fill(300);
  it.clock.advance(10);
  expect(it.cache.lookup('k')?.value).toBe(300);
});

test('I12: bounds are kept however much is read, and what was read last is here', async () => {
  using it = await setting({ maxEntries: 10, maxBytes: 800 });
  for (let i = 0; i < 1_000; i += 1) {
    await it.cached(`key ${i}`, i);
    expect(it.cache.stats().entries).toBeLessThanOrEqual(10);
    expect(it.cache.stats().bytes).toBeLessThanOrEqual(800);
  }
  expect(await it.read('key 999')).toBe(999);
  expect(it.cache.internals.store.indexedKeys).toBe(it.cache.stats().entries);
});

test('a copy too large to keep is handed out and reported as refused by nobody', async () => {
  using it = await setting({ maxBytes: 500 });
  await it.cached('k', 'large', { ...present(), valueBytes: 500 });
  expect(it.cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
});

test('an engine takes durations, and its own clock if it is given none', () => {
  expect(() => createTrackingCache({ ttl: '5m', negativeTtl: '1s' })).not.toThrow();
  expect(createTrackingCache().clock.nowMs()).toBeTypeOf('number');
});

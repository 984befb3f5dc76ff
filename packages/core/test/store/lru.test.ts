import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/store/entry.ts';
import { type EvictionCause, LruStore } from '../../src/store/lru.ts';

function setting(bounds: { maxEntries?: number; maxBytes?: number } = {}) {
  const evicted: EvictionCause[] = [];
  const store = new LruStore({ maxEntries: 10, maxBytes: 100_000, ...bounds }, (cause) =>
    evicted.push(cause),
  );
  return { store, evicted };
}

const entryOf = (keys: readonly string[], echoes = 0): Entry => ({
  kind: 'present',
  value: {},
  deadlineAtMs: Number.POSITIVE_INFINITY,
  keys,
  echoes,
});

describe('bounds', () => {
  test('by entries: the least recently used leaves', () => {
    const { store, evicted } = setting({ maxEntries: 2 });
    store.set('a', entryOf(['a']), 1);
    store.set('b', entryOf(['b']), 1);
    store.get('a');
    store.set('c', entryOf(['c']), 1);
    expect([...store].map(([id]) => id).sort()).toEqual(['a', 'c']);
    expect(evicted).toEqual(['size']);
  });

  test('by bytes: key, value and 100 more for each entry', () => {
    const { store } = setting({ maxBytes: 3 * (1 + 9 + 100) });
    for (const id of ['a', 'b', 'c']) store.set(id, entryOf([id]), 9);
    expect(store).toMatchObject({ entries: 3, bytes: 330 });
    store.set('d', entryOf(['d']), 10);
    expect(store).toMatchObject({ entries: 2, bytes: 221 });
  });

  test('an entry larger than all there is room for is not kept, nor is what it replaces', () => {
    const { store } = setting({ maxBytes: 500 });
    store.set('other', entryOf(['other']), 1);
    store.set('s', entryOf(['k']), 1);
    store.set('s', entryOf(['k', 'l']), 400);
    expect([...store].map(([id]) => id)).toEqual(['other']);
    expect(store.indexedKeys).toBe(0);
  });

  test('an overwritten entry is no eviction', () => {
    const { store, evicted } = setting();
    store.set('a', entryOf(['a']), 1);
    store.set('a', entryOf(['a']), 1);
    expect(evicted).toEqual([]);
    expect(store.entries).toBe(1);
  });
});

describe('what a key reaches', () => {
  test('the entry filed under it and every reply that depends on it', () => {
    const { store, evicted } = setting();
    store.set('k', entryOf(['k']), 1);
    store.set('reply 1', entryOf(['k', 'l']), 1);
    store.set('reply 2', entryOf(['k']), 1);
    store.set('reply 3', entryOf(['l']), 1);
    expect(store.dependentsOf('k')).toEqual(['reply 1', 'reply 2']);
    expect(store.invalidate('k', 'invalidation')).toBe(3);
    expect([...store].map(([id]) => id)).toEqual(['reply 3']);
    expect(store.dependentsOf('l')).toEqual(['reply 3']);
    expect(evicted).toEqual(['invalidation', 'invalidation', 'invalidation']);
  });

  test('nothing that merely has the key for its id', () => {
    const { store } = setting();
    store.set('k', entryOf(['other']), 1);
    expect(store.invalidate('k', 'invalidation')).toBe(0);
    expect(store.entries).toBe(1);
    expect(store.invalidate('other', 'invalidation')).toBe(1);
  });

  test('a reply that names the key twice, once', () => {
    const { store } = setting();
    store.set('reply', entryOf(['k', 'k']), 1);
    expect(store.dependentsOf('k')).toEqual(['reply']);
    expect(store.invalidate('k', 'invalidation')).toBe(1);
    expect(store.indexedKeys).toBe(0);
  });

  test('I12: keys are forgotten when what depends on them is evicted, replaced, deleted or cleared', () => {
    const { store } = setting({ maxEntries: 2 });
    for (let i = 0; i < 100; i += 1) store.set(`reply ${i}`, entryOf([`key ${i}`, 'shared']), 1);
    expect(store.indexedKeys).toBe(3);
    store.set('reply 99', entryOf(['elsewhere']), 1);
    expect(store.indexedKeys).toBe(3);
    expect(store.dependentsOf('key 99')).toEqual([]);
    store.delete('reply 99', 'ttl');
    expect(store.indexedKeys).toBe(2);
    expect(store.clear()).toBe(1);
    expect(store).toMatchObject({ indexedKeys: 0, entries: 0, bytes: 0 });
  });
});

describe('echoes', () => {
  test('a push spends one, the next drops the entry', () => {
    const { store } = setting();
    store.set('k', entryOf(['k'], 1), 1);
    expect(store.invalidate('k', 'invalidation')).toBe(0);
    expect(store.get('k')).toBeDefined();
    expect(store.invalidate('k', 'invalidation')).toBe(1);
    expect(store.get('k')).toBeUndefined();
  });

  test('an own write drops it at once, echoes or not', () => {
    const { store } = setting();
    store.set('k', entryOf(['k'], 1), 1);
    expect(store.invalidate('k', 'own-write')).toBe(1);
    expect(store.entries).toBe(0);
  });

  test('an echo for one entry is none for a reply that depends on the same key', () => {
    const { store } = setting();
    store.set('k', entryOf(['k'], 1), 1);
    store.set('reply', entryOf(['k']), 1);
    expect(store.invalidate('k', 'invalidation')).toBe(1);
    expect([...store].map(([id]) => id)).toEqual(['k']);
  });
});

test('each cause is counted as what it is', () => {
  const { store, evicted } = setting({ maxEntries: 1 });
  store.set('a', entryOf(['a']), 1);
  store.set('b', entryOf(['b']), 1);
  store.invalidate('b', 'own-write');
  store.set('c', entryOf(['c']), 1);
  store.delete('c', 'ttl');
  store.set('d', entryOf(['d']), 1);
  store.clear();
  store.set('e', entryOf(['e']), 1);
  store.set('f', entryOf(['f']), 1);
  expect(evicted).toEqual(['size', 'own-write', 'ttl', 'flush', 'size']);
});

test('against a Map: whatever is done, a key reaches exactly the entries that name it', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({
      is: fc.constant('set' as const),
      id: fc.oneof(name, fc.constantFrom('r1', 'r2')),
      keys: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ is: fc.constant('invalidate' as const), id: name }),
    fc.record({ is: fc.constant('delete' as const), id: name }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { store } = setting({ maxEntries: 100 });
      const truth = new Map<string, readonly string[]>();
      for (const each of steps) {
        if (each.is === 'set') {
          store.set(each.id, entryOf(each.keys), 1);
          truth.set(each.id, each.keys);
        } else if (each.is === 'delete') {
          store.delete(each.id, 'ttl');
          truth.delete(each.id);
        } else {
          const reached = [...truth].filter(([, keys]) => keys.includes(each.id));
          expect(store.invalidate(each.id, 'invalidation')).toBe(reached.length);
          for (const [id] of reached) truth.delete(id);
        }
        expect(new Map([...store].map(([id, entry]) => [id, entry.keys]))).toEqual(truth);
        const indexed = [...truth].flatMap(([id, keys]) => keys.filter((key) => key !== id));
        expect(store.indexedKeys).toBe(new Set(indexed).size);
      }
    }),
  );
});

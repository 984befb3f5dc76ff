import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/store/entry.ts';
import type { Source } from '../../src/store/source.ts';
import { Store } from '../../src/store/store.ts';
import { aSource, aStore, nameOf, names, replyOf, valueIn } from './a-store.ts';

function add(store: Store, ...entries: readonly Entry[]): void {
  for (const entry of entries) store.add(entry);
}

describe('what was filed is found', () => {
  test('under its key and what of the key it is', () => {
    const { store } = aStore();
    const [value, get, hash] = [
      valueIn('k'),
      valueIn('k', { rest: 'GET' }),
      valueIn('k', { rest: 'HGETALL' }),
    ];
    add(store, value, get, hash);
    expect(store.find('k', '')).toBe(value);
    expect(store.find('k', 'GET')).toBe(get);
    expect(store.find('k', 'HGETALL')).toBe(hash);
    expect([store.find('k', 'TYPE'), store.find('l', '')]).toEqual([undefined, undefined]);
    expect(store.entries).toBe(3);
  });

  test('a key of which only one thing was read answers for nothing else', () => {
    const { store } = aStore();
    add(store, valueIn('k', { rest: 'GET' }));
    expect([store.find('k', ''), store.find('k', 'HGETALL')]).toEqual([undefined, undefined]);
  });

  test('a reply of several keys by its signature, which is no key', () => {
    const { store } = aStore();
    const [value, reply] = [valueIn('k'), replyOf('k', ['a', 'b'])];
    add(store, value, reply);
    expect(store.find('k', '')).toBe(value);
    expect(store.findReply('k')).toBe(reply);
    expect(store.findReply('a')).toBeUndefined();
  });

  test('until the last but one of its key has left, and after that', () => {
    const { store } = aStore();
    const entries = ['', 'GET', 'HGETALL'].map((rest) => valueIn('k', { rest }));
    add(store, ...entries);
    for (const [i, entry] of entries.entries()) {
      store.delete(entry, 'ttl');
      expect(store.find('k', entry.rest)).toBeUndefined();
      for (const left of entries.slice(i + 1)) expect(store.find('k', left.rest)).toBe(left);
    }
    expect([...store]).toEqual([]);
  });
});

describe('bounds', () => {
  test('by entries: the least recently used leaves', () => {
    const { store, evicted } = aStore({ maxEntries: 2 });
    const a = valueIn('a');
    add(store, a, valueIn('b'));
    store.used(a);
    add(store, valueIn('c'));
    expect(names(store)).toEqual(['a', 'c']);
    expect(evicted).toEqual([['size', 1]]);
  });

  test('several entries of one key count as several', () => {
    const { store, evicted } = aStore({ maxEntries: 2 });
    add(store, ...['1', '2', '3'].map((rest) => valueIn('k', { rest })));
    expect(names(store)).toEqual(['k 2', 'k 3']);
    expect(evicted).toEqual([['size', 1]]);
  });

  test('by bytes: as many leave as it takes', () => {
    const { store, evicted } = aStore({ maxBytes: 300 });
    add(store, ...['a', 'b', 'c'].map((key) => valueIn(key, { bytes: 100 })));
    expect(store).toMatchObject({ entries: 3, bytes: 300 });
    add(store, valueIn('d', { bytes: 101 }));
    expect(store).toMatchObject({ entries: 2, bytes: 201 });
    expect(names(store)).toEqual(['c', 'd']);
    expect(evicted).toEqual([
      ['bytes', 1],
      ['bytes', 1],
    ]);
  });

  test('an entry that fills all there is room for is kept', () => {
    const { store } = aStore({ maxBytes: 300 });
    expect(store.add(valueIn('a', { bytes: 300 }))).toBe(true);
    expect(store.bytes).toBe(300);
  });

  test('a larger one is not kept, nor is what it replaces; others stay', () => {
    const { store, evicted } = aStore({ maxBytes: 300 });
    add(store, valueIn('other', { bytes: 100 }), replyOf('s', ['k'], { bytes: 100 }));
    expect(store.add(replyOf('s', ['k', 'l'], { bytes: 301 }))).toBe(false);
    expect(names(store)).toEqual(['other']);
    expect(store).toMatchObject({ bytes: 100, indexedKeys: 0 });
    expect(evicted).toEqual([]);
  });

  test('an overwritten entry is no eviction, and its bytes are given back', () => {
    const { store, evicted } = aStore();
    const newer = valueIn('a', { bytes: 30 });
    add(store, valueIn('a', { bytes: 50 }), newer);
    expect(store.find('a', '')).toBe(newer);
    expect(store).toMatchObject({ entries: 1, bytes: 30 });
    expect(evicted).toEqual([]);
  });

  test.for([
    ['lru', ['b', 'c']],
    ['ttl', ['a', 'c']],
  ] as const)('the policy says who leaves: %s', ([policy, left]) => {
    const { store } = aStore({ maxEntries: 2, policy });
    add(
      store,
      valueIn('a', { deadlineAtMs: 300 }),
      valueIn('b', { deadlineAtMs: 100 }),
      valueIn('c', { deadlineAtMs: 200 }),
    );
    expect(names(store)).toEqual(left);
  });

  test('a policy that names nobody is not asked for ever', () => {
    const nobody = { add() {}, touch() {}, remove() {}, victim: () => undefined, clear() {} };
    const store = new Store({ maxEntries: 1, maxBytes: 100 }, nobody, () => {});
    add(store, valueIn('a'), valueIn('b'));
    expect(store.entries).toBe(2);
  });
});

describe('what a key reaches', () => {
  test('all that was read of it, and every reply that depends on it', () => {
    const { store, evicted } = aStore();
    const both = replyOf('reply 1', ['k', 'l']);
    add(store, valueIn('k'), valueIn('k', { rest: 'GET' }), both, replyOf('reply 2', ['k']));
    add(store, replyOf('reply 3', ['l']), valueIn('l'));
    expect(store.dependentsOf('l')).toContain(both);
    expect(store.invalidate('k', 'invalidation')).toBe(4);
    expect(names(store)).toEqual(['l', 'reply 3']);
    expect(store.dependentsOf('l')).not.toContain(both);
    expect(evicted).toEqual(Array(4).fill(['invalidation', 1]));
  });

  test('nothing that merely has the key for its signature', () => {
    const { store } = aStore();
    add(store, replyOf('k', ['other']));
    expect(store.invalidate('k', 'invalidation')).toBe(0);
    expect(store.invalidate('other', 'invalidation')).toBe(1);
  });

  test('a reply that names the key twice, once', () => {
    const { store } = aStore();
    const reply = replyOf('reply', ['k', 'k']);
    add(store, reply);
    expect(store.dependentsOf('k')).toEqual([reply]);
    expect(store.invalidate('k', 'invalidation')).toBe(1);
    expect(store.indexedKeys).toBe(0);
  });

  test('I12: keys are forgotten when what depends on them is evicted, replaced, deleted or cleared', () => {
    const { store } = aStore({ maxEntries: 2 });
    for (let i = 0; i < 100; i += 1) store.add(replyOf(`reply ${i}`, [`key ${i}`, 'shared']));
    expect(store.indexedKeys).toBe(3);
    const elsewhere = replyOf('reply 99', ['elsewhere']);
    store.add(elsewhere);
    expect(store.indexedKeys).toBe(3);
    expect(store.dependentsOf('key 99')).toEqual([]);
    store.delete(elsewhere, 'ttl');
    expect(store.indexedKeys).toBe(2);
    expect(store.clear('flush')).toBe(1);
    expect(store).toMatchObject({ indexedKeys: 0, entries: 0, bytes: 0 });
  });
});

describe('echoes', () => {
  test('a push spends one, the next drops the entry', () => {
    const { store } = aStore();
    const entry = valueIn('k', { echoes: 1 });
    store.add(entry);
    expect(store.invalidate('k', 'invalidation', entry.source)).toBe(0);
    expect(store.find('k', '')).toBe(entry);
    expect(store.invalidate('k', 'invalidation', entry.source)).toBe(1);
    expect(store.find('k', '')).toBeUndefined();
  });

  test('a push that another connection heard, or nobody knows which, spends none', () => {
    for (const from of [aSource(), undefined]) {
      const { store } = aStore();
      store.add(valueIn('k', { echoes: 1 }));
      expect(store.invalidate('k', 'invalidation', from)).toBe(1);
      expect(store.find('k', '')).toBeUndefined();
    }
  });

  test('an own write drops it at once, echoes or not', () => {
    const { store, evicted } = aStore();
    store.add(valueIn('k', { echoes: 1 }));
    expect(store.invalidate('k', 'own-write')).toBe(1);
    expect(evicted).toEqual([['own-write', 1]]);
  });

  test('one for an entry is none for what else was read of the key', () => {
    const { store } = aStore();
    const source = aSource();
    add(store, valueIn('k', { echoes: 1, source }), valueIn('k', { rest: 'GET', source }));
    add(store, replyOf('r', ['k'], { source }));
    expect(store.invalidate('k', 'invalidation', source)).toBe(2);
    expect(names(store)).toEqual(['k']);
  });
});

describe('clear', () => {
  test('takes everything, of every connection, and says how many at once', () => {
    const { store, evicted } = aStore();
    const [one, other] = [aSource(), aSource()];
    add(store, valueIn('a', { source: one }), valueIn('a', { rest: 'GET', source: other }));
    add(store, replyOf('r', ['a', 'b'], { source: one }));
    expect(store.clear('flush')).toBe(3);
    expect([...store]).toEqual([]);
    expect([one.entries, other.entries]).toEqual([0, 0]);
    expect(store).toMatchObject({ entries: 0, bytes: 0, indexedKeys: 0 });
    expect(evicted).toEqual([['flush', 3]]);
  });

  test('of an empty store is no eviction', () => {
    const { store, evicted } = aStore();
    expect(store.clear('flush')).toBe(0);
    expect(evicted).toEqual([]);
  });

  test('leaves a store that is filled and bounded as before', () => {
    const { store, evicted } = aStore({ maxEntries: 2 });
    const source = aSource();
    add(store, valueIn('a', { source }), valueIn('b', { source }));
    store.clear('flush');
    add(store, ...['c', 'd', 'e'].map((key) => valueIn(key, { source })));
    expect(names(store)).toEqual(['d', 'e']);
    expect(source.entries).toBe(2);
    expect(evicted).toEqual([
      ['flush', 2],
      ['size', 1],
    ]);
  });
});

describe('suspects', () => {
  /** So many entries of a connection that is lost, and may come back. */
  function suspected(count: number, bounds: { maxEntries?: number; maxBytes?: number } = {}) {
    const { store, evicted } = aStore({ maxEntries: 1_000, ...bounds });
    const source = aSource();
    for (let i = 0; i < count; i += 1) store.add(valueIn(`s ${i}`, { source }));
    const dropped = store.suspect(source);
    return { store, evicted, source, dropped };
  }

  test('are counted as gone, not served, and still found', () => {
    const { store, evicted, source, dropped } = suspected(5);
    expect([dropped, store.entries, store.suspects, source.suspect]).toEqual([5, 0, 5, true]);
    expect(store.find('s 3', '')).toMatchObject({ key: 's 3' });
    expect(store.find('s 3', '')?.serves(0)).toBe(false);
    expect(store.find('s 3', '')?.isSuspect(0)).toBe(true);
    expect(evicted).toEqual([['disconnect', 5]]);
    expect([store.suspect(source), store.lose(source)]).toEqual([0, 0]);
  });

  test('visits none of them, nor does their end', () => {
    const { store } = aStore({ maxEntries: 20_000 });
    const source = aSource();
    for (let i = 0; i < 10_000; i += 1) {
      const entry = valueIn(`${i}`, { source });
      store.add(entry);
      // Whoever looked at any of them would stumble.
      Object.defineProperty(entry, 'source', {
        get: () => {
          throw new Error('visited');
        },
      });
    }
    expect(store.suspect(source)).toBe(10_000);
    store.dropSuspects(() => true);
    expect(store).toMatchObject({ entries: 0, suspects: 0, bytes: 0 });
    expect([...store]).toEqual([]);
  });

  test('stay while there is room, however many others are filed', () => {
    const { store } = suspected(100);
    for (let i = 0; i < 500; i += 1) store.add(valueIn(`new ${i}`));
    expect(store).toMatchObject({ entries: 500, suspects: 100 });
  });

  test.for([{ maxEntries: 100 }, { maxBytes: 100 }])(
    'leave before anything that is of use when there is none: %o',
    (bounds) => {
      const { store, evicted } = suspected(50, bounds);
      for (let i = 0; i < 100; i += 1) store.add(valueIn(`new ${i}`));
      expect(store).toMatchObject({ entries: 100, suspects: 0, bytes: 100 });
      expect(evicted).toEqual([['disconnect', 50]]);
    },
  );

  test('of one connection end, those of another stay; and the room of the first is given back', () => {
    const { store, source } = suspected(40);
    const other = aSource();
    store.add(valueIn('other', { source: other }));
    store.suspect(other);
    store.dropSuspects((each) => each === source);
    expect(store).toMatchObject({ entries: 0, suspects: 1 });
    expect(store.find('s 1', '')?.isSuspect(0)).toBe(false);
    for (let i = 0; i < 20; i += 1) store.add(valueIn(`new ${i % 2}`));
    expect(source.entries).toBe(0);
    expect([...store].map(nameOf).sort()).toEqual(['new 0', 'new 1', 'other']);
  });

  test('that are invalidated, deleted, replaced or cleared are no longer counted', () => {
    const { store, source } = suspected(6);
    store.invalidate('s 0', 'invalidation');
    store.delete(store.find('s 1', '') as Entry, 'ttl');
    store.add(valueIn('s 2'));
    expect([store.suspects, source.entries, store.entries]).toEqual([3, 3, 1]);
    store.clear('flush');
    expect([store.suspects, source.entries, source.suspect]).toEqual([0, 0, false]);
    store.add(valueIn('a'));
    store.dropSuspects(() => true);
    expect(store).toMatchObject({ entries: 1, suspects: 0 });
  });
});

describe('a connection that is lost', () => {
  /** One entry of a connection that stays, and so many of one that is lost. */
  function lost(count: number, maxEntries = 1_000) {
    const { store, evicted } = aStore({ maxEntries });
    const [stays, source] = [aSource(), aSource()];
    store.add(valueIn('stays', { source: stays }));
    const gone = Array.from({ length: count }, (_, i) => valueIn(`gone ${i}`, { source }));
    add(store, ...gone);
    const dropped = store.lose(source);
    return { store, evicted, stays, source, gone, dropped };
  }

  /** Files others until nothing of a lost connection is held; how many it took. */
  function refilled(store: Store, source: Source): number {
    let filed = 0;
    while (source.entries > 0 && filed < 10_000) {
      store.add(valueIn(`new ${filed % 3}`));
      filed += 1;
    }
    return filed;
  }

  test('takes its entries along at once: they are not served, and not counted any more', () => {
    const { store, evicted, gone, dropped, stays } = lost(100);
    expect(dropped).toBe(100);
    expect(store.entries).toBe(1);
    expect(gone.some((entry) => entry.serves(0))).toBe(false);
    expect(store.find('stays', '')?.serves(0)).toBe(true);
    expect(stays.entries).toBe(1);
    expect(evicted).toEqual([['disconnect', 100]]);
  });

  test('visits none of them: it takes the same for ten thousand', () => {
    const { store } = aStore({ maxEntries: 20_000 });
    const source = aSource();
    store.add(valueIn('stays'));
    for (let i = 0; i < 10_000; i += 1) {
      const entry = valueIn(`${i}`, { source });
      store.add(entry);
      // Whoever looked at any of them would stumble.
      Object.defineProperty(entry, 'source', {
        get: () => {
          throw new Error('visited');
        },
      });
    }
    expect(store.lose(source)).toBe(10_000);
    expect(store.entries).toBe(1);
  });

  test('that was the only one clears the store', () => {
    const { store, evicted } = aStore();
    const source = aSource();
    add(store, valueIn('a', { source }), replyOf('r', ['a', 'b'], { source }));
    expect(store.lose(source)).toBe(2);
    expect([...store]).toEqual([]);
    expect(store).toMatchObject({ entries: 0, bytes: 0, indexedKeys: 0 });
    expect(source).toMatchObject({ entries: 0, lost: true });
    expect(evicted).toEqual([['disconnect', 2]]);
  });

  test('twice, or without entries, takes nothing along', () => {
    const { store, evicted, source } = lost(3);
    expect([store.lose(source), store.lose(aSource())]).toEqual([0, 0]);
    expect(evicted).toEqual([['disconnect', 3]]);
    expect(store.entries).toBe(1);
  });

  test('gives back their room as others are filed, some with each', () => {
    const { store, source, evicted } = lost(100);
    const filed = refilled(store, source);
    expect(filed).toBeGreaterThan(5);
    expect(filed).toBeLessThan(30);
    expect(names(store)).toEqual(['new 0', 'new 1', 'new 2', 'stays']);
    expect(store).toMatchObject({ entries: 4, bytes: 4, indexedKeys: 0 });
    expect(evicted).toEqual([['disconnect', 100]]);
  });

  test('gives back the room of replies of several keys too', () => {
    const { store } = aStore({ maxEntries: 1_000 });
    const source = aSource();
    store.add(valueIn('stays'));
    for (let i = 0; i < 50; i += 1) store.add(replyOf(`r ${i}`, [`k ${i}`, 'l'], { source }));
    store.lose(source);
    refilled(store, source);
    expect(store.indexedKeys).toBe(0);
    expect([...store].some((entry) => entry.source === source)).toBe(false);
  });

  test('its entries make room as any other would, and are not counted twice', () => {
    const { store, evicted, source } = lost(9, 10);
    add(store, ...['a', 'b', 'c'].map((key) => valueIn(key)));
    expect(names(store)).toEqual(['a', 'b', 'c', 'stays']);
    expect(store.entries).toBe(4);
    refilled(store, source);
    expect(evicted).toEqual([['disconnect', 9]]);
  });

  test('a key that is read again is filed again, and served', () => {
    const { store, source } = lost(20);
    const reborn = valueIn('gone 3');
    store.add(reborn);
    expect(store.find('gone 3', '')).toBe(reborn);
    refilled(store, source);
    expect(store.find('gone 3', '')).toBe(reborn);
    expect(reborn.serves(0)).toBe(true);
  });

  test('a push of such a key, or its time, is no second eviction', () => {
    const { store, evicted, gone } = lost(20);
    expect(store.invalidate('gone 3', 'invalidation')).toBe(0);
    store.delete(gone[4] as Entry, 'ttl');
    expect(evicted).toEqual([['disconnect', 20]]);
    expect(store.entries).toBe(1);
    expect([...store]).toHaveLength(19);
  });

  test('a clear while they are still there counts those that were of use', () => {
    const { store, evicted, source } = lost(20);
    expect(store.clear('flush')).toBe(1);
    expect(source.entries).toBe(0);
    expect(evicted).toEqual([
      ['disconnect', 20],
      ['flush', 1],
    ]);
    add(store, valueIn('a'), valueIn('b'));
    expect(store).toMatchObject({ entries: 2, bytes: 2 });
  });

  test('several entries of one key: one that left while the others are reclaimed is not reclaimed again', () => {
    // Wherever the reclaiming pauses between two entries of one key.
    for (let before = 0; before < 20; before += 1) {
      const { store } = aStore({ maxEntries: 1_000 });
      const source = aSource();
      store.add(valueIn('stays'));
      for (let i = 0; i < before; i += 1) store.add(valueIn(`gone ${i}`, { source }));
      add(store, valueIn('k', { rest: '1', source }), valueIn('k', { rest: '2', source }));
      store.lose(source);
      store.add(valueIn('new'));
      store.invalidate('k', 'invalidation');
      refilled(store, source);
      store.add(valueIn('newer'));
      expect(source.entries).toBe(0);
      expect(store.entries).toBe([...store].length);
      expect(store.bytes).toBe([...store].length);
    }
  });

  test('a second one lost while the first is reclaimed: both are', () => {
    const { store, evicted } = aStore({ maxEntries: 1_000 });
    const [a, b] = [aSource(), aSource()];
    store.add(valueIn('stays'));
    for (let i = 0; i < 30; i += 1) {
      store.add(valueIn(`k ${i}`, { rest: 'a', source: a }));
      store.add(valueIn(`k ${i}`, { rest: 'b', source: b }));
    }
    store.lose(a);
    add(store, valueIn('x'), valueIn('y'));
    store.lose(b);
    refilled(store, a);
    refilled(store, b);
    expect([...store].filter(({ source }) => source.lost)).toEqual([]);
    expect(store.entries).toBe([...store].length);
    expect(evicted).toEqual([
      ['disconnect', 30],
      ['disconnect', 30],
    ]);
  });
});

test('each cause is counted as what it is', () => {
  const { store, evicted } = aStore({ maxEntries: 1 });
  add(store, valueIn('a'), valueIn('b'));
  store.invalidate('b', 'own-write');
  const c = valueIn('c');
  store.add(c);
  store.delete(c, 'ttl');
  store.add(valueIn('d'));
  store.clear('flush');
  add(store, valueIn('e'), valueIn('f'));
  expect(evicted.map(([cause]) => cause)).toEqual(['size', 'own-write', 'ttl', 'flush', 'size']);
});

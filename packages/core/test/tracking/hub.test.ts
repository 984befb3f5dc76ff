import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import { Guard, Guards } from '../../src/store/guard.ts';
import type { Source } from '../../src/store/source.ts';
import { Hub, type WakeCause } from '../../src/tracking/hub.ts';
import { aSource, aStore, names, valueIn } from '../store/a-store.ts';

function setting() {
  const { store, evicted } = aStore();
  const guards = new Guards();
  const hub = new Hub(store, guards);
  const put = (key: string, source = aSource()): void => void store.add(valueIn(key, { source }));
  return { store, evicted, guards, hub, put };
}

const guardOf = (key: string, source: Source = aSource()): Guard =>
  new Guard({
    keys: [key],
    openedAtMs: 0,
    line: { source, echoesWrites: true, rules: { maxStalenessMs: 1_000 }, heard: () => {} },
    severed: false,
    listener: undefined,
  });

/** What is reported on a channel while `run` runs. */
function reported(channel: string, run: () => void): unknown[] {
  const messages: unknown[] = [];
  const note = (message: unknown): void => void messages.push(message);
  subscribe(channel, note);
  try {
    run();
  } finally {
    unsubscribe(channel, note);
  }
  return messages;
}

describe('I5: the store goes first', () => {
  test('a listener of the key finds neither the entry nor an intact guard', () => {
    const { store, guards, hub, put } = setting();
    put('k');
    const guard = guardOf('k');
    guards.open(guard);
    const seen: unknown[] = [];
    hub.listen('k', () => seen.push(store.find('k', ''), guard.intact));
    hub.invalidate(['k']);
    expect(seen).toEqual([undefined, false]);
  });

  test('a listener of the first key of a push finds none of the others either', () => {
    const { store, guards, hub, put } = setting();
    for (const key of ['a', 'b', 'c']) put(key);
    const guard = guardOf('c');
    guards.open(guard);
    const seen: unknown[] = [];
    hub.listen('a', () => seen.push(store.find('b', ''), store.find('c', ''), guard.intact));
    hub.invalidate(['a', 'b', 'c']);
    expect(seen).toEqual([undefined, undefined, false]);
  });

  test('a listener woken by a flush finds nothing', () => {
    const { store, guards, hub, put } = setting();
    for (const key of ['a', 'b']) put(key);
    const guard = guardOf('other');
    guards.open(guard);
    const seen: unknown[] = [];
    hub.listen('a', () => seen.push(store.entries, guard.severed));
    hub.flush('flush');
    expect(seen).toEqual([0, true]);
  });

  test('who subscribes to the channel finds nothing either', () => {
    const { store, hub, put } = setting();
    put('k');
    const found: unknown[] = [];
    const note = (): void => void found.push(store.find('k', ''));
    subscribe('redcache:invalidation', note);
    hub.invalidate(['k']);
    unsubscribe('redcache:invalidation', note);
    expect(found).toEqual([undefined]);
  });
});

describe('a lost connection', () => {
  test('drops what was read there and severs what is being read there, and nothing else', () => {
    const { hub, store, guards, put, evicted } = setting();
    const [lost, other] = [aSource(), aSource()];
    put('a', lost);
    put('b', other);
    const [mine, theirs] = [guardOf('k', lost), guardOf('k', other)];
    guards.open(mine);
    guards.open(theirs);
    const messages = reported('redcache:flush', () => hub.lose(lost, false));
    expect(names(store)).toEqual(['b']);
    expect([mine.severed, theirs.intact]).toEqual([true, true]);
    expect(messages).toEqual([{ cause: 'disconnect', entries: 1 }]);
    expect(evicted).toEqual([['disconnect', 1]]);
  });

  test('I5: who is woken by it finds nothing of it', () => {
    const { hub, store, guards, put } = setting();
    const lost = aSource();
    put('a', lost);
    put('b');
    const guard = guardOf('k', lost);
    guards.open(guard);
    const seen: unknown[] = [];
    hub.listen('a', () => seen.push(store.find('a', '')?.serves(0), guard.severed));
    hub.lose(lost, false);
    expect(seen).toEqual([false, true]);
  });
});

test('I6: an own write drops its keys and severs what is being read of them, and nothing else', () => {
  const { hub, store, guards, put, evicted } = setting();
  for (const key of ['a', 'b', 'c']) put(key);
  const [written, other] = [guardOf('a'), guardOf('c')];
  guards.open(written);
  guards.open(other);
  hub.wrote(['a', 'b']);
  expect(names(store)).toEqual(['c']);
  expect([written.severed, other.intact]).toEqual([true, true]);
  expect(evicted).toEqual([
    ['own-write', 1],
    ['own-write', 1],
  ]);
});

describe('who is told', () => {
  test('the listeners of the key, each once, in the order in which they came', () => {
    const { hub } = setting();
    const told: string[] = [];
    hub.listen('k', (cause) => told.push(`1 ${cause}`));
    hub.listen('k', (cause) => told.push(`2 ${cause}`));
    hub.listen('other', (cause) => told.push(`other ${cause}`));
    hub.invalidate(['k']);
    expect(told).toEqual(['1 push', '2 push']);
  });

  test.for(['flush', 'close'] as const)('everybody by a %s', (cause) => {
    const { hub } = setting();
    const told: WakeCause[] = [];
    hub.listen('a', (heard) => told.push(heard));
    hub.listen('b', (heard) => told.push(heard));
    hub.flush(cause);
    expect(told).toEqual([cause, cause]);
  });

  test('everybody by a FLUSHALL of our own, as by any', () => {
    const { hub, put, evicted } = setting();
    put('k');
    const told: WakeCause[] = [];
    hub.listen('a', (heard) => told.push(heard));
    hub.flush('own-write');
    expect(told).toEqual(['flush']);
    expect(evicted).toEqual([['own-write', 1]]);
  });

  test('everybody by a lost connection, since nobody knows which keys were read there', () => {
    const { hub } = setting();
    const told: WakeCause[] = [];
    hub.listen('a', (heard) => told.push(heard));
    hub.listen('b', (heard) => told.push(heard));
    hub.lose(aSource(), false);
    expect(told).toEqual(['disconnect', 'disconnect']);
  });

  test('nobody of an own write, which is not the news they wait for', () => {
    const { hub } = setting();
    const told: WakeCause[] = [];
    hub.listen('k', (heard) => told.push(heard));
    hub.wrote(['k']);
    expect(told).toEqual([]);
  });

  test('nobody when the user clears, which says nothing about the server', () => {
    const { hub, store, put } = setting();
    put('k');
    const told: WakeCause[] = [];
    hub.listen('k', (heard) => told.push(heard));
    hub.flush('clear');
    expect(store.entries).toBe(0);
    expect(told).toEqual([]);
  });

  test('the same function given twice is told twice and taken back one by one', () => {
    const { hub } = setting();
    let told = 0;
    const listener = (): void => {
      told += 1;
    };
    const stopFirst = hub.listen('k', listener);
    hub.listen('k', listener);
    hub.invalidate(['k']);
    expect(told).toBe(2);
    stopFirst();
    stopFirst();
    hub.invalidate(['k']);
    expect(told).toBe(3);
    expect(hub.listenedKeys).toBe(1);
  });

  test('one that an earlier listener removed is not told', () => {
    const { hub } = setting();
    const told: number[] = [];
    const stops: (() => void)[] = [];
    stops.push(
      hub.listen('k', () => {
        told.push(1);
        stops[1]?.();
      }),
      hub.listen('k', () => told.push(2)),
      hub.listen('k', () => told.push(3)),
    );
    hub.invalidate(['k']);
    expect(told).toEqual([1, 3]);
  });

  test('one that removes itself does not keep the next from being told', () => {
    const { hub } = setting();
    const told: number[] = [];
    const stop = hub.listen('k', () => {
      stop();
      told.push(1);
    });
    hub.listen('k', () => told.push(2));
    hub.invalidate(['k']);
    expect(told).toEqual([1, 2]);
  });

  test('one that is added while a push is delivered hears the next one only', () => {
    const { hub } = setting();
    const told: number[] = [];
    let added = false;
    hub.listen('k', () => {
      if (added) return;
      added = true;
      hub.listen('k', () => told.push(1));
    });
    hub.invalidate(['k']);
    expect(told).toEqual([]);
    hub.invalidate(['k']);
    expect(told).toEqual([1]);
  });
});

test('a listener that throws is reported and harms nobody', () => {
  const { hub, store, put } = setting();
  put('k');
  const told: number[] = [];
  const error = new Error('mine');
  hub.listen('k', () => {
    throw error;
  });
  hub.listen('k', () => told.push(2));
  const messages = reported('redcache:callback-error', () => hub.invalidate(['k', 'other']));
  expect(messages).toEqual([{ callback: 'onInvalidation', error }]);
  expect(told).toEqual([2]);
  expect(store.entries).toBe(0);
});

test('what happened is published: the key and how many copies were dropped, the cause of a flush', () => {
  const { hub, put } = setting();
  put('a');
  put('c');
  expect(reported('redcache:invalidation', () => hub.invalidate(['a', 'b']))).toEqual([
    { key: 'a', entries: 1 },
    { key: 'b', entries: 0 },
  ]);
  for (const cause of ['flush', 'own-write', 'clear', 'close'] as const) {
    put('c');
    expect(reported('redcache:flush', () => hub.flush(cause))).toEqual([{ cause, entries: 1 }]);
  }
});

test('I12: no key is remembered once nobody listens', () => {
  const { hub } = setting();
  const stops = Array.from({ length: 100 }, (_, i) => hub.listen(`key ${i}`, () => {}));
  expect(hub.listenedKeys).toBe(100);
  for (const stop of stops) stop();
  expect(hub.listenedKeys).toBe(0);
});

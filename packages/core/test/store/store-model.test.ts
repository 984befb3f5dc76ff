import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../../src/store/entry.ts';
import type { PolicyName } from '../../src/store/policy.ts';
import type { Source } from '../../src/store/source.ts';
import type { EvictionCause, Store } from '../../src/store/store.ts';
import { aSource, aStore, nameOf, replyOf, valueIn } from './a-store.ts';

const MAX_ENTRIES = 12;
const MAX_BYTES = 90;

/** What a store must keep to, as naive as it can be: a list of what is of use, and how others left. */
class Model {
  entries: Entry[] = [];
  /** Those that may still be lost. */
  readonly sources: Source[] = [aSource(), aSource(), aSource()];
  readonly lost: Source[] = [];
  readonly left: Record<EvictionCause | 'no room', number> = {
    size: 0,
    bytes: 0,
    'no room': 0,
    ttl: 0,
    invalidation: 0,
    flush: 0,
    disconnect: 0,
    'own-write': 0,
  };

  leave(cause: keyof Model['left'], leaves: (entry: Entry) => boolean): number {
    const before = this.entries.length;
    this.entries = this.entries.filter((entry) => !leaves(entry));
    this.left[cause] += before - this.entries.length;
    return before - this.entries.length;
  }
}

interface Real {
  readonly store: Store;
  readonly evicted: readonly (readonly [EvictionCause, number])[];
}

class Step implements fc.Command<Model, Real> {
  readonly #text: string;
  readonly #perform: (model: Model, real: Real) => void;
  constructor(text: string, perform: (model: Model, real: Real) => void) {
    this.#text = text;
    this.#perform = perform;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    this.#perform(model, real);
    agree(model, real);
  }
  toString(): string {
    return this.#text;
  }
}

function agree({ entries, sources, lost, left }: Model, { store, evicted }: Real): void {
  const held = [...store];
  expect(
    held
      .filter(({ source }) => !source.lost)
      .map(nameOf)
      .sort(),
  ).toEqual(entries.map(nameOf).sort());
  expect(store.entries).toBe(entries.length);
  expect(store.bytes).toBe(held.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(store.suspects).toBe(held.filter(({ source }) => source.suspect).length);
  expect(held.some(({ source }) => source.suspect && !source.lost)).toBe(false);
  expect(held.length).toBeLessThanOrEqual(MAX_ENTRIES);
  expect(store.bytes).toBeLessThanOrEqual(MAX_BYTES);
  for (const entry of entries) {
    const found =
      entry.keys === undefined ? store.find(entry.key, entry.rest) : store.findReply(entry.key);
    expect(found).toBe(entry);
    for (const key of entry.keys ?? []) expect(store.dependentsOf(key)).toContain(entry);
  }
  expect(store.indexedKeys).toBe(new Set(held.flatMap(({ keys }) => keys ?? [])).size);
  for (const source of [...sources, ...lost])
    expect(source.entries).toBe(held.filter((entry) => entry.source === source).length);
  const counted = (...causes: EvictionCause[]): number =>
    evicted.reduce((sum, [cause, count]) => sum + (causes.includes(cause) ? count : 0), 0);
  expect(counted('size', 'bytes')).toBe(left['no room']);
  for (const cause of ['ttl', 'invalidation', 'flush', 'disconnect', 'own-write'] as const)
    expect([cause, counted(cause)]).toEqual([cause, left[cause]]);
}

const isSame = (a: Entry, b: Entry): boolean =>
  a.key === b.key && a.rest === b.rest && (a.keys === undefined) === (b.keys === undefined);

const anyKey = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const anyIndex = fc.nat(100);

const adding = fc
  .record({
    key: anyKey,
    rest: fc.constantFrom('', 'GET', 'HGETALL'),
    keys: fc.option(fc.array(anyKey, { minLength: 1, maxLength: 3 }), { freq: 3 }),
    from: fc.nat(2),
    bytes: fc.integer({ min: 1, max: 20 }),
    echoes: fc.nat(1),
    deadlineAtMs: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ key, rest, keys, from, ...filing }) => {
    const what = keys === null ? `${key} '${rest}'` : `reply ${key} of ${keys}`;
    return new Step(`add ${what} from ${from}, ${filing.bytes} bytes`, (model, { store }) => {
      const source = model.sources.at(-1 - from) as Source;
      const entry =
        keys === null
          ? valueIn(key, { ...filing, rest, source })
          : replyOf(key, keys, { ...filing, source });
      const fits = [...store].length < MAX_ENTRIES && store.bytes + filing.bytes <= MAX_BYTES;
      model.entries = [...model.entries.filter((each) => !isSame(each, entry)), entry];
      expect(store.add(entry)).toBe(true);
      // Which of them make room is the policy's choice.
      const held = new Set(store);
      const left = model.leave('no room', (each) => !held.has(each));
      if (fits) expect(left).toBe(0);
    });
  });

const invalidating = fc
  .record({
    key: anyKey,
    cause: fc.constantFrom('invalidation' as const, 'own-write' as const),
    from: fc.nat(2),
  })
  .map(
    ({ key, cause, from }) =>
      new Step(`${cause} of ${key} from ${from}`, (model, { store }) => {
        const reached = model.entries.filter((entry) => entry.dependsOn(key));
        const heard = model.sources.at(-1 - from) as Source;
        const spared = reached.filter(
          ({ echoes, source }) => cause === 'invalidation' && echoes > 0 && source === heard,
        );
        const dropped = model.leave(
          cause,
          (entry) => reached.includes(entry) && !spared.includes(entry),
        );
        const left = spared.map(({ echoes }) => echoes - 1);
        expect(store.invalidate(key, cause, heard)).toBe(dropped);
        expect(spared.map(({ echoes }) => echoes)).toEqual(left);
      }),
  );

/** Of those that are held, lost ones too. */
const deleting = anyIndex.map(
  (n) =>
    new Step(`delete the one at ${n}`, (model, { store }) => {
      const held = [...store];
      const entry = held[n % Math.max(1, held.length)];
      if (entry === undefined) return;
      model.leave('ttl', (each) => each === entry);
      store.delete(entry, 'ttl');
    }),
);

const using = anyIndex.map(
  (n) =>
    new Step(`use the one at ${n}`, ({ entries }, { store }) => {
      const entry = entries[n % Math.max(1, entries.length)];
      if (entry !== undefined) store.used(entry);
    }),
);

const losing = fc.nat(2).map(
  (from) =>
    new Step(`lose ${from}`, (model, { store }) => {
      const source = model.sources.at(-1 - from) as Source;
      const dropped = model.leave('disconnect', (entry) => entry.source === source);
      expect(store.lose(source)).toBe(dropped);
      model.lost.push(...model.sources.splice(model.sources.length - 1 - from, 1));
      model.sources.push(aSource());
      expect(store.lose(source)).toBe(0);
    }),
);

/** As when the connection is lost; all that is lost may still be right until it stands again. */
const suspecting = fc.nat(2).map(
  (from) =>
    new Step(`suspect ${from}`, (model, { store }) => {
      const source = model.sources.at(-1 - from) as Source;
      const dropped = model.leave('disconnect', (entry) => entry.source === source);
      expect(store.suspect(source)).toBe(dropped);
      expect(source.suspect).toBe(dropped > 0);
      model.lost.push(...model.sources.splice(model.sources.length - 1 - from, 1));
      model.sources.push(aSource());
    }),
);

const absolving = anyIndex.map(
  (n) =>
    new Step(`drop the suspects of the one at ${n}`, (model, { store }) => {
      const source = model.lost[n % Math.max(1, model.lost.length)];
      store.dropSuspects((each) => each === source);
      if (source !== undefined) expect(source.suspect).toBe(false);
    }),
);

const clearing = fc.constant(
  new Step('clear', (model, { store }) => {
    expect(store.clear('flush')).toBe(model.leave('flush', () => true));
  }),
);

test.for(['lru', 'lfu', 'ttl'] as const satisfies PolicyName[])(
  'whatever happens, it holds what it should, finds it, and counts right: %s',
  (policy) => {
    const step = fc.oneof(
      { arbitrary: adding, weight: 60 },
      { arbitrary: invalidating, weight: 15 },
      { arbitrary: deleting, weight: 10 },
      { arbitrary: using, weight: 10 },
      { arbitrary: losing, weight: 10 },
      { arbitrary: suspecting, weight: 10 },
      { arbitrary: absolving, weight: 5 },
      { arbitrary: clearing, weight: 1 },
    );
    fc.assert(
      fc.property(fc.commands([step], { maxCommands: 60 }), (steps) => {
        const real = aStore({ maxEntries: MAX_ENTRIES, maxBytes: MAX_BYTES, policy });
        fc.modelRun(() => ({ model: new Model(), real }), steps);
      }),
      { numRuns: 300 },
    );
  },
);

import type { ClientSideCacheOptions } from '@redcache/core/node-redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { type CachedKind, openCached } from './cached-kind.ts';
import { KINDS, startFor } from './four-kinds.ts';

/** Which of these keys are here. Asks no policy, since a look is a use. */
function held({ engine, keyFor }: CachedKind, names: readonly string[]): string[] {
  const keys = new Set([...engine.internals.store].map(({ key }) => key));
  return names.filter((name) => keys.has(keyFor(name)));
}

async function read({ client, keyFor }: CachedKind, ...names: readonly string[]): Promise<void> {
  for (const name of names) await client.get(keyFor(name));
}

type Store = NonNullable<ClientSideCacheOptions['store']>;
type Policy = ReturnType<Exclude<Store, string>>;
type Entry = Parameters<Policy['add']>[0];

/** A policy of a user's own: the one whose key is first in the alphabet leaves. */
class Alphabet implements Policy {
  readonly #members = new Set<Entry>();
  readonly uses: string[] = [];

  add(entry: Entry): void {
    this.#members.add(entry);
  }

  touch(entry: Entry): void {
    this.uses.push(entry.key);
  }

  remove(entry: Entry): void {
    this.#members.delete(entry);
  }

  victim(): Entry | undefined {
    return [...this.#members].toSorted((a, b) => (a.key < b.key ? -1 : 1))[0];
  }

  clear(): void {
    this.#members.clear();
  }

  get size(): number {
    return this.#members.size;
  }
}

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    const open = (store: Store) =>
      openCached(kind, deployment, { options: { store, maxEntries: 3 } });

    test('lru: what was not used for longest leaves', async () => {
      await using cached = await open('lru');
      await read(cached, 'a', 'b', 'c', 'a', 'd');
      expect(held(cached, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    });

    test('lfu: what is used again and again outlives a scan of keys that are not', async () => {
      await using cached = await openCached(kind, deployment, {
        options: { store: 'lfu', maxEntries: 20 },
      });
      const often = Array.from({ length: 5 }, (_, i) => `often ${i}`);
      for (let i = 0; i < 5; i += 1) await read(cached, ...often);
      await read(cached, ...Array.from({ length: 60 }, (_, i) => `once ${i}`));
      expect(held(cached, often)).toEqual(often);
      expect(cached.engine.stats()).toMatchObject({ entries: 20, evictions: { size: 45 } });
    });

    test('ttl: what ends soonest leaves, by the times of the server', async () => {
      await using cached = await open('ttl');
      const { writer, keyFor } = cached;
      for (const [name, PX] of Object.entries({ a: 100_000, b: 50_000, c: 200_000, d: 150_000 }))
        await writer.set(keyFor(name), 'value', { PX });
      await read(cached, 'a', 'b', 'c', 'b', 'b', 'd');
      expect(held(cached, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    });

    test('one of the user’s own: it is asked who leaves, and told of all that comes, is used and goes', async () => {
      const policies: Alphabet[] = [];
      await using cached = await open(() => {
        const policy = new Alphabet();
        policies.push(policy);
        return policy;
      });
      const { writer, keyFor, invalidated, engine } = cached;
      await read(cached, 'a', 'b', 'c', 'b', 'd');
      expect(held(cached, ['a', 'b', 'c', 'd'])).toEqual(['b', 'c', 'd']);
      expect(policies).toHaveLength(1);
      const [policy] = policies as [Alphabet];
      expect(policy.uses).toEqual([keyFor('b')]);
      const gone = invalidated(keyFor('c'));
      await writer.set(keyFor('c'), 'new');
      await gone;
      expect(policy.size).toBe(2);
      expect(engine.stats()).toMatchObject({ entries: 2, evictions: { size: 1, invalidation: 1 } });
      cached.cache.clear();
      expect([policy.size, engine.stats().entries]).toEqual([0, 0]);
      await read(cached, 'a');
      expect([policy.size, engine.stats().entries]).toEqual([1, 1]);
    });
  });

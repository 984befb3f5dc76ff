import * as v from 'valibot';
import { expectTypeOf, test } from 'vitest';
import type { Cache, Family, FamilyWarmProgress, Found, Peeked } from '../../src/index.ts';

interface User {
  readonly name: string;
}
declare const cache: Cache;
declare const find: (id: number) => Promise<User | undefined>;
declare const findMany: (ids: number[]) => Promise<Map<number, User>>;

/** Compiled, never run. */
function compiled(): void {
  const users = cache.define({ name: 'user', load: find });
  expectTypeOf(users).toEqualTypeOf<Family<number, User>>();
  expectTypeOf(users.get(42)).toEqualTypeOf<Promise<User | undefined>>();
  expectTypeOf(users.getEntry(42)).toEqualTypeOf<Promise<Found<User>>>();
  expectTypeOf(users.getMany([1, 2])).toEqualTypeOf<Promise<Map<number, User>>>();
  expectTypeOf(users.peek(42)).toEqualTypeOf<Peeked<User>>();
  expectTypeOf(users.touchMany([1], '1s')).toEqualTypeOf<Promise<Set<number>>>();
  expectTypeOf(users.warm([1, 2])).toEqualTypeOf<Promise<FamilyWarmProgress<number>>>();
  void users.warm(new Set([1]), {
    tags: ({ name }) => [name],
    onProgress: ({ lastId }) => expectTypeOf(lastId).toEqualTypeOf<number | undefined>(),
  });
  // @ts-expect-error Ids are numbers.
  void users.warm(['1']);
  void users.set(1, { name: 'Ada' }, { tags: ({ name }) => [name] });
  // @ts-expect-error Ids are numbers.
  void users.get('42');
  // @ts-expect-error Values are users.
  void users.set(1, { title: 'Countess' });

  const inline = cache.define({
    name: 'inline',
    ttl: '1m',
    key: (id: string) => id.toLowerCase(),
    load: async (id, context) => {
      expectTypeOf(id).toEqualTypeOf<string>();
      expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
      return { length: id.length };
    },
    tags: ({ length }) => [String(length)],
  });
  expectTypeOf(inline).toEqualTypeOf<Family<string, { length: number }>>();

  expectTypeOf(cache.define({ name: 'many', loadMany: findMany })).toEqualTypeOf<
    Family<number, User>
  >();
  const record = cache.define({
    name: 'record',
    loadMany: async (ids: bigint[]) => Object.fromEntries(ids.map((id) => [String(id), 1])),
  });
  expectTypeOf(record).toEqualTypeOf<Family<bigint, number>>();
  const both = cache.define({ name: 'both', load: find, loadMany: findMany });
  expectTypeOf(both).toEqualTypeOf<Family<number, User>>();

  const ofTenants = cache.define({
    name: 'tenant',
    key: (id: { tenant: string; id: number }) => `${id.tenant}:${id.id}`,
    load: ({ id }) => find(id),
  });
  expectTypeOf(ofTenants).toEqualTypeOf<Family<{ tenant: string; id: number }, User>>();
  // @ts-expect-error An object has no text of its own.
  cache.define({ name: 'keyless', load: async (_: { id: number }) => 1 });

  const Row = v.object({ name: v.string(), age: v.optional(v.number(), 18) });
  const rows = cache.define({
    name: 'row',
    schema: Row,
    load: async (_: number) => ({ name: 'Ada' }),
    tags: ({ age }) => {
      expectTypeOf(age).toEqualTypeOf<number | undefined>();
      return [];
    },
  });
  expectTypeOf(rows.get(1)).toEqualTypeOf<Promise<{ name: string; age: number } | undefined>>();
  void rows.set(1, { name: 'Ada' });
  // @ts-expect-error That is not what the schema takes.
  cache.define({ name: 'wrong', schema: Row, load: async (_: number) => ({ title: 'Countess' }) });

  const bare = cache.define<number, User>({ name: 'bare' });
  expectTypeOf(bare).toEqualTypeOf<Family<number, User>>();
}

test('types are as expected', () => {
  expectTypeOf(compiled).toBeFunction();
});

import { expect, test } from 'vitest';
import { FamilyKeys } from '../../src/family/family-keys.ts';
import { loadManyByIds, loadOneById } from '../../src/family/family-loads.ts';
import type { LoadByIds } from '../../src/family/family-options.ts';
import type { LoadContext } from '../../src/index.ts';

const context = {} as LoadContext;
const ids = new Map([
  ['user:1', 1],
  ['user:2', 2],
]);
const loading = (loadMany: LoadByIds<number, unknown>) =>
  loadManyByIds(
    loadMany,
    ids,
    new FamilyKeys<number>('user', undefined),
  )(['user:1', 'user:2'], context);

test('a loader of one gets the id and the context', async () => {
  const asked: unknown[] = [];
  const load = loadOneById<number>((...args) => asked.push(args), ids);
  expect(await load(['user:2'], context)).toEqual(new Map([['user:2', 1]]));
  expect(asked).toEqual([[2, context]]);
});

test('a loader of many may answer by id or by key', async () => {
  const expected = new Map([['user:2', 'b']]);
  expect(await loading((asked) => new Map([[asked[1] as number, 'b']]))).toEqual(expected);
  expect(await loading(() => ({ 2: 'b' }))).toEqual(expected);
  expect(await loading(async () => Object.assign(Object.create(null), { 2: 'b' }))).toEqual(
    expected,
  );
});

test('an id that comes back as another object is known by its key', async () => {
  const keys = new FamilyKeys<{ n: number }>('user', ({ n }) => String(n));
  const load = loadManyByIds<{ n: number }>(
    () => new Map([[{ n: 1 }, 'a']]),
    new Map([['user:1', { n: 1 }]]),
    keys,
  );
  expect(await load(['user:1'], context)).toEqual(new Map([['user:1', 'a']]));
});

test.for([[['a', 'b']], [null], [undefined], ['ab'], [new Set([1])]])(
  'anything else is an error: %o',
  async ([answer]) => {
    await expect(loading(() => answer as never)).rejects.toThrow(/loadMany must answer a Map/);
  },
);

test('ids of another type than were asked for are an error, not absences', async () => {
  const keys = new FamilyKeys<number>('user', undefined);
  keys.nameOf(1, 'get');
  const load = loadManyByIds<number>(() => new Map([['1', 'a']]) as never, ids, keys);
  await expect(load(['user:1'], context)).rejects.toThrow(/'1' is a string/);
});

import { types } from 'node:util';
import { ConfigError } from '@redcache/core';
import type { LoadAll } from '../read/loader.ts';
import type { WriteAll } from '../write/write-through.ts';
import type { FamilyKeys } from './family-keys.ts';
import type { LoadById, LoadByIds, WriteByIds } from './family-options.ts';

/** The loaders of a family, as a cache calls them: by names. `ids`: of all names that may be asked for. */
export function loadOneById<Id>(
  load: LoadById<Id, unknown>,
  ids: ReadonlyMap<string, Id>,
): LoadAll {
  return async ([name], context) => {
    const value = await load(ids.get(name as string) as Id, context);
    return new Map([[name as string, value]]);
  };
}

export function loadManyByIds<Id>(
  loadMany: LoadByIds<Id, unknown>,
  ids: ReadonlyMap<string, Id>,
  keys: FamilyKeys<Id>,
): LoadAll {
  return async (names, context) => {
    const wanted = names.map((name) => ids.get(name) as Id);
    return valuesByName('loadMany', await loadMany(wanted, context), keys);
  };
}

/** The writer of a family, as a cache calls it. */
export function writeManyByIds<Id>(
  writer: WriteByIds<Id, unknown>,
  ids: ReadonlyMap<string, Id>,
  keys: FamilyKeys<Id>,
): WriteAll {
  return {
    where: 'writeMany',
    call: async (names, { fencingTokenOf, ...context }) =>
      writer(
        names.map((name) => ids.get(name) as Id),
        { ...context, fencingTokenOf: (id) => fencingTokenOf(keys.nameOf(id, 'fencingTokenOf')) },
      ),
    values: (answer) => valuesByName('writeMany: the writer', answer, keys),
  };
}

/** By what they are called: an id that is an object may come back as another one like it. */
function valuesByName<Id>(
  who: string,
  answer: unknown,
  keys: FamilyKeys<Id>,
): Map<string, unknown> {
  const values = new Map<string, unknown>();
  if (types.isMap(answer))
    for (const [id, value] of answer) values.set(keys.nameOf(id as Id, who), value);
  // Any other list of things has no keys, and would say that all are absent.
  else if (typeof answer === 'object' && answer !== null && !(Symbol.iterator in answer))
    for (const [key, value] of Object.entries(answer)) values.set(keys.nameFor(key), value);
  else throw new ConfigError(`${who} must answer a Map from id, or an object from key, to value`);
  return values;
}

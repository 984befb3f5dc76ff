import { types } from 'node:util';
import { ConfigError } from '@redcache/core';
import type { LoadAll } from '../read/loader.ts';
import type { FamilyKeys } from './family-keys.ts';
import type { LoadById, LoadByIds } from './family-options.ts';

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
    const loads: unknown = await loadMany(wanted, context);
    const values = new Map<string, unknown>();
    // By what they are called: an id that is an object may come back as another one like it.
    if (types.isMap(loads))
      for (const [id, value] of loads) values.set(keys.nameOf(id as Id, 'loadMany'), value);
    // Any other list of things has no keys, and would say that all are absent.
    else if (typeof loads === 'object' && loads !== null && !(Symbol.iterator in loads))
      for (const [key, value] of Object.entries(loads)) values.set(keys.nameFor(key), value);
    else
      throw new ConfigError('loadMany must answer a Map from id, or an object from key, to value');
    return values;
  };
}

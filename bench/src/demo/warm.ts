import type { Cache, WarmProgress } from '@redcache/cache-aside';
import type { Country, Database } from './database.ts';
import { keyOf, tagOf } from './keys.ts';
import { ProgressBar } from './progress-bar.ts';

/** Small ones, since the database runs one query at a time. */
const BATCH_SIZE = 5;

/** Loads every country that is not there before anyone asks for it. Answers how it went. */
export async function warm(parts: {
  readonly cache: Cache;
  readonly database: Database;
  readonly codes: readonly string[];
  readonly signal: AbortSignal;
  /** Without the bar. */
  readonly quiet?: boolean;
}): Promise<WarmProgress> {
  const { cache, database, codes, signal, quiet = false } = parts;
  const codeOf = new Map(codes.map((code) => [keyOf(code), code]));
  const load = async (keys: string[]): Promise<Map<string, Country>> => {
    const rows = keys.map(async (key): Promise<[string, Country]> => {
      const row = await database.country(codeOf.get(key) as string);
      return [key, row];
    });
    return new Map(await Promise.all(rows));
  };
  const tags = ({ region }: Country): string[] => [tagOf(region)];
  const options = { batchSize: BATCH_SIZE, total: codeOf.size, signal, tags };
  if (quiet) return await cache.warm(codeOf.keys(), load, options);
  const bar = new ProgressBar();
  try {
    return await cache.warm(codeOf.keys(), load, {
      ...{ ...options, onProgress: bar.show, progressEvery: bar.everyMs },
    });
  } finally {
    bar.end();
  }
}

import type { Answer } from '../read/answer.ts';
import type { LoadAll } from '../read/loader.ts';
import type { BatchOutcome, ReadBatch } from './warming.ts';

/** Reads keys as any other read does, and says of each what came of it, in their order. */
export type ReadEach = (
  keys: readonly string[],
  load: LoadAll,
  signal: AbortSignal,
) => Promise<readonly PromiseSettledResult<Answer>[]>;

/**
 * Warms by reading: what nobody has is loaded, everything else stays where it is. `loadOf`: what loads
 * the keys of a batch, by their ids.
 */
export function batches(
  loadOf: (ids: ReadonlyMap<string, unknown>) => LoadAll,
  readEach: ReadEach,
): ReadBatch {
  return async (keys, signal, ids) => {
    const load = loadOf(ids);
    const asked = new Set<string>();
    const noting: LoadAll = (wanted, context) => {
      for (const key of wanted) asked.add(key);
      return load(wanted, context);
    };
    return outcomeOf(keys, asked, await readEach(keys, noting, signal));
  };
}

function outcomeOf(
  keys: readonly string[],
  asked: ReadonlySet<string>,
  results: readonly PromiseSettledResult<Answer>[],
): BatchOutcome {
  const failed = new Map<string, unknown>();
  let loaded = 0;
  for (const [i, key] of keys.entries()) {
    const result = results[i] as PromiseSettledResult<Answer>;
    if (result.status === 'rejected') failed.set(key, result.reason);
    else if ('failure' in result.value) failed.set(key, result.value.failure);
    // What others load meanwhile is loaded once, and counted once.
    else if (result.value.source === 'loader' && asked.has(key)) loaded += 1;
  }
  return { loaded, skipped: keys.length - loaded - failed.size, failed };
}

import { UsageError } from './usage-error.ts';

/**
 * Those whose name has one of the words as a part, a name that is said in full alone: `hit` is not
 * `hit-by-size`. Throws: {@link UsageError} for a word that is in no name.
 */
export function chosenOf<T extends { readonly name: string }>(
  all: readonly T[],
  words: readonly string[],
): readonly T[] {
  if (words.length === 0) return all;
  const meant = new Set(
    words.flatMap((word) => {
      const same = all.filter(({ name }) => name === word);
      const found = same.length > 0 ? same : all.filter(({ name }) => name.includes(word));
      if (found.length === 0) throw new UsageError(`there is no scenario ${word}`);
      return found;
    }),
  );
  return all.filter((each) => meant.has(each));
}

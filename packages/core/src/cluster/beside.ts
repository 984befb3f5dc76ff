import { slotOf, tagFor } from './slot.ts';

/** Keys in the slot of another one are called `before` + a name + `after`. */
export interface Beside {
  readonly before: string;
  readonly after: string;
}

/**
 * How keys are called that stand beside `key`, which is in the same slot of a cluster.
 *
 * A cluster puts a key where the text between its first '{' and the next '}' says, if there is any,
 * else where the whole key says. The keys beside it begin with a tag that leads to the same slot: its
 * own, else the whole key, and where that can't stand between braces a number found for the slot. They
 * begin with a brace, so they are no key of a prefix that does not.
 */
export function besideOf(key: string): Beside {
  const tag = hashTag(key);
  if (tag !== undefined) return { before: `{${tag}}:`, after: `:${key}` };
  if (!key.includes('}')) return { before: `{${key}}:`, after: '' };
  return { before: `{${shortTag(slotOf(key))}}:`, after: `:${key}` };
}

/** The part of a key that decides on its slot, if it is not the whole key. */
function hashTag(key: string): string | undefined {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : undefined;
}

/** Tags found so far, by slot: as many as there are slots at most. */
const tags = new Map<number, string>();

/** As {@link tagFor}, which has to search. */
export function shortTag(slot: number): string {
  let tag = tags.get(slot);
  if (tag === undefined) {
    tag = tagFor(slot);
    tags.set(slot, tag);
  }
  return tag;
}

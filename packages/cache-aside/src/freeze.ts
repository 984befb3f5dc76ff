/** `true`: one deeply frozen copy for all; `'clone'`: a private copy each time; `false`: one for all. */
export type Freeze = boolean | 'clone';

/** Freezes a tree of arrays and plain objects, as a decoder makes it, and answers it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const each of Object.values(value)) deepFreeze(each);
  return value;
}

/** `true`: one deeply frozen copy for all; `'clone'`: a private copy each time; `false`: one for all. */
export type Freeze = boolean | 'clone';

/**
 * Freezes a tree, as a decoder makes it, as far as it can be frozen, and answers whether all of it is.
 *
 * Buffers, Dates, Maps and the like change whatever is frozen about them. They, and what holds them,
 * are left as they are, so that whether a value is frozen says whether it may be shared.
 */
export function deepFreeze(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return true;
  if (!isPlain(value) && changesThoughFrozen(value)) return false;
  let all = true;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const each: unknown = value[i];
      if (typeof each === 'object' && each !== null && !deepFreeze(each)) all = false;
    }
  } else {
    for (const name of Object.keys(value)) {
      const each = (value as Record<string, unknown>)[name];
      if (typeof each === 'object' && each !== null && !deepFreeze(each)) all = false;
    }
  }
  if (all) Object.freeze(value);
  return all;
}

/** A copy for one caller. Frozen parts of it may be shared, unless he is to change them. */
export function copyOf(value: unknown, frozen: 'shared' | 'copied'): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (frozen === 'shared' && Object.isFrozen(value)) return value;
  if (Array.isArray(value)) return value.map((each) => copyOf(each, frozen));
  if (isPlain(value)) {
    const copy = Object.create(Object.getPrototypeOf(value)) as Record<string, unknown>;
    for (const [name, each] of Object.entries(value)) put(copy, name, copyOf(each, frozen));
    return copy;
  }
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  // A structured clone would be one of all the memory that it is a view of.
  if (value instanceof Uint8Array) return value.slice();
  return structuredClone(value);
}

function put(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') target[name] = value;
  // Assigned it would become the prototype.
  else
    Object.defineProperty(target, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
}

function changesThoughFrozen(value: object): boolean {
  return (
    ArrayBuffer.isView(value) ||
    value instanceof Date ||
    value instanceof Map ||
    value instanceof Set ||
    value instanceof ArrayBuffer ||
    value instanceof SharedArrayBuffer
  );
}

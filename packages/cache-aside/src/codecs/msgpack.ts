import { decode, encode } from '@msgpack/msgpack';
import { ownBuffer } from './bytes.ts';
import type { BinaryCodec } from './codec.ts';
import { HOLDS_NO_PROPERTIES, kindOf, refusal, step, toJsonOf } from './refusal.ts';

/**
 * MessagePack, by `@msgpack/msgpack`, which has to be installed beside this package.
 *
 * Beyond JSON it holds Buffers and `Uint8Array`s (which come back as Buffers), Dates, BigInts of 64
 * bits, NaN and the infinities. Other objects with `toJSON` are stored as what that answers, and
 * `undefined` properties are left out. What it can't hold is an error that says where it stands: Map,
 * Set, other typed arrays, functions, larger BigInts, cycles, half a surrogate pair, a property named
 * `__proto__`.
 */
export const msgpack: BinaryCodec = {
  name: 'msgpack',
  binary: true,
  encode: (value, key) => {
    try {
      return encode(storable(value, '', '$', new Set()), WRITING);
    } catch (error) {
      if (error instanceof Offence) throw refusal('MessagePack', key, error.message);
      // What Node says when the stack, or the longest buffer, is too short for it.
      if (error instanceof RangeError)
        throw refusal('MessagePack', key, 'it is too deep or too long', error);
      throw error;
    }
  },
  // The library makes room for what a list says it holds before it reads any of it.
  decode: (stored) =>
    withOwnBuffers(decode(stored, { useBigInt64: true, maxArrayLength: stored.length })),
};

/**
 * With `useBigInt64` integers of 64 bits are BigInts and numbers are never written as such, so each
 * comes back as what it was. The stack is what bounds the depth.
 */
const WRITING = { useBigInt64: true, ignoreUndefined: true, maxDepth: Number.MAX_SAFE_INTEGER };

/** Only the way out of the walk; its message becomes the error's. */
class Offence extends Error {}

/**
 * What the library shall see of a value: the same, unless something in it says itself what to store.
 * `name`: of the property or index that holds it. `within`: the way down, for cycles.
 *
 * The library would store half of a foreign object, and text or BigInts cut short, without a word.
 */
function storable(value: unknown, name: string, path: string, within: Set<object>): unknown {
  if (typeof value !== 'object' || value === null || isHeldAsItIs(value))
    return plain(value, path, within);
  const toJson = toJsonOf(value);
  if (toJson === undefined) return plain(value, path, within);
  return goInto(value, path, within, () => plain(toJson.call(value, name), path, within));
}

function isHeldAsItIs(value: object): value is Date | Uint8Array {
  return value instanceof Date || value instanceof Uint8Array;
}

/** What `toJSON`, if there is one, has answered already. */
function plain(value: unknown, path: string, within: Set<object>): unknown {
  switch (typeof value) {
    case 'undefined':
      throw new Offence(`undefined at ${path}`);
    case 'function':
    case 'symbol':
      throw new Offence(`a ${typeof value} at ${path}`);
    case 'bigint':
      if (value < -(2n ** 63n) || value >= 2n ** 64n)
        throw new Offence(`a BigInt of more than 64 bits at ${path}`);
      return value;
    case 'string':
      if (!value.isWellFormed()) throw new Offence(`half a surrogate pair at ${path}`);
      return value;
    case 'object':
      return value === null ? null : plainObject(value, path, within);
    default:
      return value;
  }
}

function plainObject(value: object, path: string, within: Set<object>): unknown {
  if (value instanceof Date && Number.isNaN(value.getTime()))
    throw new Offence(`an invalid Date at ${path}`);
  if (isHeldAsItIs(value)) return value;
  const kind = kindOf(value);
  if (HOLDS_NO_PROPERTIES.test(kind)) throw new Offence(`a ${kind} at ${path}`);
  if (value instanceof Number || value instanceof String || value instanceof Boolean)
    return plain(value.valueOf(), path, within);
  return goInto(value, path, within, () =>
    Array.isArray(value) ? items(value, path, within) : properties(value, path, within),
  );
}

function items(list: readonly unknown[], path: string, within: Set<object>): unknown {
  let changed: unknown[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = storable(list[i], String(i), `${path}[${i}]`, within);
    if (item === list[i] || Number.isNaN(item)) continue;
    changed ??= [...list];
    changed[i] = item;
  }
  return changed ?? list;
}

function properties(value: object, path: string, within: Set<object>): unknown {
  let changed: Record<string, unknown> | undefined;
  for (const [name, each] of Object.entries(value)) {
    if (each === undefined) continue;
    const at = `${path}${step(name)}`;
    if (name === '__proto__') throw new Offence(`a property that cannot be read back at ${at}`);
    if (!name.isWellFormed()) throw new Offence(`half a surrogate pair in the name at ${at}`);
    const property = storable(each, name, at, within);
    if (property === each || Number.isNaN(property)) continue;
    changed ??= { ...value };
    changed[name] = property;
  }
  return changed ?? value;
}

function goInto<T>(value: object, path: string, within: Set<object>, act: () => T): T {
  if (within.has(value)) throw new Offence(`a cycle at ${path}`);
  within.add(value);
  try {
    return act();
  } finally {
    within.delete(value);
  }
}

/** The library answers views into what it was given. */
function withOwnBuffers(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return ownBuffer(value);
  const holder = value as Record<string, unknown>;
  for (const name of Object.keys(holder)) {
    const each = holder[name];
    if (typeof each === 'object' && each !== null) holder[name] = withOwnBuffers(each);
  }
  return value;
}

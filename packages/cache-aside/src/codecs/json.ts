import type { TextCodec } from './codec.ts';
import { HOLDS_NO_PROPERTIES, kindOf, refusal, step, toJsonOf } from './refusal.ts';

/**
 * Text of a value, and back. JSON as JavaScript writes it, but never silently less: what JSON would
 * drop or turn into something else is an error that says where it stands.
 *
 * Dates and other objects with `toJSON` are stored as what that answers; `undefined` properties are
 * left out.
 */
function encodeJson(value: unknown, key: string): string {
  try {
    const offence = findOffence(value, '', '$', new Set());
    if (offence === undefined) return JSON.stringify(value);
    throw refusal('JSON', key, offence);
  } catch (error) {
    // What Node says when the stack, or the longest string, is too short for it.
    if (error instanceof RangeError)
      throw refusal('JSON', key, 'it is too deep or too long', error);
    throw error;
  }
}

export const json: TextCodec = {
  name: 'json',
  binary: false,
  encode: encodeJson,
  /** Throws `SyntaxError` for what is no JSON. */
  decode: (text) => JSON.parse(text),
};

/**
 * Says what cannot be stored and at which path, or `undefined`. `name`: of the property or index
 * that holds it. `within`: the way down, for cycles.
 */
function findOffence(
  value: unknown,
  name: string,
  path: string,
  within: Set<object>,
): string | undefined {
  const toJson = toJsonOf(value);
  if (toJson === undefined) return findOffenceInJson(value, path, within);
  // A date that is none would become null.
  if (value instanceof Date && Number.isNaN(value.getTime())) return `an invalid Date at ${path}`;
  const find = () => findOffenceInJson(toJson.call(value, name), path, within);
  // A program may have given BigInt, which is no object, a toJSON.
  return typeof value === 'object' && value !== null ? goInto(value, path, within, find) : find();
}

/** What `toJSON`, if there is one, has answered already. */
function findOffenceInJson(value: unknown, path: string, within: Set<object>): string | undefined {
  switch (typeof value) {
    case 'bigint':
      return `a BigInt at ${path}`;
    case 'undefined':
      return `undefined at ${path}`;
    case 'function':
    case 'symbol':
      return `a ${typeof value} at ${path}`;
    case 'number':
      return Number.isFinite(value) ? undefined : `${value} at ${path}`;
    case 'object':
      return value === null ? undefined : findOffenceInObject(value, path, within);
    default:
      return undefined;
  }
}

function findOffenceInObject(value: object, path: string, within: Set<object>): string | undefined {
  const kind = kindOf(value);
  if (HOLDS_NO_PROPERTIES.test(kind)) return `a ${kind} at ${path}`;
  if (value instanceof Number) return findOffenceInJson(Number(value), path, within);
  return goInto(value, path, within, () => {
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        const offence = findOffence(value[i], String(i), `${path}[${i}]`, within);
        if (offence !== undefined) return offence;
      }
      return undefined;
    }
    for (const [name, each] of Object.entries(value)) {
      if (each === undefined) continue;
      const offence = findOffence(each, name, `${path}${step(name)}`, within);
      if (offence !== undefined) return offence;
    }
    return undefined;
  });
}

function goInto(
  value: object,
  path: string,
  within: Set<object>,
  find: () => string | undefined,
): string | undefined {
  if (within.has(value)) return `a cycle at ${path}`;
  within.add(value);
  try {
    return find();
  } finally {
    within.delete(value);
  }
}

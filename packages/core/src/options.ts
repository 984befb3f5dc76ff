import { durationMs } from './duration.ts';
import { ConfigError, show } from './errors.ts';

/** Checks one option's value and answers it in the form the code uses; throws `ConfigError`. */
export type OptionReader<T> = (value: unknown, name: string) => T;

type Readers = Readonly<Record<string, OptionReader<unknown>>>;
type Read<R extends Readers> = { readonly [K in keyof R]: ReturnType<R[K]> };
/** What was given of some options. */
export type Given<R extends Readers> = { readonly [K in keyof R]?: ReturnType<R[K]> | undefined };
type Optionals<R extends Readers> = {
  readonly [K in keyof R]: OptionReader<ReturnType<R[K]> | undefined>;
};

/**
 * Reads an options object: each option by its reader (which sees `undefined` for one left out),
 * and an error for a name that nobody knows, since a misspelt option is a silently ignored one.
 *
 * Throws: {@link ConfigError}, naming `where` and the option.
 */
export function readOptions<R extends Readers>(where: string, given: unknown, readers: R): Read<R> {
  const values = objectOf(where, given);
  for (const name of Object.keys(values)) checkKnown(where, name, readers);
  const read: Record<string, unknown> = {};
  for (const [name, reader] of Object.entries(readers))
    read[name] = reader(values[name], `${where}: ${name}`);
  return read as Read<R>;
}

/**
 * As {@link readOptions}, but reads only what was given. For the options of a call that is answered in
 * less time than all of its readers would take.
 */
export function readGiven<R extends Readers>(where: string, given: unknown, readers: R): Given<R> {
  const values = objectOf(where, given);
  const read: Record<string, unknown> = {};
  for (const name of Object.keys(values)) {
    checkKnown(where, name, readers);
    const value = values[name];
    if (value !== undefined) read[name] = (readers[name] as R[string])(value, `${where}: ${name}`);
  }
  return read as Given<R>;
}

function objectOf(where: string, given: unknown): Record<string, unknown> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new ConfigError(`${where}: options must be an object`);
  return given as Record<string, unknown>;
}

function checkKnown(where: string, name: string, readers: Readers): void {
  if (!Object.hasOwn(readers, name))
    throw new ConfigError(
      `${where}: unknown option '${name}'; known are ${Object.keys(readers).join(', ')}`,
    );
}

/** The readers of options all of which may be left out: `undefined` then. */
export function optionals<R extends Readers>(readers: R): Optionals<R> {
  const entries = Object.entries(readers).map(([name, reader]) => [
    name,
    optional<unknown>(reader, undefined),
  ]);
  return Object.fromEntries(entries) as Optionals<R>;
}

/** The reader for an option that may be left out and then has this value. */
export function optional<T>(reader: OptionReader<T>, fallback: T): OptionReader<T> {
  return (value, name) => (value === undefined ? fallback : reader(value, name));
}

export const duration: OptionReader<number> = durationMs;

/** A whole number from 1 to `most`. */
export function countTo(most: number): OptionReader<number> {
  return (value, name) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > most)
      throw new ConfigError(`${name} must be a whole number from 1 to ${most}, not ${show(value)}`);
    return value;
  };
}

export const count: OptionReader<number> = countTo(Number.MAX_SAFE_INTEGER);

export const flag: OptionReader<boolean> = (value, name) => {
  if (typeof value !== 'boolean') throw new ConfigError(`${name} must be true or false`);
  return value;
};

export const text: OptionReader<string> = (value, name) => {
  if (typeof value !== 'string') throw new ConfigError(`${name} must be a string`);
  return value;
};

/** A number from `from` (included) to `below` (excluded). */
export function ratio(from: number, below: number): OptionReader<number> {
  return (value, name) => {
    if (typeof value !== 'number' || !(value >= from && value < below))
      throw new ConfigError(`${name} must be a number from ${from} to below ${below}`);
    return value;
  };
}

export function oneOf<const T extends string>(...allowed: readonly T[]): OptionReader<T> {
  return (value, name) => {
    if (!allowed.includes(value as T))
      throw new ConfigError(
        `${name} must be one of ${allowed.map((each) => `'${each}'`).join(', ')}`,
      );
    return value as T;
  };
}

/** An object the library does not look into, recognised by the methods it must have. */
export function having<T extends object>(
  ...methods: readonly (keyof T & string)[]
): OptionReader<T> {
  return (value, name) => {
    const candidate = value as Record<string, unknown> | null;
    if (typeof candidate !== 'object' || candidate === null)
      throw new ConfigError(`${name} must be an object`);
    for (const method of methods)
      if (typeof candidate[method] !== 'function')
        throw new ConfigError(`${name} must have a method ${method}()`);
    return value as T;
  };
}

/** A function that may be left out. */
export function callback<F extends (...args: never[]) => unknown>(): OptionReader<F | undefined> {
  return (value, name) => {
    if (value !== undefined && typeof value !== 'function')
      throw new ConfigError(`${name} must be a function, not ${show(value)}`);
    return value as F | undefined;
  };
}

/** The caller's signal, if any. */
export const abortSignal: OptionReader<AbortSignal | undefined> = (value, name) => {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw new ConfigError(`${name} must be an AbortSignal`);
  return value;
};

/**
 * Redis takes any bytes for a key. An empty one is nearly always a variable that was not set, and one
 * that is no well-formed text would be another key there.
 */
export function checkKey(key: unknown, where: string): asserts key is string {
  if (typeof key !== 'string' || key === '')
    throw new ConfigError(`${where}: the key must be a string that is not empty`);
  if (!isWellFormed(key))
    throw new ConfigError(
      `${where}: the key must be well-formed text, without half a surrogate pair`,
    );
}

/** Half a character becomes U+FFFD on the wire, so that a push would name another key than this. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

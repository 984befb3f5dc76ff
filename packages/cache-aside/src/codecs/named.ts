import { ConfigError } from '@redcache/core';
import type { OptionReader } from '@redcache/core/toolkit';
import { bytes } from './bytes.ts';
import type { Codec } from './codec.ts';
import { json } from './json.ts';
import { text } from './text.ts';

/** A codec of one's own, or one that comes with the package, by its name. */
export type CodecOption = 'json' | 'text' | 'bytes' | Codec;

const BUILT_IN: ReadonlyMap<unknown, Codec> = new Map<string, Codec>([
  [json.name, json],
  [text.name, text],
  [bytes.name, bytes],
]);

/** It becomes a word of a header line. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/;

export const codec: OptionReader<Codec> = (value, name) => {
  if (value === undefined) return json;
  const builtIn = BUILT_IN.get(value);
  if (builtIn !== undefined) return builtIn;
  if (typeof value !== 'object' || value === null)
    throw new ConfigError(`${name} must be 'json', 'text', 'bytes' or a codec`);
  const given = value as Partial<Codec>;
  if (typeof given.encode !== 'function' || typeof given.decode !== 'function')
    throw new ConfigError(`${name} must have the methods encode() and decode()`);
  if (typeof given.binary !== 'boolean')
    throw new ConfigError(`${name} must say by binary whether it writes bytes or text`);
  if (typeof given.name !== 'string' || !NAME.test(given.name))
    throw new ConfigError(
      `${name} must have a name of up to 32 lower-case letters, digits, '.', '_' and '-'`,
    );
  // Under the name of another one it would be given what that one wrote.
  if (BUILT_IN.has(given.name))
    throw new ConfigError(`${name} must have a name of its own, not '${given.name}'`);
  return given as Codec;
};

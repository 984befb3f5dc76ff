import { ConfigError } from '@redcache/core';
import {
  callback,
  type OptionReader,
  optional,
  optionals,
  readOptions,
} from '@redcache/core/toolkit';
import { type CodecOption, codec } from '../codecs/named.ts';
import { type CompressOptions, compression } from '../compression.ts';
import type { Freeze } from '../freeze.ts';
import { freeze, type Settings, type Tags, tags } from '../options.ts';
import {
  offOr,
  POLICY,
  type Policy,
  type PolicyOptions,
  policyFrom,
  type TimeoutOptions,
  times,
} from '../policy.ts';
import type { LoadContext } from '../read/loader.ts';
import type { Schema, SchemaInput } from '../schema.ts';
import type { FormatOptions } from '../value.ts';
import type { WriteContext } from '../write/write-through.ts';

/** What is its own key, unless `key` says otherwise. */
export type PlainId = string | number | bigint;

/** Answers the value of an id from the source of truth; `undefined` says that there is none. */
export type LoadById<Id, V> = (
  id: Id,
  context: LoadContext,
) => V | undefined | Promise<V | undefined>;

/** Answers the values of many ids; one that it leaves out is absent. */
export type LoadByIds<Id, V> = (
  ids: Id[],
  context: LoadContext,
) => LoadsById<Id, V> | Promise<LoadsById<Id, V>>;

/** Writes the source of truth and answers the value that is there now; `undefined`: there is none. */
export type WriteById<Id, V> = (
  id: Id,
  context: WriteContext,
) => V | undefined | Promise<V | undefined>;

/** As {@link WriteById}, for many ids; one that it leaves out of its answer is absent. */
export type WriteByIds<Id, V> = (
  ids: Id[],
  context: WriteByIdsContext<Id>,
) => LoadsById<Id, V> | Promise<LoadsById<Id, V>>;

export interface WriteByIdsContext<Id> extends Omit<WriteContext, 'fencingToken'> {
  fencingTokenOf(id: Id): bigint;
}

/** By id, or an object by key. */
export type LoadsById<Id, V> =
  | ReadonlyMap<Id, V | undefined>
  | Readonly<Record<string, V | undefined>>
  | Readonly<Record<number, V | undefined>>;

/** What makes any family. `V`: what its loaders answer. What is left out is as in the cache. */
export interface FamilyRules<Id, V> extends PolicyOptions {
  /** What its keys begin with, and a colon; so it has none itself. */
  readonly name: string;
  /**
   * What an id is called in its key; default: the text of a string, number or bigint. Different ids must
   * have different keys, and an id always the same one.
   */
  readonly key?: (id: Id) => string;
  /** Loads one; `getMany` then calls it for each that is missing, up to 32 at a time. */
  readonly load?: LoadById<Id, V>;
  /** Loads many by one call; without `load` also one. */
  readonly loadMany?: LoadByIds<Id, V>;
  /** The groups that its values belong to, unless a call says otherwise; see `invalidateTag`. */
  readonly tags?: Tags<V>;
  readonly timeout?: TimeoutOptions;
  readonly codec?: CodecOption;
  readonly compress?: CompressOptions | false;
  readonly freeze?: Freeze;
}

/** A family whose values are what its loaders answer. */
export interface FamilyOptions<Id, V> extends FamilyRules<Id, V> {
  readonly schema?: undefined;
}

/** A family whose values are what its schema makes of what its loaders answer. */
export interface SchemaFamilyOptions<Id, S extends Schema> extends FamilyRules<Id, SchemaInput<S>> {
  /**
   * What values must be like: any schema that follows Standard Schema. Callers get what it makes of
   * them. What was stored before and does not fit is loaded anew.
   */
  readonly schema: S;
}

/** Ids of other kinds have no text of their own. */
export type KeyNeeded<Id> = [Id] extends [PlainId] ? unknown : { readonly key: (id: Id) => string };

export interface FamilySettings<Id> {
  readonly name: string;
  readonly key: ((id: Id) => string) | undefined;
  readonly load: LoadById<Id, unknown> | undefined;
  readonly loadMany: LoadByIds<Id, unknown> | undefined;
  readonly tags: Tags<never> | undefined;
  readonly format: FormatOptions;
  readonly policy: Policy;
}

/** A colon would make two families of one name and another key the same; ours are named so. */
const RESERVED = 'redcache';

const familyName: OptionReader<string> = (value, name) => {
  if (typeof value !== 'string' || value === '' || value.includes(':') || !value.isWellFormed())
    throw new ConfigError(`${name} must be well-formed text without a colon that is not empty`);
  if (value === RESERVED) throw new ConfigError(`${name}: '${RESERVED}' is taken`);
  return value;
};

const schema: OptionReader<Schema | undefined> = (value, name) => {
  const standard = (value as Partial<Schema> | null | undefined)?.['~standard'];
  if (value !== undefined && typeof standard?.validate !== 'function')
    throw new ConfigError(`${name} must be a schema that follows Standard Schema`);
  return value as Schema | undefined;
};

/** What is left out is as in the cache. */
export function readFamilyOptions<Id>(
  options: FamilyRules<Id, unknown>,
  cache: Pick<Settings, 'policy' | 'format'>,
): FamilySettings<Id> {
  const { policy, format } = cache;
  const read = readOptions('define', options, {
    name: familyName,
    key: callback<(id: Id) => string>(),
    load: callback<LoadById<Id, unknown>>(),
    loadMany: callback<LoadByIds<Id, unknown>>(),
    schema,
    tags,
    ...optionals(POLICY),
    timeout: optional(times, undefined),
    codec: optional(codec, format.codec),
    compress: optional(offOr(compression, undefined), format.compress),
    freeze: optional(freeze, format.freeze),
  });
  return {
    name: read.name,
    key: read.key,
    load: read.load,
    loadMany: read.loadMany,
    tags: read.tags,
    format: {
      freeze: read.freeze,
      codec: read.codec,
      compress: read.compress,
      foreign: format.foreign,
      schema: read.schema,
    },
    policy: policyFrom(policy, read, read.timeout),
  };
}

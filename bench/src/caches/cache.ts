/**
 * One library between a service and its source, over connections of its own. It ends with its process
 * at the latest.
 */
export interface Cache {
  /** The value, from this process, from Redis, or from the source. */
  get(key: string): unknown;
  /** The same without a promise, from this process or not at all. Only where there is such a thing. */
  peek?(key: string): unknown;
  /** The values of many keys; how they come is the library's affair. */
  getMany(keys: string[]): Promise<unknown>;
  /** What has no loader is given its values. */
  put?(key: string, value: unknown): Promise<unknown>;
}

/** What is the same for all libraries. */
export interface Setting {
  readonly url: string;
  /** Begins every key that is asked for, as libraries without namespaces need it. */
  readonly namespace: string;
  readonly ttlMs: number;
  /** How many values the process may hold. */
  readonly maxEntries: number;
  /** The source. A value has its key in `id`, where it is an object. */
  readonly load: (key: string) => Promise<unknown>;
  readonly loadMany: (keys: readonly string[]) => Promise<ReadonlyMap<string, unknown>>;
}

/** Each value as text, where a library keeps none but that. */
export const encoded = (value: unknown): string => JSON.stringify(value);
export const decoded = (text: string | null): unknown =>
  text === null ? undefined : JSON.parse(text);

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

/** One that tells the other processes what has changed. */
export interface TellingCache extends Cache {
  /** The source has changed: says so to all processes. */
  invalidate(key: string): Promise<unknown>;
  /** Calls when the copy of this process is gone because another one said so. */
  onGone?(key: string, gone: () => void): void;
  /** Takes its clients away without asking the server, which may be gone. */
  destroy(): void;
}

/** Where values come from that are nowhere. A value has its key in `id`, where it is an object. */
interface Source {
  readonly load: (key: string) => Promise<unknown>;
  readonly loadMany: (keys: readonly string[]) => Promise<ReadonlyMap<string, unknown>>;
}

/** What is the same for all libraries. */
export interface Setting extends Source {
  readonly url: string;
  /** Begins every key that is asked for, as libraries without namespaces need it. */
  readonly namespace: string;
  readonly ttlMs: number;
  /** How many values the process may hold. */
  readonly maxEntries: number;
  /**
   * Whether the server may go away and come back, or be silent: as the library comes. Else a server
   * that went away ends the process, and nobody minds how long it is silent, since a measurement of
   * hits leaves the event loop no turn to hear from it.
   */
  readonly outlivesServer: boolean;
}

/** A source that loads many as it loads one. */
export function sourceOf(load: Source['load']): Source {
  return {
    load,
    loadMany: async (keys) =>
      new Map(await Promise.all(keys.map(async (key) => [key, await load(key)] as const))),
  };
}

/** Each value as text, where a library keeps none but that. */
export const encoded = (value: unknown): string => JSON.stringify(value);
export const decoded = (text: string | null): unknown =>
  text === null ? undefined : JSON.parse(text);

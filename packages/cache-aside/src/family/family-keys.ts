import { ConfigError } from '@redcache/core';
import { checkKey } from '@redcache/core/toolkit';

/** What the ids of a family are called. */
export class FamilyKeys<Id> {
  readonly #family: string;
  readonly #key: ((id: Id) => string) | undefined;
  /** Of the first id, where none is asked what it is called. */
  #kind: string | undefined;

  constructor(family: string, key: ((id: Id) => string) | undefined) {
    this.#family = family;
    this.#key = key;
  }

  /**
   * The name of an id, as the cache knows it.
   *
   * Throws: `ConfigError` if it has none; what `key` throws.
   */
  nameOf(id: Id, method: string): string {
    const key: unknown = this.#key === undefined ? this.#textOf(id, method) : this.#key(id);
    checkKey(key, `${method} of '${this.#family}'`);
    return this.nameFor(key);
  }

  nameFor(key: string): string {
    return `${this.#family}:${key}`;
  }

  /**
   * The ids by their names.
   *
   * Throws: `ConfigError` if two have the same one, as far as that can be told: objects may be alike.
   */
  byName(ids: Iterable<Id>, method: string): Map<string, Id> {
    const byName = new Map<string, Id>();
    for (const id of ids) {
      const name = this.nameOf(id, method);
      const other = byName.get(name);
      if (other === undefined) byName.set(name, id);
      else if (isPrimitive(id) && isPrimitive(other) && !isSame(id, other))
        throw new ConfigError(
          `${method} of '${this.#family}': ${shown(other)} and ${shown(id)} have the same key`,
        );
    }
    return byName;
  }

  /** Text of its own for each, which a mixture of kinds would not have: 1 and '1'. */
  #textOf(id: Id, method: string): string {
    const kind = typeof id;
    const hasText = kind === 'string' || kind === 'bigint' || Number.isFinite(id);
    if (!hasText)
      throw new ConfigError(
        `${method} of '${this.#family}': ${shown(id)} is no id, unless the option key says what it is called`,
      );
    this.#kind ??= kind;
    if (kind !== this.#kind)
      throw new ConfigError(
        `${method} of '${this.#family}': ${shown(id)} is a ${kind}, and the ids before were of type ${this.#kind}`,
      );
    return String(id);
  }
}

/** Whether it is what it is for good: an object may have another key tomorrow. */
export function isPrimitive(id: unknown): boolean {
  return typeof id !== 'object' && typeof id !== 'function';
}

/** As in a Map, which finds an id again that is NaN, and knows no -0. */
function isSame(one: unknown, other: unknown): boolean {
  return one === other || (Number.isNaN(one) && Number.isNaN(other));
}

function shown(id: unknown): string {
  if (typeof id === 'bigint') return `${id}n`;
  return typeof id === 'string' ? `'${id}'` : String(isPrimitive(id) ? id : typeof id);
}

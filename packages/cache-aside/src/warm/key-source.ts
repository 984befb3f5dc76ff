import { ConfigError } from '@redcache/core';
import { checkKey } from '@redcache/core/toolkit';

/** Keys, from wherever they come: a list, a generator, a cursor of a database. */
export type Keys = Iterable<string> | AsyncIterable<string>;

/** The same for a family. */
export type Ids<Id> = Iterable<Id> | AsyncIterable<Id>;

/** A key, and what it was called by the source. */
export interface SourceKey {
  readonly key: string;
  readonly id: unknown;
}

/** What something that a source gave is called. Throws: `ConfigError` for what has no name. */
export type NameOf = (id: unknown) => string;

type Step = IteratorResult<unknown>;

/** Reads keys only when it is asked for them. */
export class KeySource {
  /** How many there are, where that is known before they are read. */
  readonly size: number | undefined;
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #nameOf: NameOf;
  #isOver = false;

  /** Throws: `ConfigError` for what has no keys to give. */
  constructor(keys: Ids<unknown>, nameOf: NameOf = itself) {
    this.#nameOf = nameOf;
    // A single key would be taken for its characters.
    if (typeof keys !== 'object' || keys === null) throw noKeys();
    if (Symbol.asyncIterator in keys) this.#iterator = keys[Symbol.asyncIterator]();
    else if (Symbol.iterator in keys) this.#iterator = keys[Symbol.iterator]();
    else throw noKeys();
    if (Array.isArray(keys)) this.size = keys.length;
    else if (keys instanceof Set) this.size = keys.size;
    else this.size = undefined;
  }

  /**
   * The next keys, as they come; fewer than asked for are the last.
   *
   * Throws: what the source throws; `ConfigError` for what is no key.
   */
  async take(most: number): Promise<SourceKey[]> {
    const keys: SourceKey[] = [];
    while (keys.length < most && !this.#isOver) {
      const step = await this.#next();
      // Given back meanwhile.
      if (this.#isOver) break;
      if (step.done === true) this.#isOver = true;
      else keys.push({ key: this.#nameOf(step.value), id: step.value });
    }
    return keys;
  }

  /**
   * Tells the source, unless it has ended by itself, that nothing more is wanted. Does not wait for it: a
   * source that is being asked for a key may take for ever.
   */
  giveBack(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      const ending: unknown = this.#iterator.return?.();
      if (ending instanceof Promise) ending.catch(() => {});
    } catch {
      // Whoever wanted the keys is told why they are wanted no more.
    }
  }

  #next(): Step | Promise<Step> {
    try {
      const step = this.#iterator.next();
      return step instanceof Promise ? step.catch((error) => this.#failed(error)) : step;
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** One that has failed has ended: it is not to be given back. */
  #failed(error: unknown): never {
    this.#isOver = true;
    throw error;
  }
}

function itself(key: unknown): string {
  checkKey(key, 'warm');
  return key;
}

function noKeys(): ConfigError {
  return new ConfigError('warm: keys must be an iterable or async iterable of keys');
}

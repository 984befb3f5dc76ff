import type { CommandPort } from '@redcache/core';
import { isServerError } from '@redcache/core/toolkit';

/** Deletes a key that holds just this: Valkey from 9.0 on has the one, Redis from 8.4 on the other. */
type Deleting = 'DELIFEQ' | 'DELEX';

/**
 * What the server of one connection compares and deletes in one command of its own, which costs it less
 * than a script. Nothing is assumed: the server is asked which commands it has, once per connection,
 * and one that refuses is not given the command again.
 *
 * There is no such thing for an extension: `SET … IFEQ` is one command, but not one with the reading
 * before and after it that keeps the key tracked and makes its own push countable.
 */
export class Natives {
  readonly #port: CommandPort;
  #deleting: Deleting | 'unknown' | 'none' = 'unknown';

  constructor(port: CommandPort) {
    this.#port = port;
  }

  /** There is another connection, perhaps to another server. */
  forget(): void {
    this.#deleting = 'unknown';
  }

  /**
   * The command that deletes the key if it holds the value, and answers 1 if it did; none if the
   * server has none, or has not said so yet.
   *
   * Sends: COMMAND INFO, the first time.
   */
  deletion(key: string, value: string): readonly string[] | undefined {
    switch (this.#deleting) {
      case 'DELIFEQ':
        return ['DELIFEQ', key, value];
      case 'DELEX':
        return ['DELEX', key, 'IFEQ', value];
      case 'unknown':
        this.#deleting = 'none';
        void this.#ask();
        return undefined;
      default:
        return undefined;
    }
  }

  /** Whether the command was refused for what it is. It is not used any more then. */
  isRefusal(error: unknown): boolean {
    if (!isServerError(error) || !/^(ERR|NOPERM) /.test(error.message)) return false;
    this.#deleting = 'none';
    return true;
  }

  async #ask(): Promise<void> {
    const names: readonly Deleting[] = ['DELIFEQ', 'DELEX'];
    try {
      const answers = await this.#port.send(['COMMAND', 'INFO', ...names]);
      // `null` for each that it does not know.
      const known = names.find((_name, i) => Array.isArray((answers as unknown[])[i]));
      if (known !== undefined) this.#deleting = known;
    } catch {
      // An ACL may forbid the question: scripts do as well.
    }
  }
}

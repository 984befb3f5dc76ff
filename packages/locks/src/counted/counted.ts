import type { Desk } from '../desk.ts';
import type { HeldLock } from '../lock.ts';
import type { Access, AcquireSettings } from '../options.ts';
import type { CountedView } from './view.ts';

/** What a lock that several may hold needs of the locks that made it. */
export interface CountedParts {
  /** Throws for options that are none, and when the locks are closed. */
  wanted(where: string, waits: boolean, options: unknown): AcquireSettings;
  /** Where the callers of this process stand; a new one each time the last has gone idle. */
  desk(): Desk;
  /** Throws when the locks are closed. */
  inspect(where: string): Promise<CountedView>;
}

/** One lock that several may hold, as its callers ask for it in this process. */
export class Counted {
  readonly #parts: CountedParts;

  constructor(parts: CountedParts) {
    this.#parts = parts;
  }

  async acquire(where: string, access: Access | undefined, options: unknown): Promise<HeldLock> {
    const wanted = this.#wanted(where, access, true, options);
    return await this.#parts.desk().acquire(wanted);
  }

  async attempt(
    where: string,
    access: Access | undefined,
    options: unknown,
  ): Promise<HeldLock | null> {
    const wanted = this.#wanted(where, access, false, options);
    return await this.#parts.desk().attempt(wanted, 'try');
  }

  async inspect(where: string): Promise<CountedView> {
    return await this.#parts.inspect(where);
  }

  #wanted(
    where: string,
    access: Access | undefined,
    waits: boolean,
    options: unknown,
  ): AcquireSettings {
    const wanted = this.#parts.wanted(where, waits, options);
    return access === undefined ? wanted : { ...wanted, access };
  }
}

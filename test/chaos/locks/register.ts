import type { Write } from '../../children/lock-contender.ts';

/** A write as it came in, and what became of it. */
export interface Arrival extends Write {
  /** The process it came from. */
  readonly by: string;
  readonly arrivedNs: bigint;
  readonly accepted: boolean;
}

/**
 * What the locks protect: a database that takes a write only if no higher token of its key, and no
 * other holder with the same, has written before. Writes reach it in their own time.
 */
export class Register {
  readonly arrivals: Arrival[] = [];
  readonly #highest = new Map<string, { readonly token: bigint; readonly holder: string }>();
  /** By key: the process that has entered last, and not left yet. */
  readonly #inside = new Map<string, string>();

  write(by: string, write: Write): void {
    const { key, token, call, what } = write;
    const holder = `${by} ${call}`;
    const highest = this.#highest.get(key);
    const accepted =
      highest === undefined ||
      token > highest.token ||
      (token === highest.token && holder === highest.holder);
    this.arrivals.push({ ...write, by, arrivedNs: process.hrtime.bigint(), accepted });
    if (!accepted) return;
    this.#highest.set(key, { token, holder });
    if (what === 'exit') this.#inside.delete(key);
    else this.#inside.set(key, by);
  }

  /** Processes that seem to hold a lock just now. */
  get holders(): readonly string[] {
    return [...new Set(this.#inside.values())];
  }
}

/** One holding of a lock, as its holder says. */
export interface Holding {
  readonly key: string;
  readonly token: bigint;
  readonly by: string;
}

/** A write of a holder that looked at `atNs`, and found that it still holds the lock. */
export interface Write extends Holding {
  /** On a clock that all processes share. */
  readonly atNs: bigint;
  /** Its key may have been removed since it asked for the lock: it may go on until it is told. */
  readonly takenAway: boolean;
}

/**
 * What locks protect: takes writes of holders, refuses those under a lower token than one it has
 * seen, and remembers enough to judge afterwards whether the locks have kept their word.
 */
export class Register {
  readonly #highest = new Map<string, bigint>();
  readonly #writes: Write[] = [];
  readonly #held = new Map<string, string>();
  readonly #given = new Map<string, bigint>();
  readonly #everGiven = new Set<string>();
  readonly #problems: string[] = [];
  accepted = 0;
  refused = 0;

  /** Redis has given out a token: told in the order in which it did. */
  given(key: string, token: bigint): void {
    const last = this.#given.get(key);
    if (last !== undefined && token <= last)
      this.#problems.push(`${key}: token ${token} was given out after ${last}`);
    this.#given.set(key, token);
    this.#everGiven.add(`${key} ${token}`);
  }

  /** A holder says that it has got the lock. */
  entered({ key, token, by }: Holding): void {
    const id = `${key} ${token}`;
    const other = this.#held.get(id);
    if (other !== undefined) this.#problems.push(`${id} was given to ${other} and to ${by}`);
    this.#held.set(id, by);
  }

  write(write: Write): void {
    this.#writes.push(write);
    const { key, token } = write;
    if (token < (this.#highest.get(key) ?? 0n)) {
      this.refused += 1;
      return;
    }
    this.#highest.set(key, token);
    this.accepted += 1;
  }

  /**
   * What was wrong. However late a write has come, at its look no later holder can have been at
   * work yet, unless the lock was taken away behind its holder's back.
   */
  problems(): readonly string[] {
    const problems = [...this.#problems];
    for (const id of this.#held.keys())
      if (!this.#everGiven.has(id)) problems.push(`${id} was never given out`);
    const latest = new Map<string, Write>();
    for (const write of this.#writes.toSorted((a, b) => Number(a.atNs - b.atNs))) {
      const { key, token, by } = write;
      const last = latest.get(key);
      if (last === undefined || token >= last.token) latest.set(key, write);
      else if (!write.takenAway)
        problems.push(`${key}: ${by} held ${token} after ${last.by} had held ${last.token}`);
    }
    return problems;
  }
}

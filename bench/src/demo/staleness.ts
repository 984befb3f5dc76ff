/**
 * Judges every read by what the writer had been promised before it began.
 *
 * The writer updates a row, which raises the row's version, and then deletes its key. When that
 * `delete` has resolved, the version is *confirmed*. A read that begins later and still answers an
 * older version is late, by the time from that confirmation to the beginning of the read. What
 * counts is when the first of all newer versions was confirmed: the read has been wrong since then.
 *
 * No false alarm: a read that had begun before the confirmation may answer either version, and so
 * may a read while an update is under way. Nothing missed: every read is judged by its own version
 * and time, none is sampled, and since confirmations are recorded in the process that judges, all
 * those from before a read are known when the read is reported.
 */
export class Staleness {
  readonly #confirmed = new Map<string, Confirmations>();

  /** Versions of one key come in rising order, and so do their times. */
  confirm(key: string, version: number, confirmedAtMs: number): void {
    const known = this.#confirmed.get(key);
    if (known === undefined) {
      this.#confirmed.set(key, { versions: [version], atMs: [confirmedAtMs] });
      return;
    }
    if (version <= (known.versions.at(-1) as number))
      throw new Error(`${key}: version ${version} was confirmed after a newer one`);
    known.versions.push(version);
    known.atMs.push(confirmedAtMs);
  }

  /** How late the read was in milliseconds; 0 if it was not. */
  latenessMs(key: string, version: number, beganAtMs: number): number {
    const known = this.#confirmed.get(key);
    if (known === undefined) return 0;
    const newer = firstAbove(known.versions, version);
    const confirmedAtMs = known.atMs[newer];
    return confirmedAtMs === undefined ? 0 : Math.max(0, beganAtMs - confirmedAtMs);
  }
}

interface Confirmations {
  readonly versions: number[];
  readonly atMs: number[];
}

/** The index of the first version above this one. Reads are nearly always of the last version. */
function firstAbove(versions: readonly number[], version: number): number {
  let index = versions.length;
  while (index > 0 && (versions[index - 1] as number) > version) index -= 1;
  return index;
}

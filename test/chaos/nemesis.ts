import { pause } from '../support/eventually.ts';
import type { Random } from '../support/random.ts';
import type { Fault } from './fault.ts';

/** A fault that is about to be done. `strike` resolves when it is undone, or done and answered. */
export interface Blow extends Pick<Fault, 'removes' | 'forks'> {
  readonly whom: string;
  strike(): Promise<void>;
}

/** A kind of fault: chooses whom it hits, and how hard. */
export interface Mishap {
  readonly what: string;
  /** No other may happen meanwhile. */
  readonly alone?: boolean;
  aim(): Blow | Promise<Blow>;
}

export interface NemesisOptions {
  readonly random: Random;
  readonly mishaps: readonly Mishap[];
  /** The pauses between blows, least and most. */
  readonly calmMs: readonly [number, number];
}

/** So often a second mishap comes with the first. */
const TOGETHER = 1 / 3;

/** Lets one mishap after the other happen, sometimes two at a time, and notes when each did. */
export class Nemesis {
  readonly faults: Fault[] = [];
  readonly #options: NemesisOptions;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** For that long, and until every mishap has happened; resolves when the last is over. */
  async rage(forMs: number): Promise<void> {
    const { random, mishaps, calmMs } = this.#options;
    if (mishaps.length === 0) return pause(forMs);
    const untilMs = performance.now() + forMs;
    let due: Mishap[] = [];
    const next = (): Mishap => {
      if (due.length === 0) due = random.shuffled(mishaps);
      return due.pop() as Mishap;
    };
    for (let i = 0; i < mishaps.length || performance.now() < untilMs; i += 1) {
      await pause(random.between(...calmMs));
      const first = next();
      const together = first.alone ? [] : due.filter(({ alone }) => !alone);
      const hit = [this.#happen(first)];
      if (together.length > 0 && random.chance(TOGETHER))
        hit.push(this.#happen(random.anyOf(together)));
      await Promise.all(hit);
    }
  }

  async #happen({ what, aim }: Mishap): Promise<void> {
    const { whom, removes, forks, strike } = await aim();
    const beganNs = process.hrtime.bigint();
    try {
      await strike();
    } finally {
      const endedNs = process.hrtime.bigint();
      this.faults.push({ what, whom, beganNs, endedNs, removes, forks });
    }
  }
}

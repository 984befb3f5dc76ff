import type { Clock } from '@redcache/core';
import { Tokens } from '../bid/tokens.ts';
import type { TokenBlock } from '../scripts/answer.ts';

/** Shorter, they could lapse on their way from the answer to the caller, again and again. */
const SHORTEST_LAPSE_MS = 10;

/**
 * Fencing tokens that are good for a while only: then Redis is asked for more before the lease goes
 * to the next caller, and says on that occasion whether other processes wait. Nobody tells the
 * holders that somebody has begun to wait, since there may be many of them.
 */
export class LapsingTokens extends Tokens {
  readonly #clock: Clock;
  readonly #lapseMs: number;
  #lapseAtMs = -Infinity;

  constructor(clock: Clock, lapseMs: number) {
    super();
    this.#clock = clock;
    this.#lapseMs = Math.max(lapseMs, SHORTEST_LAPSE_MS);
  }

  override get left(): number {
    return this.#clock.nowMs() < this.#lapseAtMs ? super.left : 0;
  }

  override add(block: TokenBlock): void {
    super.add(block);
    this.#lapseAtMs = this.#clock.nowMs() + this.#lapseMs;
  }
}

/** So many answers in a row that did not come in time, and nothing more is asked. */
const MOST_TIMEOUTS = 5;
/** Then one call in so long is let through, to see whether Redis is back. */
const PROBE_MS = 1_000;

/**
 * Keeps calls from a server that does not answer, so that they cost nothing instead of the time that
 * one waits for it. Knows neither Redis nor a clock.
 */
export class Breaker {
  #timeouts = 0;
  #probeAtMs = 0;

  /** Whether a call may be sent. One that may not is as good as unanswered. */
  admits(nowMs: number): boolean {
    if (this.#timeouts < MOST_TIMEOUTS) return true;
    if (nowMs < this.#probeAtMs) return false; // guard: I13
    this.#probeAtMs = nowMs + PROBE_MS;
    return true;
  }

  get isOpen(): boolean {
    return this.#timeouts >= MOST_TIMEOUTS;
  }

  answered(): void {
    this.#timeouts = 0;
  }

  timedOut(nowMs: number): void {
    this.#timeouts += 1;
    if (this.#timeouts === MOST_TIMEOUTS) this.#probeAtMs = nowMs + PROBE_MS;
  }
}

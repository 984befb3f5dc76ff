import type { Clock, Timer } from '../clock.ts';

interface Pending {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until a test moves it. Timers run inside {@link ManualClock.advance}. */
export class ManualClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(nowMs = 1_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const pending = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  /** Timers that have not run and were not cancelled: nothing may be left after a close. */
  get timers(): number {
    return this.#pending.size;
  }

  /** When the next timer is due, on this clock. */
  get nextTimerAtMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Moves time on, running the timers that fall due in their order, each at its own time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let next = this.#next(); next && next.atMs <= untilMs; next = this.#next()) {
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = untilMs;
  }

  /** Moves time on without running any timer, as for a process that was stopped. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const each of this.#pending)
      if (
        !first ||
        each.atMs < first.atMs ||
        (each.atMs === first.atMs && each.order < first.order)
      )
        first = each;
    return first;
  }
}

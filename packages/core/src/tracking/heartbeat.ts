import type { Clock, Timer } from '../clock.ts';

/** What a heartbeat asks of the connection that it watches. */
export interface Heart {
  /** Nobody depends on the connection: it is left alone until {@link Heartbeat.watch}. */
  isNeeded(): boolean;
  /** Sends something small and calls {@link Heartbeat.heard} when it is answered. */
  beat(): void;
  /** Nothing was heard for too long. */
  silent(): void;
}

/** What to do now, and when to look again. */
export type Verdict =
  | { readonly is: 'rest' }
  | { readonly is: 'wait'; readonly untilMs: number }
  | { readonly is: 'beat'; readonly untilMs: number }
  | { readonly is: 'silent'; readonly untilMs: number };

export interface Pulse {
  readonly nowMs: number;
  /** The last answer that proved what a beat proves, or when somebody began to depend on it. */
  readonly heardAtMs: number;
  /** The last answer to anything: no earlier than that. */
  readonly answeredAtMs: number;
  readonly isNeeded: boolean;
  /** A beat was sent and is not answered. */
  readonly isBeating: boolean;
}

/**
 * Decides, without clock or connection: a beat at half of what silence may last, silence at all of
 * it. Where every answer proves as much as a beat, a connection that is used gets none.
 */
export function verdict(pulse: Pulse, maxStalenessMs: number): Verdict {
  // What was asked is waited for, since nobody may have needed it only because others were lost.
  if (!pulse.isNeeded && !pulse.isBeating) return { is: 'rest' };
  const halfMs = maxStalenessMs / 2;
  const silentAtMs = pulse.answeredAtMs + maxStalenessMs;
  if (pulse.isBeating) {
    if (pulse.nowMs < silentAtMs) return { is: 'wait', untilMs: silentAtMs }; // guard: I4
    return { is: 'silent', untilMs: pulse.nowMs + halfMs };
  }
  const beatAtMs = pulse.heardAtMs + halfMs;
  if (pulse.nowMs < beatAtMs) return { is: 'wait', untilMs: beatAtMs };
  // Nothing is silence that nothing was asked of, so a beat that is late has its time all the same.
  // No later, since the next beat is due then if this one is answered.
  return { is: 'beat', untilMs: pulse.nowMs + halfMs };
}

/**
 * Timers of a loop that was blocked, or of a process that was stopped, run before it reads what has
 * arrived meanwhile. One that is late by more than this lets the loop read first.
 */
const LATE_MS = 20;

/** Notices within `maxStalenessMs` that a connection has fallen silent, whatever TCP says of it. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #maxStalenessMs: number;
  readonly #heart: Heart;
  #timer: Timer | undefined;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #isBeating = false;

  constructor(clock: Clock, maxStalenessMs: number, heart: Heart) {
    this.#clock = clock;
    this.#maxStalenessMs = maxStalenessMs;
    this.#heart = heart;
  }

  /** When something was last answered. */
  get answeredAtMs(): number {
    return this.#answeredAtMs;
  }

  /** Somebody depends on the connection from now on. Answers whether it was left alone until now. */
  watch(): boolean {
    if (this.#timer !== undefined || this.#maxStalenessMs === Number.POSITIVE_INFINITY)
      return false;
    this.heard();
    this.#look();
    return true;
  }

  /** A beat was answered, or something that proves as much. */
  heard(): void {
    this.#heardAtMs = this.#clock.nowMs();
    this.#answeredAtMs = this.#heardAtMs;
    this.#isBeating = false;
  }

  /** Anything was answered: the connection lives. */
  answered(): void {
    this.#answeredAtMs = this.#clock.nowMs();
  }

  /** What was asked never left this process, so that no answer says nothing. */
  unasked(): void {
    this.#isBeating = false;
  }

  stop(): void {
    this.#timer?.cancel(); // guard: I14
    this.#timer = undefined;
    this.#isBeating = false;
  }

  #look(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.nowMs();
    const isNeeded = this.#heart.isNeeded();
    const found = verdict(
      {
        nowMs,
        heardAtMs: this.#heardAtMs,
        answeredAtMs: this.#answeredAtMs,
        isNeeded,
        isBeating: this.#isBeating,
      },
      this.#maxStalenessMs,
    );
    if (found.is === 'rest') return;
    this.#lookAgain(found.untilMs); // guard: I4
    if (found.is === 'beat') {
      this.#isBeating = true;
      this.#heart.beat();
    } else if (found.is === 'silent') this.#heart.silent();
  }

  #lookAgain(atMs: number): void {
    const delayMs = Math.max(0, atMs - this.#clock.nowMs());
    this.#timer = this.#clock.setTimer(delayMs, () => {
      const isLate = this.#clock.nowMs() > atMs + LATE_MS;
      if (isLate) this.#timer = this.#clock.setTimer(LATE_MS, () => this.#look());
      else this.#look();
      this.#timer?.unref?.();
    });
    this.#timer.unref?.();
  }
}

import type { Clock, Timer } from './clock.ts';

/** So late a timer is when the loop was blocked, or the process stopped; and as long it then waits. */
const LATE_MS = 5;

/**
 * A timer that ends a wait for an answer. Timers of a loop that was blocked run before it reads what
 * has arrived meanwhile: one that is late gives the loop a moment to do so, or every answer would
 * count as none.
 */
export function setPatientTimer(clock: Clock, delayMs: number, run: () => void): Timer {
  const dueAtMs = clock.nowMs() + delayMs;
  let timer = clock.setTimer(delayMs, () => {
    if (clock.nowMs() > dueAtMs + LATE_MS) timer = clock.setTimer(LATE_MS, run);
    else run();
  });
  return { cancel: () => timer.cancel() };
}

import { type ManualClock, settled } from '@redcache/core/testing';

/** Lets time pass in small steps, so that what is answered meanwhile is answered in its time. */
export async function pass(clock: ManualClock, forMs: number, stepMs = 20): Promise<void> {
  await settled();
  for (let leftMs = forMs; leftMs > 0; leftMs -= stepMs) {
    clock.advance(Math.min(stepMs, leftMs));
    await settled();
  }
}

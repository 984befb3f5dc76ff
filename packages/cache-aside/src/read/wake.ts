import type { Clock, TrackingCache, WakeCause } from '@redcache/core';

export type Woken = WakeCause | 'timer' | 'aborted';

/**
 * Waits for a key to change. It listens from its construction, so that a push between seeing that
 * somebody else loads the key and waiting for him is not lost. It never waits for the push alone
 * (I9): the server may remove an expired key long after its time, or never say so.
 */
export class Wake {
  readonly #stop: () => void;
  #cause: WakeCause | undefined;
  #wake: ((cause: WakeCause) => void) | undefined;

  constructor(engine: TrackingCache, key: string) {
    this.#stop = engine.onInvalidation(key, (cause) => {
      this.#cause ??= cause;
      this.#wake?.(cause);
    });
  }

  /** Ends at the first of: a change since construction, `forMs` from now, the signal. Call it once. */
  async wait(clock: Clock, forMs: number, signal: AbortSignal): Promise<Woken> {
    try {
      if (this.#cause !== undefined) return this.#cause; // guard: I9
      return await new Promise<Woken>((resolve) => {
        if (signal.aborted) return resolve('aborted');
        const end = (woken: Woken): void => {
          timer.cancel();
          signal.removeEventListener('abort', onAbort);
          resolve(woken);
        };
        const onAbort = (): void => end('aborted');
        const timer = clock.setTimer(Math.max(0, forMs), () => end('timer'));
        signal.addEventListener('abort', onAbort, { once: true });
        this.#wake = end;
      });
    } finally {
      this.disarm();
    }
  }

  disarm(): void {
    this.#stop();
  }
}

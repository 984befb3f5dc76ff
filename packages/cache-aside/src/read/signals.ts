import { setMaxListeners } from 'node:events';

/** A signal made of others. `stop`: it listens to them no more. */
export interface Derived {
  readonly signal: AbortSignal;
  stop(): void;
}

/** A signal for many keys, so that its caller's own has one listener and Node sees no leak in it. */
export function relay(signal: AbortSignal): Derived {
  const own = allAborted([signal]);
  setMaxListeners(0, own.signal);
  return own;
}

/** Aborts when all of them have, with the reason of the last. */
export function allAborted(signals: readonly AbortSignal[]): Derived {
  const controller = new AbortController();
  let left = signals.length;
  const stops = signals.map((signal) => {
    const onAbort = (): void => {
      left -= 1;
      if (left === 0) controller.abort(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return () => signal.removeEventListener('abort', onAbort);
  });
  return {
    signal: controller.signal,
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

/** Aborts when the first of them does, with its reason. Any number may listen to it. */
export function firstAborted(signals: readonly (AbortSignal | undefined)[]): Derived {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const stops = signals.map((signal) => {
    const onAbort = (): void => controller.abort(signal?.reason);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    return () => signal?.removeEventListener('abort', onAbort);
  });
  return {
    signal: controller.signal,
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

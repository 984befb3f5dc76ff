/**
 * Those who wait on each signal. One signal often ends hundreds of calls, and Node warns of a leak
 * when more than ten listen to it: so one does, for all.
 */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls the listener when the signal aborts. Answers how to take it back. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const listeners = waiting.get(signal) ?? listen(signal);
  // A function of its own, so that the same listener given twice is told twice.
  const told = (): void => listener();
  listeners.add(told);
  return () => {
    if (!listeners.delete(told) || listeners.size > 0) return;
    if (waiting.get(signal) !== listeners) return;
    waiting.delete(signal);
    signal.removeEventListener('abort', tellAll);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const listeners = new Set<() => void>();
  waiting.set(signal, listeners);
  signal.addEventListener('abort', tellAll, { once: true });
  return listeners;
}

function tellAll(this: AbortSignal): void {
  const listeners = waiting.get(this);
  waiting.delete(this);
  for (const listener of listeners ?? []) listener();
}

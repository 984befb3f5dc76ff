import type { LoadContext } from '../../src/index.ts';

/** A loader that the test settles, run by run. */
export function loader() {
  const runs: {
    readonly key: string;
    readonly context: LoadContext;
    answer(value: unknown): void;
    fail(error: unknown): void;
  }[] = [];
  const load = (key: string, context: LoadContext): Promise<unknown> =>
    new Promise((answer, fail) => runs.push({ key, context, answer, fail }));
  return { load, runs };
}

/** What a promise has come to, without waiting for it. */
export function watch<T>(promise: Promise<T>): { value?: T; error?: unknown; done: boolean } {
  const outcome: { value?: T; error?: unknown; done: boolean } = { done: false };
  promise.then(
    (value) => Object.assign(outcome, { value, done: true }),
    (error) => Object.assign(outcome, { error, done: true }),
  );
  return outcome;
}

import { inspect } from 'node:util';

/** How long to go on asking, how often, and what the thing waited for is called in the error. */
export interface EventuallyOptions {
  readonly deadlineMs?: number;
  readonly everyMs?: number;
  readonly what?: string;
}

/** For what is about time itself: how long a fault lasts, how long a holder works. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Asks until the answer passes, and gives that answer. For what real servers and processes do in
 * their own time; everything else has something to await. The only place of the tests that sleeps.
 *
 * A probe that throws has not passed yet. A probe that never settles (a stopped server) ends at the
 * deadline too.
 *
 * Throws: an error that shows the last answer, or has the last failure as its cause.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  passes: (answer: T) => boolean = Boolean,
  { deadlineMs = 20_000, everyMs = 5, what = 'the condition' }: EventuallyOptions = {},
): Promise<T> {
  let last: { is: 'answer'; value: T } | { is: 'failure'; error: unknown } | { is: 'none' } = {
    is: 'none',
  };
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<'deadline'>((resolve) => {
    timer = setTimeout(() => {
      over = true;
      resolve('deadline');
    }, deadlineMs);
  });
  const asking = (async () => {
    while (!over) {
      try {
        const value = await probe();
        last = { is: 'answer', value };
        if (passes(value)) return { value };
      } catch (error) {
        last = { is: 'failure', error };
      }
      await pause(everyMs);
    }
    return 'deadline' as const;
  })();
  try {
    const end = await Promise.race([asking, deadline]);
    if (end !== 'deadline') return end.value;
  } finally {
    over = true;
    clearTimeout(timer);
  }
  throw unmet(`${what}: not within ${deadlineMs} ms`, last);
}

function unmet(
  text: string,
  last: { is: 'answer'; value: unknown } | { is: 'failure'; error: unknown } | { is: 'none' },
): Error {
  switch (last.is) {
    case 'answer':
      return new Error(`${text}; last answer: ${inspect(last.value, { depth: 4 })}`);
    case 'failure':
      return new Error(`${text}; last failure: ${String(last.error)}`, { cause: last.error });
    case 'none':
      return new Error(`${text}; there was no answer at all`);
  }
}

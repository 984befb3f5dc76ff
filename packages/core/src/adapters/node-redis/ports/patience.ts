import { Budget, TIMED_OUT } from '../../../budget.ts';
import { systemClock } from '../../../clock.ts';
import { UnavailableError } from '../../../errors.ts';

/**
 * How long a command may be on its way to a connection: the pool's other users, or a node that is
 * just being connected to, need a moment. Whoever sent it has heard by then that it was not sent.
 */
const PATIENCE_MS = 500;

/** Nothing was sent, and nothing will be (decision 6). */
export function notSent(cause?: unknown): UnavailableError {
  return new UnavailableError(
    'Redis is not connected: nothing was sent',
    cause === undefined ? {} : { cause },
  );
}

/** Bounds what has to come before a command can be sent. */
export class Patience {
  readonly #budget = new Budget(systemClock, PATIENCE_MS);

  /** Throws: `UnavailableError` if it takes too long, or does not come at all. */
  async with<T>(promise: Promise<T>): Promise<T> {
    const outcome = await this.#budget.bound(promise).catch((error: unknown) => {
      throw notSent(error);
    });
    if (outcome === TIMED_OUT) throw notSent();
    return outcome;
  }
}

/** Whether a connection that is not there may still come back within everybody's patience. */
export const isBrief = (downForMs: number): boolean => downForMs < PATIENCE_MS;

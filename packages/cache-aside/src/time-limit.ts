import type { Clock } from '@redcache/core';
import { LoadTimeoutError } from './errors.ts';

/** When others have had enough time. */
export interface TimeLimit {
  readonly clock: Clock;
  readonly forMs: number;
  readonly signal: AbortSignal;
}

/**
 * For what is a user's own and may never end, such as a schema that asks a server. Settles as `work`
 * does; or rejects with the reason of `signal`, or after the time with {@link LoadTimeoutError}, which
 * says that `what` did not come. What `work` comes to later reaches nobody.
 */
export function within<T>(
  work: Promise<T>,
  { clock, forMs, signal }: TimeLimit,
  what: string,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      timer.cancel();
      reject(signal.reason);
    };
    const timer = clock.setTimer(Math.max(0, forMs), () => {
      signal.removeEventListener('abort', leave);
      reject(new LoadTimeoutError(`${what} in time`));
    });
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    const stay = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', leave);
    };
    work.then(
      (value) => {
        stay();
        resolve(value);
      },
      (error: unknown) => {
        stay();
        reject(error);
      },
    );
  });
}

import { ConfigError } from '@redcache/core';
import type { HeldLock, Lock } from './lock.ts';

/** What a holder does while it holds the lock; it should stop when the lock's signal aborts. */
export type Body<T> = (lock: Lock) => T | PromiseLike<T>;

/** What `with…` calls are given: a body, and options before it if there are any. */
export type BodyArguments<Options, T> =
  | readonly [body: Body<T>]
  | readonly [options: Options, body: Body<T>];

export function readBody<Options, T>(
  where: string,
  given: BodyArguments<Options, T>,
): { readonly options: Options | undefined; readonly body: Body<T> } {
  const body = given.at(-1);
  if (typeof body !== 'function') throw new ConfigError(`${where}: the body must be a function`);
  const options = given.length > 1 ? (given[0] as Options) : undefined;
  return { options, body: body as Body<T> };
}

/** Runs the body, and gives the lock back however it ends. */
export async function runHolding<T>(lock: HeldLock, body: Body<T>): Promise<T> {
  let result: T;
  try {
    result = await body(lock);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  // Not answered: the lock was held until now, and ends by itself.
  const outcome = await lock.release().catch(() => 'unanswered' as const);
  if (outcome === 'lost') throw lock.lossError();
  return result;
}

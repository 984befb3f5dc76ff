import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The user has to ask otherwise; the message says what is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** As Node's `parseArgs`. Throws: {@link UsageError}, naming the option. */
export function parseUsage<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // The first sentence names what is unknown or lacks its value; the rest is advice to programs.
    throw new UsageError((error as Error).message.split('. ', 1)[0]);
  }
}

import { parseUsage, UsageError } from '../usage-error.ts';

export interface DemoOptions {
  readonly processes: number;
  readonly seconds: number;
  /** Reads a second in each process. */
  readonly readRate: number;
  /** Updates a second, each followed by a delete of its key. */
  readonly writeRate: number;
  readonly seed: number;
  /** A running Redis to use; else REDIS_URL or a server of the demo's own. */
  readonly url: string | undefined;
  readonly killRedis: boolean;
  /** The database answers nobody for a while, in a run that is long enough and keeps its Redis. */
  readonly stopDatabase: boolean;
  /** Begins with nothing in Redis. */
  readonly isCold: boolean;
}

/** What the user asked for. */
export type Request = { readonly is: 'help' } | ({ readonly is: 'run' } & DemoOptions);

export const HELP = `Usage: npm start -- [options]

Reader processes ask for countries through @redcache/cache-aside while a writer updates them in SQL
and deletes their keys. Every read is checked. Ends with a summary, and with exit code 0 only if no
read was stale beyond the bound, no key was loaded twice at a time, and none failed. In the second half
the database is stopped for a while: what ages meanwhile is served on.

  --processes N    reader processes, 1 to 64 (default 4)
  --seconds N      how long it runs, 1 to 3600 (default 20)
  --read-rate N    reads a second in each process, 1 to 200000 (default 5000)
  --write-rate N   updates a second, 0 to 1000 (default 20)
  --seed N         another sequence of keys (default 1)
  --url URL        use this running Redis, not one of its own; only keys that begin with
                   redcache-demo: are touched (REDIS_URL in the environment does the same)
  --kill-redis     kill its own Redis in the middle and start it again a little later; the database
                   is not stopped then
  --cold           begin with nothing in Redis; else all countries are loaded before the first read
  --help           this text
`;

/** Throws: {@link UsageError} for anything that is not in the help. */
export function parseOptions(args: readonly string[]): Request {
  const { values } = parse(args);
  if (values.help) return { is: 'help' };
  const url = values.url === undefined ? undefined : redisUrl(values.url);
  const killRedis = values['kill-redis'] ?? false;
  if (url !== undefined && killRedis)
    throw new UsageError('--kill-redis kills a server of its own, so it does not go with --url');
  const options: Omit<DemoOptions, 'stopDatabase'> = {
    processes: wholeNumber('--processes', values.processes ?? '4', 1, 64),
    seconds: wholeNumber('--seconds', values.seconds ?? '20', 1, 3600),
    readRate: wholeNumber('--read-rate', values['read-rate'] ?? '5000', 1, 200_000),
    writeRate: wholeNumber('--write-rate', values['write-rate'] ?? '20', 0, 1000),
    seed: wholeNumber('--seed', values.seed ?? '1', 0, 2 ** 32 - 1),
    url,
    killRedis,
    isCold: values.cold ?? false,
  };
  if (killRedis && options.seconds < SECONDS_TO_KILL)
    throw new UsageError(`--kill-redis needs --seconds ${SECONDS_TO_KILL} or more`);
  const stopDatabase = !killRedis && options.seconds >= SECONDS_TO_STOP;
  return { is: 'run', ...options, stopDatabase };
}

/** Below this there is no time for Redis to be there, away, and back. */
const SECONDS_TO_KILL = 4;
/** Nor below this for values to age. */
const SECONDS_TO_STOP = 3;

function parse(args: readonly string[]) {
  return parseUsage({
    args: [...args],
    options: {
      processes: { type: 'string' },
      seconds: { type: 'string' },
      'read-rate': { type: 'string' },
      'write-rate': { type: 'string' },
      seed: { type: 'string' },
      url: { type: 'string' },
      'kill-redis': { type: 'boolean' },
      cold: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
}

function wholeNumber(name: string, text: string, from: number, to: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < from || value > to)
    throw new UsageError(`${name} must be a whole number from ${from} to ${to}, not '${text}'`);
  return value;
}

function redisUrl(text: string): string {
  // The text may hold a password, so it is not repeated.
  if (!URL.canParse(text) || !/^rediss?:$/.test(new URL(text).protocol))
    throw new UsageError('--url must be the URL of a Redis, such as redis://127.0.0.1:6379');
  return text;
}

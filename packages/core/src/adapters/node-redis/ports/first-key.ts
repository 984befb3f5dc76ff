import type { Argument } from '../../../ports.ts';

const SCRIPTS: ReadonlySet<string> = new Set([
  'EVAL',
  'EVALSHA',
  'EVAL_RO',
  'EVALSHA_RO',
  'FCALL',
  'FCALL_RO',
]);

/** Any node answers these. */
const KEYLESS: ReadonlySet<string> = new Set(
  `ACL AUTH CLIENT CLUSTER COMMAND CONFIG DBSIZE ECHO FUNCTION HELLO INFO LASTSAVE LATENCY MODULE PING
   PUBLISH PUBSUB ROLE SCRIPT SLOWLOG TIME WAIT WAITAOF`.match(/\S+/g),
);

/** All their arguments are keys. */
const OF_MANY: ReadonlySet<string> = new Set(['MGET', 'DEL', 'UNLINK', 'EXISTS', 'TOUCH']);

const NONE: readonly string[] = [];

/**
 * The key that decides to which node of a cluster a command goes, if it has any. Of commands of our
 * own, whose first argument is a key unless they are in one of these lists.
 */
export function firstKey(args: readonly Argument[]): string | undefined {
  const name = nameOf(args);
  if (SCRIPTS.has(name)) return Number(args[2]) > 0 ? textOf(args[3]) : undefined;
  return KEYLESS.has(name) ? undefined : textOf(args[1]);
}

/** All keys of such a command. */
export function keysOf(args: readonly Argument[]): readonly string[] {
  const name = nameOf(args);
  if (SCRIPTS.has(name)) return args.slice(3, 3 + Number(args[2])).map(String);
  if (OF_MANY.has(name)) return args.slice(1).map(String);
  const first = firstKey(args);
  return first === undefined ? NONE : [first];
}

const nameOf = ([name = '']: readonly Argument[]): string => String(name).toUpperCase();

/** Keys are text, also where they were given as bytes. */
const textOf = (argument: Argument | undefined): string | undefined =>
  argument === undefined ? undefined : String(argument);

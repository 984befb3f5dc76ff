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

/**
 * The key that decides to which node of a cluster a command goes, if it has any. Of commands of our
 * own, whose first argument is a key unless they are in one of these lists.
 */
export function firstKey(args: readonly string[]): string | undefined {
  const name = (args[0] ?? '').toUpperCase();
  if (SCRIPTS.has(name)) return Number(args[2]) > 0 ? args[3] : undefined;
  return KEYLESS.has(name) ? undefined : args[1];
}

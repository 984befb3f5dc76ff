import { KEYED_READS, NEVER_CACHED } from './cacheable.ts';

/** Keys that a command writes. `all`: anything may change. More keys than it writes do no harm. */
export type WrittenKeys = 'none' | 'all' | readonly string[];

type Args = readonly (string | Buffer)[];
type Rule = 'none' | 'all' | ((args: Args) => WrittenKeys);

/**
 * Which keys a command writes. `args`: the whole command as it is sent.
 *
 * A script writes the keys it declares. A command that is not known here may write any of its
 * arguments, since a key is always a whole argument.
 */
export function writtenKeys(args: Args): WrittenKeys {
  // node-redis names its commands in capitals.
  const rule = RULES.get(args[0]) ?? RULES.get(String(args[0]).toUpperCase()) ?? anyArgument;
  return typeof rule === 'string' ? rule : rule(args);
}

const text = (argument: string | Buffer): string =>
  typeof argument === 'string' ? argument : argument.toString();

/** The argument at `index`, 0 being the name. */
const only =
  (index: number) =>
  (args: Args): WrittenKeys => {
    const key = args[index];
    return key === undefined ? 'none' : [text(key)];
  };

/** One of every `step` arguments from the first one to before the `last` ones. */
const each =
  (step: number, last = 0) =>
  (args: Args): WrittenKeys =>
    keysOf(args, 1, args.length - last, step);

const firstTwo = (args: Args): WrittenKeys => keysOf(args, 1, 3);

/** As many keys, `step` apart, as the argument at `index` says. */
const counted =
  (index: number, step = 1) =>
  (args: Args): WrittenKeys => {
    const count = Number(text(args[index] ?? ''));
    // The server refuses it, and knows best what a number is.
    if (!Number.isInteger(count) || count < 0) return anyArgument(args);
    return keysOf(args, index + 1, index + 1 + count * step, step);
  };

/** What follows these words, wherever they stand: a key of that name costs nothing but a copy. */
const afterWord =
  (...words: readonly string[]) =>
  (args: Args): WrittenKeys => {
    const keys: string[] = [];
    for (let i = 2; i < args.length; i += 1)
      if (words.includes(text(args[i - 1] as string | Buffer).toUpperCase()))
        keys.push(text(args[i] as string | Buffer));
    return keys.length === 0 ? 'none' : keys;
  };

/** All that follows STREAMS: the keys, and the ids that belong to them. */
const afterStreams = (args: Args): WrittenKeys => {
  const streams = args.findIndex((word) => text(word).toUpperCase() === 'STREAMS');
  return streams < 0 ? 'none' : keysOf(args, streams + 1, args.length);
};

/** One key, or an empty one and all that follow KEYS. */
const migrated = (args: Args): WrittenKeys => {
  const keys = args.findIndex((word, i) => i > 5 && text(word).toUpperCase() === 'KEYS');
  return [...keysOf(args, 3, 4), ...(keys < 0 ? [] : keysOf(args, keys + 1, args.length))];
};

function keysOf(args: Args, from: number, to: number, step = 1): readonly string[] {
  const keys: string[] = [];
  const end = Math.min(to, args.length);
  for (let i = from; i < end; i += step) keys.push(text(args[i] as string | Buffer));
  return keys;
}

/** Beyond this an argument of an unknown command is a value: nobody has keys so long. */
const MAX_GUESSED_KEY_LENGTH = 1_024;

const anyArgument = (args: Args): WrittenKeys =>
  args
    .slice(1)
    .filter((argument) => argument.length <= MAX_GUESSED_KEY_LENGTH)
    .map(text);

/** Subcommands of CLUSTER that change neither who owns a slot nor what is in it. */
const CLUSTER_QUESTIONS: ReadonlySet<string> = new Set(
  `COUNT-FAILURE-REPORTS COUNTKEYSINSLOT GETKEYSINSLOT HELP INFO KEYSLOT LINKS MYID MYSHARDID NODES
   REPLICAS SAVECONFIG SHARDS SLAVES SLOT-STATS SLOTS`.match(/\S+/g),
);

const cluster = (args: Args): WrittenKeys =>
  CLUSTER_QUESTIONS.has(text(args[1] ?? '').toUpperCase()) ? 'none' : 'all';

/** It deletes the documents only if it is told to. */
const dropIndex = (args: Args): WrittenKeys =>
  args.some((word, i) => i > 1 && text(word).toUpperCase() === 'DD') ? 'all' : 'none';

/** Writes of the first key alone: most are. */
const FIRST = `
  APPEND ARDEL ARDELRANGE ARINSERT ARMSET ARRING ARSEEK ARSET
  BF.ADD BF.INSERT BF.LOADCHUNK BF.MADD BF.RESERVE
  BITFIELD
  CF.ADD CF.ADDNX CF.COMPACT CF.DEL CF.INSERT CF.INSERTNX CF.LOADCHUNK CF.RESERVE
  CMS.INCRBY CMS.INITBYDIM CMS.INITBYPROB CMS.MERGE
  DECR DECRBY DELEX DELIFEQ
  EXPIRE EXPIREAT
  FT.SUGADD FT.SUGDEL
  GEOADD GEOSEARCHSTORE GETDEL GETEX GETSET
  HDEL HEXPIRE HEXPIREAT HGETDEL HGETEX HINCRBY HINCRBYFLOAT HMSET HPERSIST HPEXPIRE HPEXPIREAT HSET
  HSETEX HSETNX
  INCR INCRBY INCRBYFLOAT INCREX
  JSON.ARRAPPEND JSON.ARRINSERT JSON.ARRPOP JSON.ARRTRIM JSON.CLEAR JSON.DEL JSON.FORGET JSON.MERGE
  JSON.NUMINCRBY JSON.NUMMULTBY JSON.NUMPOWBY JSON.SET JSON.STRAPPEND JSON.TOGGLE
  LINSERT LPOP LPUSH LPUSHX LREM LSET LTRIM
  MOVE
  PERSIST PEXPIRE PEXPIREAT PFADD PFMERGE PSETEX
  RESTORE RESTORE-ASKING RPOP RPUSH RPUSHX
  SADD SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTERSTORE SPOP SREM SUNIONSTORE
  TDIGEST.ADD TDIGEST.CREATE TDIGEST.MERGE TDIGEST.RESET
  TOPK.ADD TOPK.INCRBY TOPK.RESERVE
  TS.ADD TS.ALTER TS.CREATE TS.DECRBY TS.DEL TS.INCRBY
  VADD VREM VSETATTR
  XACK XACKDEL XADD XAUTOCLAIM XCFGSET XCLAIM XDEL XDELEX XNACK XSETID XTRIM
  ZADD ZDIFFSTORE ZINCRBY ZINTERSTORE ZPOPMAX ZPOPMIN ZRANGESTORE ZREM ZREMRANGEBYLEX
  ZREMRANGEBYRANK ZREMRANGEBYSCORE ZUNIONSTORE
`;

const RULES_BY_NAMES: readonly (readonly [Rule, string])[] = [
  [only(1), FIRST],
  // The source of a COPY stays as it is; the key of a container follows the subcommand, that of
  // BITOP the operation.
  [only(2), 'BITOP COPY HIMPORT PFDEBUG XGROUP'],
  [
    firstTwo,
    'BLMOVE BLMOVEM BRPOPLPUSH LMOVE LMOVEM RENAME RENAMENX RPOPLPUSH SMOVE TS.CREATERULE TS.DELETERULE',
  ],
  [each(1), 'DEL UNLINK'],
  [each(1, 1), 'BLPOP BRPOP BZPOPMAX BZPOPMIN'],
  [each(2), 'MSET MSETNX'],
  [each(3), 'JSON.MSET TS.MADD'],
  [counted(1), 'LMPOP ZMPOP'],
  [counted(1, 2), 'MSETEX'],
  [counted(2), 'BLMPOP BZMPOP EVAL EVALSHA FCALL'],
  [afterWord('STORE'), 'SORT'],
  [afterWord('STORE', 'STOREDIST'), 'GEORADIUS GEORADIUSBYMEMBER'],
  [afterStreams, 'XREADGROUP'],
  [migrated, 'MIGRATE'],
  [cluster, 'CLUSTER'],
  [dropIndex, 'FT.DROPINDEX'],
  // DEBUG can do anything. EXEC carries out what was queued before: node-redis's own multi() is not
  // meant, whose commands are seen one by one.
  ['all', 'DEBUG EXEC FAILOVER FLUSHALL FLUSHDB FT.DROP REPLICAOF SLAVEOF SWAPDB TRIMSLOTS'],
  // Nothing of these changes a key, or only after a reconnection (SHUTDOWN) or by a push.
  [
    'none',
    `ACL ASKING AUTH BF.DEBUG BF.INFO BGREWRITEAOF BGSAVE CF.DEBUG CF.INFO CLIENT CMS.INFO COMMAND
     COMMANDLOG CONFIG DISCARD ECHO FT.AGGREGATE FT.ALIASADD FT.ALIASDEL FT.ALIASLIST FT.ALIASUPDATE
     FT.ALTER FT.CREATE FT.CURSOR FT.DICTADD FT.DICTDEL FT.DICTDUMP FT.EXPLAIN FT.EXPLAINCLI FT.INFO
     FT.PROFILE FT.SEARCH FT.SPELLCHECK FT.SYNDUMP FT.SYNUPDATE FT.TAGVALS FUNCTION HELLO HOTKEYS
     INFO JSON.DEBUG LASTSAVE LATENCY LOLWUT MODULE MONITOR MULTI PFSELFTEST PING PSUBSCRIBE PSYNC
     PUBLISH PUBSUB PUNSUBSCRIBE QUIT READONLY READWRITE REPLCONF RESET ROLE SAVE SCRIPT SELECT
     SHUTDOWN SLOWLOG SORT_RO SPUBLISH SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SYNC TDIGEST.INFO TIME
     TS.GET TS.INFO TS.MGET TS.MRANGE TS.MREVRANGE TS.NRANGE TS.NREVRANGE TS.QUERYINDEX
     TS.QUERYLABELS TS.RANGE TS.READ TS.REVRANGE UNSUBSCRIBE UNWATCH WAIT WAITAOF WATCH`,
  ],
];

/** By name, in capitals. What is said of a name last holds. */
const RULES: ReadonlyMap<unknown, Rule> = new Map<unknown, Rule>([
  ...[...KEYED_READS, ...NEVER_CACHED.keys()].map((name) => [name, 'none'] as const),
  ...RULES_BY_NAMES.flatMap(([rule, names]) =>
    (names.match(/\S+/g) ?? []).map((name) => [name, rule] as const),
  ),
]);

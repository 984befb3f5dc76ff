/**
 * Reads that answer the same until one of their keys is written, and whose keys the server tracks.
 * `SORT_RO` is one unless it says BY or GET.
 *
 * HGET and its like are here although a field may have a time of its own: the server pushes when a
 * field expires, and goes through the fields in the order of their times, so that the push comes
 * soon however many there are. That is not so for keys, which it samples.
 */
export const KEYED_READS: readonly string[] = `
  ARCOUNT ARGET ARGETRANGE ARGREP ARLASTITEMS ARLEN ARMGET ARNEXT AROP ARSCAN
  BF.CARD BF.EXISTS BF.MEXISTS
  BITCOUNT BITFIELD_RO BITPOS
  CF.COUNT CF.EXISTS CF.MEXISTS
  CMS.QUERY
  DIGEST
  EXISTS EXPIRETIME
  FT.SUGGET FT.SUGLEN
  GEODIST GEOHASH GEOPOS GEORADIUS_RO GEORADIUSBYMEMBER_RO GEOSEARCH
  GET GETBIT GETRANGE
  HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET HPEXPIRETIME HSTRLEN HVALS
  JSON.ARRINDEX JSON.ARRLEN JSON.GET JSON.MGET JSON.OBJKEYS JSON.OBJLEN JSON.RESP JSON.STRLEN
  JSON.TYPE
  LCS LINDEX LLEN LPOS LRANGE
  MGET
  PEXPIRETIME PFCOUNT
  SCARD SDIFF SDIFFCARD SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER STRLEN SUBSTR SUNION
  SUNIONCARD
  TDIGEST.BYRANK TDIGEST.BYREVRANK TDIGEST.CDF TDIGEST.MAX TDIGEST.MIN TDIGEST.QUANTILE
  TDIGEST.RANK TDIGEST.REVRANK TDIGEST.TRIMMED_MEAN
  TOPK.COUNT TOPK.INFO TOPK.LIST TOPK.QUERY
  TYPE
  VCARD VDIM VEMB VGETATTR VINFO VISMEMBER VLINKS VRANGE VSIM
  XLEN XRANGE XREVRANGE
  ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK
  ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCORE ZUNION
`.match(/\S+/g) as string[];

/**
 * Never cached, whoever calls them cacheable, each with its reason: no push would ever say that the
 * reply is outdated. A container stands for all of its subcommands, `FT.*` for all commands of
 * that module that are not among {@link KEYED_READS}.
 */
export const NEVER_CACHED: ReadonlyMap<string, string> = new Map(
  (
    [
      ['tells a remaining time', 'TTL PTTL HTTL HPTTL'],
      ['is random', 'RANDOMKEY HRANDFIELD SRANDMEMBER ZRANDMEMBER VRANDMEMBER'],
      // The server may rehash between two steps, without a write: an old step among new ones loses
      // elements that an iteration promises to return.
      [
        'is a step of an iteration, whose cursor is good only once',
        'SCAN HSCAN SSCAN ZSCAN BF.SCANDUMP CF.SCANDUMP',
      ],
      [
        'tells how or how often the server keeps or uses the key, which changes without a write',
        'OBJECT MEMORY DEBUG DUMP ARINFO',
      ],
      ['tells of groups and consumers, which change without a push', 'XINFO XPENDING'],
      ['may wait for what is to come', 'XREAD XREADGROUP'],
      ['may read keys it does not declare', 'EVAL EVALSHA FCALL EVAL_RO EVALSHA_RO FCALL_RO'],
      ['depends on every key there is', 'KEYS DBSIZE'],
      ['is sent for its side effect', 'TOUCH CF.COMPACT'],
      ['asks an index of keys it does not name', 'FT.*'],
      ['may depend on the series it is compacted from, which it does not name', 'TS.*'],
      [
        'writes as it reads, and makes no key tracked',
        'GETEX GETDEL GETSET HGETEX HGETDEL SPOP LPOP RPOP ZPOPMIN ZPOPMAX SORT ' +
          'GEORADIUS GEORADIUSBYMEMBER BITFIELD',
      ],
    ] as const
  ).flatMap(([reason, names]) => names.split(' ').map((name) => [name, reason] as const)),
);

const SAFE: ReadonlySet<unknown> = new Set(KEYED_READS);

/** `SORT_RO … BY pattern` and `GET pattern` read keys that are not in the command's key list. */
const SORT_BY_OTHER_KEYS: ReadonlySet<string> = new Set(['BY', 'GET']);

/**
 * Whether the reply of this command depends on its keys alone. `args`: the whole command, one that
 * node-redis or its own definition calls cacheable; a command unknown here is taken at that word.
 */
export function dependsOnKeysAlone(args: readonly (string | Buffer)[]): boolean {
  // node-redis names its commands in capitals: this answers for all but the odd ones.
  return SAFE.has(args[0]) || dependsWhateverCase(String(args[0]).toUpperCase(), args);
}

function dependsWhateverCase(name: string, args: readonly (string | Buffer)[]): boolean {
  if (SAFE.has(name)) return true;
  if (name === 'SORT_RO')
    return !args.slice(2).some((each) => SORT_BY_OTHER_KEYS.has(String(each).toUpperCase()));
  const dot = name.indexOf('.');
  return !NEVER_CACHED.has(name) && !(dot > 0 && NEVER_CACHED.has(`${name.slice(0, dot)}.*`));
}

/** One key of each kind under the names that the samples use. `missing` and `dst` don't exist. */
export const KEYSPACE = samples(`
  SET str hello
  SET str2 world
  SET num 5
  SET old v PX 100000
  SET bits foobar
  PFADD hll a b
  PFADD hll2 c
  RPUSH list a b c d
  RPUSH list2 x
  RPUSH nums 3 1 2
  SADD set a b c
  SADD set2 b c d
  ZADD zset 1 a 2 b 3 c
  ZADD zset2 2 b 9 z
  ZADD lex 0 a 0 b 0 c
  HSET hash f 1 g 2 h x
  HSET ttlhash f 1 g 2
  HPEXPIRE ttlhash 100000 FIELDS 1 f
  GEOADD geo 13.361389 38.115556 P 15.087269 37.502669 C
  XADD stream 1-1 f v
  XADD stream 2-1 f v
  XADD stream 3-1 f v
  XGROUP CREATE stream group 0
  XREADGROUP GROUP group alice COUNT 1 STREAMS stream >
  VADD vectors VALUES 2 1 0 one
  VADD vectors VALUES 2 0 1 two
  VSETATTR vectors one {"a":1}
`);

/** One of each read that is cached, answering something that a write of its keys changes. */
export const READS = samples(`
  BITCOUNT bits
  BITFIELD_RO bits GET u8 0
  BITPOS bits 1
  EXISTS str dst missing
  EXPIRETIME old
  GEODIST geo P C
  GEOHASH geo P
  GEOPOS geo P
  GEORADIUS_RO geo 15 37 500 km
  GEORADIUSBYMEMBER_RO geo P 500 km
  GEOSEARCH geo FROMMEMBER P BYRADIUS 500 km
  GET str
  GETBIT bits 1
  GETRANGE str 0 2
  HEXISTS hash f
  HEXPIRETIME ttlhash FIELDS 1 f
  HGET hash f
  HGETALL hash
  HKEYS hash
  HLEN hash
  HMGET hash f g
  HPEXPIRETIME ttlhash FIELDS 1 f
  HSTRLEN hash f
  HVALS hash
  LCS str str2
  LINDEX list 0
  LLEN list
  LPOS list b
  LRANGE list 0 -1
  MGET str num old missing
  PEXPIRETIME old
  PFCOUNT hll hll2
  SCARD set
  SDIFF set set2
  SINTER set set2
  SINTERCARD 2 set set2
  SISMEMBER set a
  SMEMBERS set
  SMISMEMBER set a z
  SORT_RO nums
  STRLEN str
  SUBSTR str 0 2
  SUNION set set2
  TYPE str
  VCARD vectors
  VDIM vectors
  VEMB vectors one
  VGETATTR vectors one
  VINFO vectors
  VISMEMBER vectors one
  VLINKS vectors one
  VSIM vectors ELE one WITHSCORES
  XLEN stream
  XRANGE stream - +
  XREVRANGE stream + -
  ZCARD zset
  ZCOUNT zset 1 2
  ZDIFF 2 zset zset2
  ZINTER 2 zset zset2
  ZINTERCARD 2 zset zset2
  ZLEXCOUNT lex [a [c
  ZMSCORE zset a b
  ZRANGE zset 0 -1 WITHSCORES
  ZRANGEBYLEX lex [a [c
  ZRANGEBYSCORE zset 1 2
  ZRANK zset b
  ZREVRANGE zset 0 -1
  ZREVRANGEBYLEX lex [c [a
  ZREVRANGEBYSCORE zset 2 1
  ZREVRANK zset b
  ZSCORE zset a
  ZUNION 2 zset zset2 WITHSCORES
`);

/** More reads, so that a change is seen wherever a sample writes. */
export const MORE_READS = samples(`
  EXISTS ttlhash
  GET dst
  GET num
  GET old
  GEOPOS geo P C
  HGETALL ttlhash
  HPEXPIRETIME hash FIELDS 1 f
  LRANGE dst 0 -1
  LRANGE list2 0 -1
  LRANGE nums 0 -1
  MGET str str2 bits
  PEXPIRETIME str
  PFCOUNT hll
  SMEMBERS dst
  SMEMBERS set2
  TYPE dst
  TYPE set2
  XRANGE missing - +
  ZRANGE dst 0 -1 WITHSCORES
  ZRANGE lex 0 -1
  ZRANGE zset2 0 -1 WITHSCORES
`);

/** One or more of each write, every form of which has its keys elsewhere. */
export const WRITES = samples(`
  APPEND str x
  BITFIELD bits SET u8 0 1
  BITOP AND dst str str2
  BLMOVE list list2 LEFT RIGHT 1
  BLMPOP 1 2 list list2 LEFT
  BLPOP list list2 1
  BRPOP missing list2 1
  BRPOPLPUSH list list2 1
  BZMPOP 1 2 zset zset2 MIN
  BZPOPMAX zset zset2 1
  BZPOPMIN zset zset2 1
  COPY str dst
  COPY str str2 REPLACE
  DECR num
  DECRBY num 2
  DEL str list missing
  EVAL redis.call('SET',KEYS[1],ARGV[1]) 1 str x
  EVAL redis.call('RESTORE',KEYS[1],0,redis.call('DUMP',KEYS[2])) 2 dst str
  EXPIRE str 1000
  EXPIRE old 0
  EXPIREAT str 33177117420
  FLUSHALL
  FLUSHDB
  FUNCTION FLUSH
  GEOADD geo 13.5 38.2 P
  GEORADIUS geo 15 37 500 km STORE dst
  GEORADIUS geo 15 37 500 km STOREDIST zset
  GEORADIUSBYMEMBER geo P 500 km STOREDIST dst
  GEOSEARCHSTORE dst geo FROMMEMBER P BYRADIUS 500 km
  GETDEL str
  GETEX old PERSIST
  GETEX str PX 100000
  GETSET str x
  HDEL hash f
  HEXPIRE hash 1000 FIELDS 1 f
  HEXPIRE hash 0 FIELDS 1 f
  HEXPIREAT hash 33177117420 FIELDS 1 f
  HGETDEL hash FIELDS 1 f
  HGETEX ttlhash PERSIST FIELDS 1 f
  HGETEX hash PX 1000 FIELDS 1 f
  HINCRBY hash f 2
  HINCRBYFLOAT hash f 0.5
  HMSET hash f 9
  HPERSIST ttlhash FIELDS 1 f
  HPEXPIRE ttlhash 200000 FIELDS 1 f
  HPEXPIREAT ttlhash 33177117420000 FIELDS 1 f
  HSET hash f 9
  HSET ttlhash f 3
  HSETEX ttlhash PX 1000 FIELDS 1 f 9
  HSETNX hash new 1
  INCR num
  INCRBY num 2
  INCRBYFLOAT num 0.5
  LINSERT list BEFORE b x
  LMOVE list list2 LEFT RIGHT
  LMPOP 2 list list2 LEFT
  LPOP list
  LPUSH list x
  LPUSHX list x
  LREM list 1 a
  LSET list 0 x
  LTRIM list 1 2
  MOVE str 1
  MSET str 1 missing 2
  MSETNX missing 1 dst 2
  PERSIST old
  PEXPIRE str 100000
  PEXPIREAT str 33177117420000
  PFADD hll z y x
  PFDEBUG GETREG hll
  PFMERGE hll hll2
  PFMERGE dst hll hll2
  PSETEX str 100000 x
  RENAME str dst
  RENAME list str
  RENAMENX str dst
  RPOP list
  RPOPLPUSH list list2
  RPUSH list x
  RPUSHX list x
  SADD set z
  SDIFFSTORE dst set set2
  SET str x
  SET missing x
  SET old x KEEPTTL
  SETBIT bits 1 0
  SETEX str 100 x
  SETNX missing x
  SETRANGE str 1 x
  SINTERSTORE set set set2
  SMOVE set set2 a
  SORT nums STORE dst
  SORT nums BY nosort GET # LIMIT 0 2 STORE list
  SPOP set
  SREM set a
  SUNIONSTORE dst set set2
  SWAPDB 0 1
  UNLINK str list
  VADD vectors VALUES 2 1 1 three
  VADD vectors VALUES 2 0.5 1 four CAS
  VREM vectors one
  VSETATTR vectors one {"a":2}
  XACK stream group 1-1
  XADD stream 9-1 f v
  XADD missing 9-1 f v
  XAUTOCLAIM stream group bob 0 0
  XCLAIM stream group bob 0 1-1
  XDEL stream 1-1
  XGROUP CREATE stream other 0
  XGROUP CREATE missing other 0 MKSTREAM
  XGROUP CREATECONSUMER stream group bob
  XGROUP DELCONSUMER stream group alice
  XGROUP DESTROY stream group
  XGROUP SETID stream group 0
  XREADGROUP GROUP group alice COUNT 1 STREAMS stream >
  XSETID stream 9-9
  XTRIM stream MAXLEN 1
  ZADD zset 9 a
  ZDIFFSTORE dst 2 zset zset2
  ZINCRBY zset 5 a
  ZINTERSTORE dst 2 zset zset2
  ZMPOP 2 zset zset2 MIN
  ZPOPMAX zset
  ZPOPMIN zset
  ZRANGESTORE dst zset 0 1
  ZREM zset a
  ZREMRANGEBYLEX lex [a [b
  ZREMRANGEBYRANK zset 0 1
  ZREMRANGEBYSCORE zset 1 2
  ZUNIONSTORE zset 2 zset zset2
`);

/** More writes; these are refused, since nobody is there or what they bring is none. */
export const REFUSED_WRITES: readonly (readonly string[])[] = samples(`
  FUNCTION DELETE library
  FUNCTION LOAD code
  FUNCTION RESTORE payload
  MIGRATE 127.0.0.1 1 str 0 10
  MIGRATE 127.0.0.1 1 <> 0 10 COPY AUTH secret KEYS str list
  RESTORE dst 0 payload
  RESTORE-ASKING dst 0 payload
  XREADGROUP GROUP streams streams STREAMS stream stream2 > 0
`);

/** `<>` stands for an empty argument. */
function samples(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => (line.match(/\S+/g) ?? []).map((word) => (word === '<>' ? '' : word)));
}

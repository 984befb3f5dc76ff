/**
 * Whether this reply is exactly what the command answers when one of its keys does not exist, and
 * its other keys are as they are. `reply`: as the server sent it, before any transformation.
 *
 * Asked when a key was gone at the time of the `PTTL` that follows the read: the key may have been
 * there when it was read. A list of one empty text looks like nothing, and yet is not what `LRANGE`
 * answers for no list. False for a command that is not in the table.
 */
export function saysAbsent(reply: unknown, redisArgs: readonly (string | Buffer)[]): boolean {
  const answer = answers.get(String(redisArgs[0]).toUpperCase());
  return answer?.(reply) ?? false;
}

type Answer = (reply: unknown) => boolean;

const isNull: Answer = (reply) => reply === null;
/** A type mapping may ask for numbers as text, and for text as bytes. */
const isZero: Answer = (reply) => reply === 0 || isText(reply, '0');
const isEmptyText: Answer = (reply) => isText(reply, '');
const isAll =
  (each: Answer): Answer =>
  (reply) =>
    Array.isArray(reply) && reply.every(each);

function isEmpty(reply: unknown): boolean {
  if (typeof reply !== 'object' || reply === null) return false;
  if (reply instanceof Map || reply instanceof Set) return reply.size === 0;
  return !Buffer.isBuffer(reply) && Object.keys(reply).length === 0;
}

function isText(reply: unknown, text: string): boolean {
  return typeof reply === 'string' || Buffer.isBuffer(reply) ? String(reply) === text : false;
}

/**
 * Not here: `SDIFF` and `ZDIFF`, which answer nothing for as long as their second key is there;
 * `BITPOS`, whose answer for no key depends on the bit; what is left of a key's life.
 */
const table: readonly (readonly [answer: Answer, commands: string])[] = [
  [
    isNull,
    'DIGEST GEODIST GET HGET JSON.GET LINDEX VEMB VGETATTR VINFO VLINKS ZRANK ZREVRANK ZSCORE',
  ],
  [
    isZero,
    `BITCOUNT EXISTS GETBIT HEXISTS HLEN HSTRLEN LLEN PFCOUNT SCARD SINTERCARD SISMEMBER STRLEN
     VCARD XLEN ZCARD ZCOUNT ZINTERCARD ZLEXCOUNT`,
  ],
  [isEmptyText, 'GETRANGE SUBSTR'],
  // With LEN it is a number.
  [(reply) => isEmptyText(reply) || isZero(reply), 'LCS'],
  // With COUNT it is a list.
  [(reply) => isNull(reply) || isEmpty(reply), 'LPOS'],
  [(reply) => isText(reply, 'none'), 'TYPE'],
  [
    isEmpty,
    `GEORADIUS_RO GEORADIUSBYMEMBER_RO GEOSEARCH HGETALL HKEYS HVALS LRANGE SINTER SMEMBERS SORT_RO
     SUNION VSIM XRANGE XREVRANGE ZINTER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX
     ZREVRANGEBYSCORE ZUNION`,
  ],
  [isAll(isNull), 'GEOHASH GEOPOS HMGET JSON.MGET MGET ZMSCORE'],
  [isAll(isZero), 'BITFIELD_RO SMISMEMBER'],
];

const answers: ReadonlyMap<string, Answer> = new Map(
  table.flatMap(([answer, commands]) =>
    commands.split(/\s+/).map((command): [string, Answer] => [command, answer]),
  ),
);

import { expect, test } from 'vitest';
import { saysAbsent } from '../../../../src/adapters/node-redis/replies/index.ts';

const bytes = Buffer.from;

test.for([
  ['GET', null],
  ['get', null],
  ['HGET', null],
  ['LINDEX', null],
  ['ZSCORE', null],
  ['ZRANK', null],
  ['GEODIST', null],
  ['JSON.GET', null],
  ['EXISTS', 0],
  ['STRLEN', 0],
  ['LLEN', 0],
  ['GETBIT', 0],
  ['BITCOUNT', 0],
  ['BITCOUNT', '0'],
  ['SINTERCARD', 0],
  ['GETRANGE', ''],
  ['GETRANGE', bytes('')],
  ['LCS', ''],
  ['LCS', 0],
  ['LPOS', null],
  ['LPOS', []],
  ['TYPE', 'none'],
  ['TYPE', bytes('none')],
  ['HGETALL', {}],
  ['HGETALL', Object.create(null)],
  ['HGETALL', new Map()],
  ['HGETALL', []],
  ['SMEMBERS', []],
  ['SMEMBERS', new Set()],
  ['LRANGE', []],
  ['ZRANGE', []],
  ['SUNION', []],
  ['HMGET', [null, null]],
  ['MGET', [null]],
  ['ZMSCORE', [null]],
  ['GEOPOS', [null]],
  ['SMISMEMBER', [0, 0]],
  ['BITFIELD_RO', [0, 0]],
] as const)('%s answers %j for a key that does not exist', ([command, reply]) => {
  expect(saysAbsent(reply, [command, 'key'])).toBe(true);
  expect(saysAbsent(reply, [bytes(command), bytes('key')])).toBe(true);
});

test.for([
  // Each of these can be read from a key that exists, and is not what is read when it does not.
  ['GET', ''],
  ['GET', '0'],
  ['GET', 'none'],
  ['GET', bytes('')],
  ['HGET', ''],
  ['LINDEX', 'none'],
  ['ZSCORE', 0],
  ['ZRANK', 0],
  ['LPOS', 0],
  ['LPOS', [0]],
  ['LRANGE', ['']],
  ['LRANGE', ['none']],
  ['SMEMBERS', ['']],
  ['HGETALL', { field: '' }],
  ['HGETALL', new Map([['field', null]])],
  ['HMGET', ['', null]],
  ['HMGET', [null, 'none']],
  ['ZMSCORE', [0]],
  ['MGET', ['']],
  ['SMISMEMBER', [0, 1]],
  ['STRLEN', 1],
  ['GETRANGE', 'a'],
  ['TYPE', 'string'],
  ['LCS', 'a'],
  // BITPOS answers 0 or -1 for no key, by the bit that is looked for.
  ['BITPOS', 0],
  ['BITPOS', -1],
  // The first key was a subset of the second, which is gone.
  ['SDIFF', []],
  ['ZDIFF', []],
  ['EXPIRETIME', -2],
  ['UNHEARD.OF', null],
] as const)('%s with %j does not say that a key does not exist', ([command, reply]) => {
  expect(saysAbsent(reply, [command, 'key'])).toBe(false);
});

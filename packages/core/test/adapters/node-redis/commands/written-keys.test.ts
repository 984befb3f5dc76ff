import { expect, test } from 'vitest';
import { writtenKeys } from '../../../../src/adapters/node-redis/commands/written-keys.ts';

const bytesOf = (args: readonly string[]) => args.map((each) => Buffer.from(each));
const lowerOf = (args: readonly string[]) => [args[0]?.toLowerCase() ?? '', ...args.slice(1)];

test.for([
  ['SET k v', 'k'],
  ['SET k v GET', 'k'],
  ['GETEX k PX 5', 'k'],
  ['DEL a b c', 'a b c'],
  ['UNLINK a', 'a'],
  ['MSET a 1 b 2', 'a b'],
  ['MSETEX 2 a 1 b 2 EX 5', 'a b'],
  ['JSON.MSET a $ 1 b $ 2', 'a b'],
  ['JSON.SET a $ 1', 'a'],
  ['TS.MADD a 1 1 b 2 2', 'a b'],
  ['RENAME a b', 'a b'],
  ['SMOVE a b m', 'a b'],
  ['COPY a b REPLACE', 'b'],
  ['BITOP AND a b c', 'a'],
  ['BLPOP a b 0', 'a b'],
  ['LMPOP 2 a b LEFT COUNT 9', 'a b'],
  ['BZMPOP 0 2 a b MIN', 'a b'],
  ['ZUNIONSTORE a 2 b c', 'a'],
  ['EVAL return 2 a b c', 'a b'],
  ['EVALSHA sha 0 a', ''],
  ['FCALL f 1 a b', 'a'],
  ['SORT k BY x LIMIT 0 1 store d', 'd'],
  ['GEORADIUS k 1 1 1 km STORE a STOREDIST b', 'a b'],
  ['XREADGROUP GROUP g c STREAMS a b > 0', 'a b > 0'],
  ['XGROUP CREATE k g $', 'k'],
  ['MIGRATE host 1 k 0 5 COPY', 'k'],
  ['MIGRATE host 1 KEYS 0 5 AUTH pass KEYS a b', 'KEYS a b'],
  ['HIMPORT SET k fields v', 'k'],
] as const)('%s writes %s', ([command, keys]) => {
  const args = command.split(' ');
  const expected = keys === '' ? [] : keys.split(' ');
  expect(writtenKeys(args)).toEqual(expected);
  expect(writtenKeys(lowerOf(args))).toEqual(expected);
  expect(writtenKeys(bytesOf(args))).toEqual(expected);
});

test.for([
  'GET k',
  'hgetall k',
  'TTL k',
  'SORT k BY w_*',
  'SORT_RO k',
  'GEORADIUS k 1 1 1 km',
  'EVAL_RO x 1 k',
  'PFCOUNT k',
  'PUBLISH c m',
  'CLUSTER SLOTS',
  'cluster myid',
  'CLIENT TRACKINGINFO',
  'SCRIPT FLUSH',
  'FT.DROPINDEX i',
  'PING',
  'SET',
])('%s writes nothing', (command) => {
  expect(writtenKeys(command.split(' '))).toBe('none');
});

test.for([
  'FLUSHALL',
  'flushdb ASYNC',
  'SWAPDB 0 1',
  'DEBUG RELOAD',
  'REPLICAOF NO ONE',
  'EXEC',
  'CLUSTER SETSLOT 1 NODE x',
  'CLUSTER',
  'FT.DROPINDEX i DD',
])('after %s anything may be different', (command) => {
  expect(writtenKeys(command.split(' '))).toBe('all');
});

test('an unknown command may write any of its arguments', () => {
  expect(writtenKeys(['NEW.WRITE', 'a', Buffer.from('b')])).toEqual(['a', 'b']);
  expect(writtenKeys(['CONSTRUCTOR', 'a'])).toEqual(['a']);
});

test('an argument of an unknown command that is longer than 1024 is a value', () => {
  const [longest, longer] = ['k'.repeat(1024), 'v'.repeat(1025)];
  expect(writtenKeys(['NEW.WRITE', longest, longer, Buffer.from(longer)])).toEqual([longest]);
});

test('a number of keys that is none makes every argument one', () => {
  for (const count of ['x', '-1', '1.5'])
    expect(writtenKeys(['FCALL', 'f', count, 'a'])).toEqual(['f', count, 'a']);
  expect(writtenKeys(['FCALL', 'f'])).toEqual([]);
});

test('more keys promised than sent are as many as there are', () => {
  expect(writtenKeys(['EVAL', 'x', '4000000000', 'a'])).toEqual(['a']);
});

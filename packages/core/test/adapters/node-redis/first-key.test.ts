import { expect, test } from 'vitest';
import { firstKey, keysOf } from '../../../src/adapters/node-redis/ports/first-key.ts';

test.for<[string, readonly (string | Buffer)[], readonly string[]]>([
  ['a command of one key', ['GET', 'k'], ['k']],
  ['with other arguments', ['SET', 'k', 'v', 'PX', '1'], ['k']],
  ['of many', ['MGET', 'a', 'b', 'c'], ['a', 'b', 'c']],
  ['of many, in small letters', ['del', 'a', 'b'], ['a', 'b']],
  ['a script', ['EVALSHA', 'sha1', '2', 'a', 'b', 'c'], ['a', 'b']],
  ['a script without keys', ['EVAL', 'return 1', '0', 'c'], []],
  ['of any node', ['CLIENT', 'ID'], []],
  ['without arguments', ['PING'], []],
  ['as bytes', [Buffer.from('GET'), Buffer.from('ключ')], ['ключ']],
  ['a script as bytes', ['FCALL', 'f', '1', Buffer.from('k'), Buffer.from([255])], ['k']],
])('the keys of a command: %s', ([, args, keys]) => {
  expect(keysOf(args)).toEqual(keys);
  expect(firstKey(args)).toBe(keys[0]);
});

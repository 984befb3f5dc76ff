import { expect, test } from 'vitest';
import { bytes } from '../../src/codecs/bytes.ts';
import type { Codec } from '../../src/codecs/codec.ts';
import { json } from '../../src/codecs/json.ts';
import { msgpack } from '../../src/codecs/msgpack.ts';
import { codec } from '../../src/codecs/named.ts';
import { text } from '../../src/codecs/text.ts';

const own: Codec = {
  name: 'own.v2',
  binary: false,
  encode: String,
  decode: (stored) => stored,
};

test.each([
  [undefined, json],
  ['json', json],
  ['text', text],
  ['bytes', bytes],
  [own, own],
  [msgpack, msgpack],
])('%s is a codec', (given, found) => expect(codec(given, 'codec')).toBe(found));

test.each([
  ['a name that nobody knows', 'yaml', "codec must be 'json', 'text', 'bytes' or a codec"],
  ['the name of one that has to be imported', 'msgpack', 'codec must be'],
  ['null', null, 'codec must be'],
  ['an object without methods', { name: 'x', binary: true }, 'encode() and decode()'],
  ['one that does not say what it writes', { ...own, binary: undefined }, 'binary'],
  ['one without a name', { ...own, name: undefined }, 'must have a name'],
  ['a name with a space', { ...own, name: 'a b' }, 'must have a name'],
  ['a name with a line end', { ...own, name: 'a\n' }, 'must have a name'],
  ['a name that is too long', { ...own, name: 'x'.repeat(33) }, 'must have a name'],
  ['the name of another one', { ...own, name: 'json' }, "a name of its own, not 'json'"],
])('%s is none', (_, given, message) => {
  expect(() => codec(given, 'codec')).toThrow(
    expect.objectContaining({
      code: 'REDCACHE_CONFIG',
      message: expect.stringContaining(message),
    }),
  );
});

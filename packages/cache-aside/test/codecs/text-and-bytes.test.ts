import { expect, test } from 'vitest';
import { bytes } from '../../src/codecs/bytes.ts';
import { text } from '../../src/codecs/text.ts';

test.each([null, 0, {}, ['a'], Buffer.from('a'), new String('a')])('%j is no text', (value) => {
  expect(() => text.encode(value, 'user:1')).toThrow(
    expect.objectContaining({
      code: 'REDCACHE_CODEC',
      key: 'user:1',
      message: "the value of 'user:1' cannot be stored as text: it is no string",
    }),
  );
});

test.each([
  null,
  'a',
  [1, 2],
  new Uint16Array(2),
  new ArrayBuffer(2),
  new DataView(new ArrayBuffer(1)),
])('%j is no bytes', (value) => {
  expect(() => bytes.encode(value, 'user:1')).toThrow(
    expect.objectContaining({ code: 'REDCACHE_CODEC', key: 'user:1' }),
  );
});

test('bytes come back as a Buffer in memory of its own, however small it is', () => {
  const chunk = Buffer.from('some chunk of a socket');
  const back = bytes.decode(chunk.subarray(5, 10)) as Buffer;
  expect(Buffer.isBuffer(back)).toBe(true);
  expect(back.toString()).toBe('chunk');
  expect(back.buffer.byteLength).toBe(5);
  chunk.fill(0);
  expect(back.toString()).toBe('chunk');
});

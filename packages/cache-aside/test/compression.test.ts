import { randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CompressionAlgorithm,
  compress,
  compression,
  decompress,
  MAX_RAW_BYTES,
} from '../src/compression.ts';

const hasZstd = 'zstdCompressSync' in zlib;
const algorithms: CompressionAlgorithm[] = ['brotli', 'gzip', 'deflate'];
if (hasZstd) algorithms.push('zstd');

const SMALL = Buffer.from('{"name":"Ada"}'.repeat(100));
const LARGE = Buffer.concat([randomBytes(300_000), Buffer.alloc(4_700_000, 'abc')]);

describe.each(algorithms)('%s', (algorithm) => {
  test('any bytes come back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 5_000 }), async (raw) => {
        const packed = await compress(algorithm, raw);
        expect((await decompress(algorithm, packed, raw.length)).equals(raw)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('what is small is answered at once, and smaller', () => {
    const packed = compress(algorithm, SMALL) as Buffer;
    expect(packed.length).toBeLessThan(SMALL.length / 4);
    expect(SMALL.equals(decompress(algorithm, packed, SMALL.length) as Buffer)).toBe(true);
  });

  test('what is large is left to another thread, both ways', async () => {
    const packing = compress(algorithm, LARGE);
    expect(packing).toBeInstanceOf(Promise);
    const packed = await packing;
    expect(packed.length).toBeLessThan(LARGE.length / 4);
    const unpacking = decompress(algorithm, packed, LARGE.length);
    expect(unpacking).toBeInstanceOf(Promise);
    expect(LARGE.equals(await unpacking)).toBe(true);
  });

  test.each([0, SMALL.length - 1, SMALL.length + 1])(
    'what says that it holds %i bytes, and does not, is refused',
    async (rawBytes) => {
      const packed = await compress(algorithm, SMALL);
      expect(() => decompress(algorithm, packed, rawBytes)).toThrow();
    },
  );

  test.each([LARGE.length - 1, LARGE.length + 1])(
    'so is what is large, and says %i',
    async (rawBytes) => {
      const packed = await compress(algorithm, LARGE);
      await expect(decompress(algorithm, packed, rawBytes)).rejects.toThrow();
    },
  );

  test('any other bytes are refused', async () => {
    const other = Buffer.from('\x01\x02 no compressed bytes, whatever the algorithm');
    expect(() => decompress(algorithm, other, 1_000)).toThrow();
    await expect(decompress(algorithm, other, 1_000_000)).rejects.toThrow();
  });
});

test('a bomb is not let off: nothing grows beyond what was said, and that has a bound', async () => {
  const bomb = zlib.gzipSync(Buffer.alloc(20_000_000));
  expect(() => decompress('gzip', bomb, 1_000)).toThrow(
    expect.objectContaining({ code: 'ERR_BUFFER_TOO_LARGE' }),
  );
  await expect(decompress('gzip', bomb, 1_000_000)).rejects.toMatchObject({
    code: 'ERR_BUFFER_TOO_LARGE',
  });
  expect(() => decompress('gzip', bomb, MAX_RAW_BYTES + 1)).toThrow('it says that it holds');
});

test.each(['lz4', 'toString', '__proto__'])('an algorithm named %s is refused', (algorithm) => {
  expect(() => decompress(algorithm, SMALL, 1)).toThrow(`cannot decompress '${algorithm}'`);
});

describe('the option', () => {
  test('is nothing unless it is given, and brotli unless it says more', () => {
    expect(compression(undefined, 'compress')).toBeUndefined();
    expect(compression({ above: 1_000 }, 'compress')).toEqual({
      aboveBytes: 1_000,
      algorithm: 'brotli',
    });
  });

  test.each([
    ['no size', {}, 'compress: above'],
    ['a size that is none', { above: 0 }, 'compress: above'],
    ['an algorithm that nobody knows', { above: 1, algorithm: 'lz4' }, 'compress: algorithm'],
    ['another option', { above: 1, level: 9 }, "unknown option 'level'"],
    ['a flag', true, 'options must be an object'],
  ])('refuses %s', (_, given, message) => {
    expect(() => compression(given, 'compress')).toThrow(
      expect.objectContaining({
        code: 'REDCACHE_CONFIG',
        message: expect.stringContaining(message),
      }),
    );
  });

  test.skipIf(hasZstd)('refuses zstd where Node.js has none', () => {
    expect(() => compression({ above: 1, algorithm: 'zstd' }, 'compress')).toThrow(
      expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
    );
  });
});

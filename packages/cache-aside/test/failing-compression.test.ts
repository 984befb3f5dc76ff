import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { text } from '../src/codecs/text.ts';
import { ValueFormat } from '../src/value.ts';

const cause = new Error('no memory');
vi.mock('../src/compression.ts', async (original) => ({
  ...(await original<object>()),
  compress: () => Promise.reject(cause),
}));

const FACTS = { ttlMs: 60_000, tailMs: 0, loadMs: 0 };
const compress = { aboveBytes: 10, algorithm: 'gzip' } as const;
const unhandled = vi.fn();

beforeEach(() => {
  process.on('unhandledRejection', unhandled);
});

afterEach(() => {
  process.off('unhandledRejection', unhandled);
});

/** Node tells of unhandled rejections once all microtasks have run. */
const microtasksRan = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a value that could not be compressed is a CodecError', async () => {
  const format = new ValueFormat({ freeze: true, compress });
  await expect(format.encode('x'.repeat(99), 'user:1', FACTS)).rejects.toMatchObject({
    code: 'REDCACHE_CODEC',
    key: 'user:1',
    cause,
  });
});

test('it rejects for nobody once the value was refused for another reason', async () => {
  const decode = (): never => {
    throw new Error('a bug');
  };
  const codec = { ...text, name: 'broken', decode };
  const format = new ValueFormat({ freeze: true, codec, compress });
  expect(() => format.encode('x'.repeat(99), 'user:1', FACTS)).toThrow('it does not come back');
  await microtasksRan();
  expect(unhandled).not.toHaveBeenCalled();
});

import { expect, inject, test } from 'vitest';
import { newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');

test('what Redis answered while the process was busy for longer than the budget counts', async () => {
  const { cache } = await openCache(url, { timeout: { redis: '50ms' }, onUnavailable: 'throw' });
  const [written, read] = [newKey(), newKey()];
  await cache.set(read, 'v');
  const writing = cache.set(written, 'w');
  const reading = cache.get(read);
  // One turn of the loop, so that the commands have left.
  await new Promise((resolve) => setImmediate(resolve));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  await writing;
  expect(await reading).toBe('v');
  expect(cache.stats()).toMatchObject({ unavailable: 0, unknownOutcomes: 0 });
});

// Writes of one key that nobody waits for in between leave in the order of their calls.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { newKey, openCache } from './local-cache.ts';

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

/** Compressed by another thread. */
const LARGE = 'x'.repeat(300_000);
const open = (name: string) =>
  openCache(server.url, {
    namespace: name,
    compress: { above: 1_000 },
    timeout: { redis: '10s' },
  });

test('a small value after a large one, which takes longer to be made ready', async () => {
  const { cache } = await open('order');
  const key = newKey();
  await cache.set(key, 'so that the epoch is known');
  await Promise.all([cache.set(key, LARGE), cache.set(key, 'small')]);
  expect(await cache.get(key)).toBe('small');
  await Promise.all([cache.set(key, 'small'), cache.set(key, LARGE), cache.delete(key)]);
  expect(await cache.get(key)).toBeUndefined();
  const [, touched] = await Promise.all([cache.set(key, LARGE), cache.touch(key, '1h')]);
  expect(touched).toBe(true);
  const entries = [[key, LARGE] as const, [newKey(), 'other'] as const];
  await Promise.all([cache.setMany(entries), cache.deleteMany([key])]);
  expect(await cache.get(key)).toBeUndefined();
});

test('a delete after a value for which the epoch has to be asked first', async () => {
  const key = newKey();
  const { cache } = await open('new');
  await Promise.all([cache.set(key, 'set'), cache.delete(key)]);
  expect(await cache.get(key)).toBeUndefined();
});

test('what the caller changes later is not written', async () => {
  const { cache } = await open('copied');
  const key = newKey();
  await cache.set(key, 'so that the epoch is known');
  const value = { a: 1 };
  const written = cache.set(key, value);
  value.a = 2;
  await written;
  expect(await cache.get(key)).toEqual({ a: 1 });
});

test('what cannot be written keeps nothing behind it from being written', async () => {
  const { cache } = await open('refused');
  const key = newKey();
  const outcomes = await Promise.allSettled([
    cache.set(key, LARGE),
    cache.set(key, 1n),
    cache.set(key, 'last'),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await cache.get(key)).toBe('last');
});

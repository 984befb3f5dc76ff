// What a script did before the server refused the rest of it is undone.
import { expect, inject, test } from 'vitest';
import { freshKey, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

test('an attempt that fails half way leaves no lock behind', async () => {
  const key = freshKey('half-way');
  const { locks } = await openLocks(url);
  const observer = await openClient(url);
  const fence = `{${inRedis(key)}}:fence`;
  await observer.lPush(fence, 'no token');
  await expect(locks.acquire(key)).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
  expect(await observer.exists(inRedis(key))).toBe(0);
  await observer.del(fence);
  expect(await (await locks.acquire(key)).release()).toBe('released');
});

// Where the server can compare and delete by itself no script is run for that.
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

/** How often the server has run these commands. */
async function callsOf(client: Awaited<ReturnType<typeof openClient>>, ...names: string[]) {
  const stats = await client.info('commandstats');
  const calls = (name: string): number =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return names.reduce((sum, name) => sum + calls(name), 0);
}

async function hasNative(): Promise<boolean> {
  const client = await openClient(url);
  const known = (await client.sendCommand(['COMMAND', 'INFO', 'DELIFEQ', 'DELEX'])) as unknown[];
  return known.some(Array.isArray);
}

test('a lock that nobody waits for is given back by the command of the server, if it has one', async () => {
  const key = freshKey('native');
  const { locks } = await openLocks(url);
  const observer = await openClient(url);
  await (await locks.acquire(key)).release();
  // By then the server has said what it has.
  await locks.isLocked(key);
  const before = await callsOf(observer, 'delifeq', 'delex');
  const lock = await locks.acquire(key);
  expect(await lock.release()).toBe('released');
  expect(await observer.exists(inRedis(key))).toBe(0);
  expect((await callsOf(observer, 'delifeq', 'delex')) - before).toBe((await hasNative()) ? 1 : 0);
});

test('a lock that others wait for is handed over, and one that was taken is left alone', async () => {
  const key = freshKey('native');
  const [one, two] = [await openLocks(url), await openLocks(url)];
  await (await one.locks.acquire(key)).release();
  await one.locks.isLocked(key);
  const waits = hear('redcache:lock:waiting');
  const lock = await one.locks.acquire(key);
  const waiting = two.locks.acquire(key);
  await eventually(() => waits.length > 0);
  await two.locks.isLocked(key);
  expect(await lock.release()).toBe('released');
  const next = await waiting;
  await two.client.set(inRedis(key), '0-other:1', { expiration: { type: 'PX', value: 60_000 } });
  expect(await next.release()).toBe('lost');
  expect(await two.client.get(inRedis(key))).toBe('0-other:1');
});

// One lock in several keys of one deployment, of which a majority has to be held.
import { setImmediate } from 'node:timers/promises';
import type { Lock } from '@redcache/locks';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import {
  aborted,
  type Client,
  extensions,
  freshKey,
  hear,
  openClient,
  openLocks,
} from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const HOUR_MS = 3_600_000;
const KEY_MAJORITY = 2;

/** The keys in which a lock stands, found by its holder. */
async function keysOf({ key, holder }: Lock, client: Client): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of client.scanIterator({ MATCH: `*${key}*`, TYPE: 'string' }))
    for (const each of keys) if ((await client.get(each))?.startsWith(holder)) found.push(each);
  return found;
}

async function hold() {
  const key = freshKey('majority');
  const { locks } = await openLocks(url, { keyMajority: KEY_MAJORITY });
  const observer = await openClient(url);
  const lock = await locks.acquire(key, HOURLY);
  const keys = await eventually(
    () => keysOf(lock, observer),
    (all) => all.length === 2 * KEY_MAJORITY - 1,
  );
  return { key, keys, locks, lock, observer };
}

test('a lock stands in 2m−1 keys, and is given back in all', async () => {
  const { keys, lock, observer } = await hold();
  expect(new Set(keys).size).toBe(3);
  await lock.extend('3h');
  const left = await Promise.all(keys.map((key) => observer.pTTL(key)));
  expect(left.filter((pttl) => pttl > 2 * HOUR_MS).length).toBeGreaterThanOrEqual(KEY_MAJORITY);
  expect(await lock.release()).toBe('released');
  await eventually(async () => (await observer.exists(keys)) === 0);
});

test('a foreign DEL of one key is no loss, of two it is', async () => {
  const { keys, lock, observer } = await hold();
  await observer.del(keys[0] as string);
  await lock.extend();
  expect(lock.signal.aborted).toBe(false);
  const loss = aborted(lock.signal);
  await observer.del(keys);
  expect(await loss).toMatchObject({ reason: 'deleted' });
  expect(await lock.release()).toBe('lost');
});

test('a lease that was cut short in a majority of the keys is repaired', async () => {
  const { keys, lock, observer } = await hold();
  for (const key of keys.slice(0, KEY_MAJORITY)) await observer.pExpire(key, 60_000);
  await eventually(
    () => Promise.all(keys.map((key) => observer.pTTL(key))),
    (all) => all.filter((pttl) => pttl > HOUR_MS / 2).length >= KEY_MAJORITY,
  );
  expect(lock.signal.aborted).toBe(false);
});

test('one key that another holds keeps nobody out, two do', async () => {
  const { key, keys, locks, lock, observer } = await hold();
  expect(await lock.release()).toBe('released');
  const take = (each: string) =>
    observer.set(each, 'somebody else', { expiration: { type: 'PX', value: HOUR_MS } });
  await eventually(async () => (await observer.exists(keys)) === 0);
  await take(keys[0] as string);
  const second = await locks.acquire(key, HOURLY);
  expect(await second.release()).toBe('released');
  await take(keys[1] as string);
  expect(await locks.tryAcquire(key)).toBe(null);
  // What was granted of the third is given back.
  await eventually(async () => (await observer.exists(keys[2] as string)) === 0);
  const waits = hear('redcache:lock:waiting');
  const waiting = locks.acquire(key, HOURLY);
  await eventually(() => waits.length > 0);
  await observer.del(keys[1] as string);
  expect((await waiting).fencingToken).toBeGreaterThan(second.fencingToken);
});

test('clients who all want one lock have it one at a time, however the keys fall among them', async () => {
  const key = freshKey('contended');
  const all = await Promise.all(
    Array.from({ length: 5 }, () => openLocks(url, { keyMajority: KEY_MAJORITY })),
  );
  const tokens: bigint[] = [];
  let inside = 0;
  await Promise.all(
    all.map(async ({ locks }) => {
      for (let turn = 0; turn < 10; turn += 1)
        await locks.withLock(key, { lease: '10s' }, async ({ fencingToken }) => {
          inside += 1;
          tokens.push(fencingToken);
          await setImmediate();
          expect(inside).toBe(1);
          inside -= 1;
        });
    }),
  );
  for (const [i, token] of tokens.entries())
    if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
  expect(tokens).toHaveLength(50);
}, 60_000);

test('it is extended for as long as it is held, and waited for until it is given back', async () => {
  const key = freshKey('extended');
  const options = { keyMajority: KEY_MAJORITY };
  const [one, two] = await Promise.all([openLocks(url, options), openLocks(url, options)]);
  const lock = await one.locks.acquire(key, { lease: 450 });
  const waiting = two.locks.acquire(key, HOURLY);
  await extensions(lock, 6);
  expect(lock.signal.aborted).toBe(false);
  expect(await lock.release()).toBe('released');
  expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
});

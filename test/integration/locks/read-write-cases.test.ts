// A lock for reading and writing: readers together, a writer alone, and no writer starves.
import { setImmediate } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { extensions, freshKey, hear, type OpenOptions, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const BRIEF = { lease: 200, autoExtend: false } as const;

const WAYS: readonly (readonly [way: string, options: OpenOptions])[] = [
  ['a client with a cache', { tracked: true }],
  ['a connection of its own', { tracked: false }],
  ['polling', { tracked: false, tracking: 'poll', retry: { delay: 2 } }],
];

describe.for(WAYS)('with %s', ([, options]) => {
  test('readers are inside together, a writer is alone, and each writer has a higher token', async () => {
    const key = freshKey('both');
    const all = await Promise.all(Array.from({ length: 4 }, () => openLocks(url, options)));
    const inside = { readers: 0, writers: 0 };
    const tokens: bigint[] = [];
    let most = 0;
    await Promise.all(
      all.flatMap(({ locks }) => {
        const lock = locks.readWrite(key);
        const read = async (): Promise<void> => {
          for (let turn = 0; turn < 5; turn += 1)
            await lock.withRead(async () => {
              inside.readers += 1;
              most = Math.max(most, inside.readers);
              for (let i = 0; i < 10; i += 1) await setImmediate();
              expect(inside.writers).toBe(0);
              inside.readers -= 1;
            });
        };
        const write = async (): Promise<void> => {
          for (let turn = 0; turn < 5; turn += 1)
            await lock.withWrite(async ({ fencingToken }) => {
              inside.writers += 1;
              tokens.push(fencingToken);
              for (let i = 0; i < 10; i += 1) await setImmediate();
              expect(inside).toEqual({ readers: 0, writers: 1 });
              inside.writers -= 1;
            });
        };
        return [read(), read(), read(), write()];
      }),
    );
    expect(most).toBeGreaterThan(1);
    expect(tokens).toHaveLength(20);
    for (const [i, token] of tokens.entries())
      if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
  });

  test('a reader keeps writers out, a writer everybody', async () => {
    const key = freshKey('out');
    const [one, two] = await Promise.all([openLocks(url, options), openLocks(url, options)]);
    const [here, there] = [one.locks.readWrite(key), two.locks.readWrite(key)];
    const reader = await here.read(HOURLY);
    const other = await there.tryRead(HOURLY);
    expect(other).not.toBe(null);
    expect(await there.tryWrite(HOURLY)).toBe(null);
    expect(await reader.release()).toBe('released');
    expect(await here.tryWrite(HOURLY)).toBe(null);
    expect(await other?.release()).toBe('released');
    const writer = await there.write(HOURLY);
    expect(await here.tryRead(HOURLY)).toBe(null);
    expect(await here.tryWrite(HOURLY)).toBe(null);
    await expect(here.read({ wait: 50 })).rejects.toMatchObject({
      code: 'REDCACHE_ACQUIRE_TIMEOUT',
    });
    expect(await writer.release()).toBe('released');
    expect(await here.tryRead(HOURLY)).not.toBe(null);
  });
});

test('a writer that waits has its turn though readers never stop coming', async () => {
  const key = freshKey('starving');
  const all = await Promise.all(Array.from({ length: 3 }, () => openLocks(url)));
  let written = false;
  // Each asks again before it leaves: without an order there is always a reader inside.
  const reading = all.map(async ({ locks }) => {
    const lock = locks.readWrite(key);
    let last = await lock.read(HOURLY);
    while (!written) {
      const next = lock.read(HOURLY);
      await last.release();
      last = await next;
    }
    await last.release();
  });
  const { locks } = await openLocks(url);
  const writer = await locks.readWrite(key).write({ ...HOURLY, wait: '20s' });
  written = true;
  expect(await writer.release()).toBe('released');
  await Promise.all(reading);
});

test('when a writer that waits has gone, readers go on', async () => {
  const key = freshKey('gone');
  const waits = hear('redcache:lock:waiting');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const reader = await one.locks.readWrite(key).read(HOURLY);
  const controller = new AbortController();
  const gone = expect(
    two.locks.readWrite(key).write({ ...HOURLY, signal: controller.signal }),
  ).rejects.toBe('gone');
  await eventually(() => waits.length > 0);
  controller.abort('gone');
  await gone;
  const next = await two.locks.readWrite(key).read({ ...HOURLY, wait: '20s' });
  expect(reader.signal.aborted).toBe(false);
  expect(next.signal.aborted).toBe(false);
});

test('a reader that is heard of no more keeps writers out until its lease ends, and other readers stay', async () => {
  const key = freshKey('crashed reader');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const left = await one.locks.readWrite(key).read(BRIEF);
  const kept = await one.locks.readWrite(key).read({ lease: 450 });
  let granted = false;
  const writing = two.locks
    .readWrite(key)
    .write(HOURLY)
    .then((lock) => {
      granted = true;
      return lock;
    });
  await eventually(() => left.signal.aborted);
  await extensions(kept, 3);
  expect(granted).toBe(false);
  expect(kept.signal.aborted).toBe(false);
  expect(await left.release()).toBe('lost');
  expect(await kept.release()).toBe('released');
  expect((await writing).signal.aborted).toBe(false);
});

test('a writer that is heard of no more lets all who wait in at the end of its lease', async () => {
  const key = freshKey('crashed writer');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const left = await one.locks.readWrite(key).write(BRIEF);
  const readers = await Promise.all([1, 2, 3].map(() => two.locks.readWrite(key).read(HOURLY)));
  expect(left.signal.aborted).toBe(true);
  expect(await left.release()).toBe('lost');
  for (const { signal } of readers) expect(signal.aborted).toBe(false);
});

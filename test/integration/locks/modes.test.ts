// One lock wanted by many clients at once, in every way in which a client can hear of a release.
import { setImmediate } from 'node:timers/promises';
import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks, type Locks, type LocksRules } from '@redcache/locks';
import { createClient } from 'redis';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { aborted, freshKey, hear, inRedis, openClient } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const LOCKERS = 10;
const TURNS = 20;

interface Way {
  readonly way: string;
  /** Made anew for each client; none: the client is not tracked. */
  readonly cache?: () => ReturnType<typeof clientSideCache>;
  readonly options?: LocksRules;
}

const PUSHED: readonly Way[] = [
  { way: 'default mode', cache: () => clientSideCache() },
  { way: 'default mode with noLoop', cache: () => clientSideCache({ noLoop: true }) },
  { way: 'optin mode', cache: () => clientSideCache({ mode: 'optin' }) },
  {
    way: 'broadcast mode',
    cache: () => clientSideCache({ mode: { broadcast: ['redcache:lock:'] } }),
  },
  { way: 'no client-side cache' },
];
const WAYS: readonly Way[] = [
  ...PUSHED,
  { way: 'polling', options: { tracking: 'poll', retry: { delay: 1 } } },
];

async function open({ cache, options }: Way): Promise<Locks> {
  const client = createClient({ url, ...(cache ? { clientSideCache: cache() } : {}) });
  client.on('error', () => {});
  onTestFinished(() => client.destroy());
  await client.connect();
  const locks = createLocks({ client, ...options });
  onTestFinished(() => locks.close());
  return locks;
}

const openMany = (way: Way, count: number): Promise<Locks[]> =>
  Promise.all(Array.from({ length: count }, () => open(way)));

describe.for(WAYS)('$way', (way) => {
  test('clients that all want one lock have it one at a time, under rising tokens', async () => {
    const key = freshKey('turns');
    const tokens: bigint[] = [];
    let inside = 0;
    const turns = async (locks: Locks): Promise<void> => {
      for (let turn = 0; turn < TURNS; turn += 1)
        await locks.withLock(key, HOURLY, async ({ fencingToken }) => {
          inside += 1;
          tokens.push(fencingToken);
          await setImmediate();
          expect(inside).toBe(1);
          inside -= 1;
        });
    };
    await Promise.all((await openMany(way, LOCKERS)).map(turns));
    expect(tokens).toHaveLength(LOCKERS * TURNS);
    expect(tokens).toEqual(tokens.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  test('clients that only try have one lock one at a time, and all have it in the end', async () => {
    const key = freshKey('tries');
    let inside = 0;
    let refused = 0;
    const turns = async (locks: Locks): Promise<void> => {
      for (let turn = 0; turn < TURNS; ) {
        const lock = await locks.tryAcquire(key, HOURLY);
        if (lock === null) {
          refused += 1;
          await setImmediate();
          continue;
        }
        inside += 1;
        await setImmediate();
        expect(inside).toBe(1);
        inside -= 1;
        expect(await lock.release()).toBe('released');
        turn += 1;
      }
    };
    await Promise.all((await openMany(way, 4)).map(turns));
    expect(refused).toBeGreaterThan(0);
  });
});

describe.for(PUSHED)('$way, once somebody waits', (way) => {
  /** A holder, and a caller of the same process behind it. */
  async function contended() {
    const key = freshKey('contended');
    const waits = hear('redcache:lock:waiting');
    const locks = await open(way);
    const lock = await locks.acquire(key, HOURLY);
    const waiting = locks.acquire(key, HOURLY);
    // Rejected by close() if a test ends before.
    waiting.catch(() => {});
    await eventually(() => waits.length === 1);
    // A change that is not heard yet, since the tracked connection is being opened, would be missed.
    const observer = await openClient(url);
    await eventually(async () => {
      await observer.pExpire(inRedis(key), 1_800_000);
      return eventually(
        () => observer.pTTL(inRedis(key)),
        (pttl) => pttl > 1_800_000,
        { deadlineMs: 200 },
      );
    });
    return { key, locks, lock, waiting, observer };
  }

  test('a foreign DEL aborts the signal of the holder and lets the waiter in', async () => {
    const { key, lock, waiting, observer } = await contended();
    const loss = aborted(lock.signal);
    await observer.del(inRedis(key));
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(await loss).toMatchObject({ reason: expect.stringMatching(/deleted|taken/) });
    expect(await lock.release()).toBe('lost');
  });

  test('a foreign takeover aborts the signal of the holder, and its release lets nobody in', async () => {
    const { key, lock, waiting, observer } = await contended();
    const loss = aborted(lock.signal);
    await observer.set(inRedis(key), 'somebody else', {
      expiration: { type: 'PX', value: 3_600_000 },
    });
    expect(await loss).toMatchObject({ reason: 'taken' });
    expect(await lock.release()).toBe('lost');
    expect(await observer.get(inRedis(key))).toBe('somebody else');
    await observer.del(inRedis(key));
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  });

  test('a lease that was cut short is repaired again and again, and the waiter stays outside', async () => {
    const { key, lock, waiting, observer } = await contended();
    for (let times = 0; times < 5; times += 1) {
      await observer.pExpire(inRedis(key), 60_000);
      await eventually(
        () => observer.pTTL(inRedis(key)),
        (pttl) => pttl > 1_800_000,
      );
    }
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  });
});

import { expect, inject, test } from 'vitest';
import type { handlers as locker } from '../../children/locker.ts';
import { startChildren } from '../../support/children.ts';
import { eventually } from '../../support/eventually.ts';
import { freshKey, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

test('processes that count under one lock lose no count', async () => {
  const [key, counter] = [freshKey('count'), freshKey('counter')];
  const client = await openClient(url);
  await client.set(counter, '0');
  await using children = await startChildren<typeof locker>('locker.ts', { count: 3 });
  await children.requestAll('open', url);
  const tokens = (await children.requestAll('count', key, counter, 50)).flat();
  expect(await client.get(counter)).toBe('150');
  expect(new Set(tokens).size).toBe(150);
});

test('a process that waits is woken by the push when another releases', async () => {
  const key = freshKey('handed over');
  await using children = await startChildren<typeof locker>('locker.ts', { count: 2 });
  await children.requestAll('open', url);
  const [one, two] = children.all;
  const first = await one?.request('acquire', key, 60_000);
  const woken = two?.event('woken');
  const waiting = two?.request('acquire', key, 60_000);
  const { locks } = await openLocks(url);
  await eventually(async () => (await locks.inspect(key)).waitingProcesses === 1);
  expect(await one?.request('release', key)).toBe('released');
  expect(await waiting).toBeGreaterThan(first as bigint);
  expect(await woken).toMatchObject({ key, cause: 'push' });
});

test.for(['lookAtTime', 'lookAtSignal'] as const)(
  'a process that was stopped past its lease sees the loss at its first look (%s)',
  async (look) => {
    const key = freshKey('stopped');
    const client = await openClient(url);
    await using children = await startChildren<typeof locker>('locker.ts');
    const [child] = children.all;
    await child?.request('open', url);
    await child?.request('acquire', key, 500);
    expect(await child?.request(look, key)).toMatchObject({ reason: undefined });
    await child?.pause();
    // Asked while it stands still: the request is there when it goes on, and so are its timers.
    const seen = child?.request(look, key);
    await eventually(async () => (await client.exists(inRedis(key))) === 0);
    child?.resume();
    expect(await seen).toEqual({ remainingMs: 0, reason: 'expired' });
  },
);

test('the lock of a process that was killed is had at the end of its lease', async () => {
  const key = freshKey('killed');
  await using children = await startChildren<typeof locker>('locker.ts', { count: 2 });
  await children.requestAll('open', url);
  const [one, two] = children.all;
  const first = await one?.request('acquire', key, 1_000);
  const waiting = two?.request('acquire', key, 1_000);
  await one?.kill();
  expect(await waiting).toBeGreaterThan(first as bigint);
});

test.for([true, false])(
  'a process ends by itself when everything is closed, client-side cache: %s',
  async (tracked) => {
    const key = freshKey('closed');
    const client = await openClient(url);
    await using children = await startChildren<typeof locker>('locker.ts');
    const [child] = children.all;
    await child?.request('open', url, tracked);
    expect(await child?.request('closeAll', key)).toBe('REDCACHE_CLOSED');
    expect(await child?.exited).toMatchObject({ code: 0 });
    expect(await client.exists(inRedis(key))).toBe(0);
  },
);

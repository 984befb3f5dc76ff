import { FakeClient, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { createLocks } from '../src/index.ts';
import type { LocksOptions, OneDeployment } from '../src/options.ts';
import { openLocks } from './support/lock-ground.ts';

const client = {
  sendCommand: async () => null,
  duplicate: () => client,
  select: async () => 'OK',
  on: () => client,
  off: () => client,
  isReady: false,
} as unknown as OneDeployment['client'];

test.for<[name: string, options: object]>([
  ['client', {}],
  ['client', { client: new FakeClient() }],
  ['clients', { clients: client }],
  ['clients', { clients: [client] }],
  ['one for each server', { clients: [client, { ...client }, client] }],
  ['clients[1]', { clients: [client, {}] }],
  ['not both', { client, clients: [client, { ...client }] }],
  ['keyMajority', { client, keyMajority: 0 }],
  ['keyMajority', { client, keyMajority: 11 }],
  ['keyMajority is for one client', { clients: [client, { ...client }], keyMajority: 1 }],
  ['client', { client: { ...client, isReady: undefined } }],
  ['prefix', { client, prefix: 1 }],
  ['lease', { client, lease: '10 s' }],
  ['lease', { client, lease: 0 }],
  ['lease', { client, lease: 9 }],
  ['autoExtend', { client, autoExtend: 'yes' }],
  ['driftRatio', { client, driftRatio: 0.5 }],
  ['tracking', { client, tracking: 'on' }],
  ['retry: delay', { client, retry: { delay: -1 } }],
  ['retry: jitter', { client, retry: { jitter: 1 } }],
  ['retry: attempts', { client, retry: { attempts: 1.5 } }],
  ["unknown option 'tries'", { client, retry: { tries: 3 } }],
  ['commandTimeout', { client, commandTimeout: Number.NaN }],
  ["unknown option 'ttl'", { client, ttl: '10s' }],
])('createLocks refuses a bad %s', ([name, options]) => {
  expect(() => createLocks(options as LocksOptions)).toThrow(
    expect.objectContaining({ code: 'REDCACHE_CONFIG', message: expect.stringContaining(name) }),
  );
});

test('every call refuses bad arguments before anything is sent', async () => {
  const { locks, port } = await openLocks();
  const lock = await locks.acquire('k');
  port.log.length = 0;
  const bad = (value: unknown): never => value as never;
  const calls = [
    () => locks.acquire(''),
    () => locks.acquire(bad(42)),
    () => locks.acquire('k', bad({ ttl: 1 })),
    () => locks.acquire('k', { wait: bad('soon') }),
    () => locks.acquire('k', { lease: 1 }),
    () => locks.acquire('k', { signal: bad({}) }),
    () => locks.tryAcquire(''),
    () => locks.tryAcquire('k', bad({ wait: 10 })),
    () => locks.withLock('k', bad(undefined)),
    () => locks.withLock('', () => 1),
    () => locks.withLock('k', bad({ wait: 0 }), () => 1),
    () => locks.isLocked(''),
    () => lock.extend(bad('x')),
    () => lock.extend(0),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
  await settled();
  expect(port.log).toEqual([]);
});

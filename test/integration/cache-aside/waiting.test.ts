// What ends the wait for somebody else's load, when his lease has long to go: never its end.
import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { loader, newKey, openCache, published, storedJson } from './local-cache.ts';

const { standalone } = inject('redis');
const port = Number(new URL(standalone).port);
/** Longer than any test may take, so that only the right cause can end a wait in time. */
const LEASE_MS = 3_600_000;
const THEIRS = 'rc1 l theirs\n';

/** Callers here wait for a load that nobody will ever end. */
async function waiters(server: { url: string; port: number }) {
  const local = await openCache(server.url, { timeout: { redis: '5s', hard: '1h' } });
  const redis = await RawConnection.open({ port: server.port });
  const woken = published<{ cause: string }>('redcache:cache:woken');
  const key = newKey();
  // As whoever loads has begun it before.
  await redis.send('SET', 'redcache:cleared', '1', 'NX');
  await redis.send('SET', key, THEIRS, 'PX', String(LEASE_MS));
  const { load, runs } = loader();
  const callers = Promise.all(Array.from({ length: 50 }, () => local.cache.get(key, load)));
  await eventually(() => local.cache.stats().waits === 1);
  return {
    ...local,
    redis,
    key,
    runs,
    callers,
    causes: () => woken.map(({ cause }) => cause),
    [Symbol.asyncDispose]: async () => redis.close(),
  };
}

const shared = { url: standalone, port };

test('a delete wakes all by its push, and one loads for all', async () => {
  await using waiting = await waiters(shared);
  await waiting.redis.send('DEL', waiting.key);
  await eventually(() => waiting.runs.length === 1);
  expect(waiting.causes()).toEqual(['push']);
  waiting.runs[0]?.answer('v');
  expect(new Set(await waiting.callers)).toEqual(new Set(['v']));
  expect(waiting.runs).toHaveLength(1);
});

test('a value that is written is read by all, and nobody loads', async () => {
  await using waiting = await waiters(shared);
  await waiting.redis.send('SET', waiting.key, storedJson('"v"'), 'PX', '60000');
  expect(new Set(await waiting.callers)).toEqual(new Set(['v']));
  expect(waiting.causes()).toEqual(['push']);
  expect(waiting.runs).toHaveLength(0);
});

test('FLUSHALL wakes all, and one loads for all', async () => {
  await using server = await startStandalone();
  await using waiting = await waiters(server.node);
  await waiting.redis.send('FLUSHALL');
  await eventually(() => waiting.runs.length === 1);
  expect(waiting.causes()).toEqual(['flush']);
  waiting.runs[0]?.answer('v');
  expect(new Set(await waiting.callers)).toEqual(new Set(['v']));
});

test('CLIENT KILL wakes all; the key whose push was lost with the connection is loaded', async () => {
  await using server = await startStandalone();
  await using waiting = await waiters(server.node);
  const id = String(await waiting.client.sendCommand(['CLIENT', 'ID']));
  // In one step, so that nobody is told of the delete.
  await waiting.redis.send('MULTI');
  await waiting.redis.send('CLIENT', 'KILL', 'ID', id);
  await waiting.redis.send('DEL', waiting.key);
  await waiting.redis.send('EXEC');
  await eventually(() => waiting.runs.length === 1);
  expect(waiting.causes()).toEqual(['disconnect']);
  waiting.runs[0]?.answer('v');
  expect(new Set(await waiting.callers)).toEqual(new Set(['v']));
  expect(await waiting.redis.send('GET', waiting.key)).toMatch(/^rc1 v .*\n"v"$/);
});

test('CLIENT KILL while the other still loads: all look again and go on waiting', async () => {
  await using server = await startStandalone();
  await using waiting = await waiters(server.node);
  await waiting.redis.send('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually(() => waiting.cache.stats().waits === 2);
  expect(waiting.causes()).toEqual(['disconnect']);
  expect(waiting.runs).toHaveLength(0);
  await waiting.redis.send('SET', waiting.key, storedJson('"v"'), 'PX', '60000');
  expect(new Set(await waiting.callers)).toEqual(new Set(['v']));
  expect(waiting.causes()).toEqual(['disconnect', 'push']);
});

test('a placeholder without an end is taken over', async () => {
  const { cache, client } = await openCache(standalone);
  const key = newKey();
  await client.sendCommand(['SET', key, THEIRS]);
  expect(await cache.get(key, () => 'v')).toBe('v');
  expect(await client.sendCommand(['GET', key])).toMatch(/^rc1 v .*\n"v"$/);
});

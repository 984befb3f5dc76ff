// Whether a lock is held, asked by a script of somebody else's in the same step as what it does then.

import { portOf } from '@redcache/core/node-redis';
import { defineScript, runScript } from '@redcache/core/toolkit';
import { HELD } from '@redcache/locks/lease';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const ASK = defineScript({
  keys: 1,
  lua: `${HELD}
local held, why = is_held(KEYS[1], ARGV[1])
return {held and 'held' or 'not', why or 'for no reason'}`,
});

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

test('by its holder, whether others wait or not, until it is given back', async () => {
  const [{ locks }, others] = [await openLocks(server.url), await openLocks(server.url)];
  const port = portOf(await openClient(server.url));
  const key = freshKey('held');
  const ask = (holder: string) => runScript(port, ASK, [inRedis(key)], [holder]);
  const lock = await locks.acquire(key);
  const held = ['held', 'for no reason'];
  expect(await ask(lock.holder)).toEqual(held);
  // The beginning of its name is not its name.
  expect(await ask(lock.holder.slice(0, -1))).toEqual(['not', -1]);
  const waits = hear('redcache:lock:waiting');
  const next = others.locks.acquire(key);
  await eventually(() => waits.length > 0);
  await eventually(async () => String(await server.node.ask('GET', inRedis(key))).endsWith('+'));
  expect(await ask(lock.holder)).toEqual(held);
  await lock.release();
  expect(await ask((await next).holder)).toEqual(held);
  expect(await ask(lock.holder)).toEqual(['not', -1]);
  await (await next).release();
  expect(await ask(lock.holder)).toEqual(['not', 0]);
});

test('not by anybody where something else stands', async () => {
  const port = portOf(await openClient(server.url));
  for (const [command, ...args] of [
    ['SET', 'text'],
    ['RPUSH', 'list'],
  ]) {
    const key = freshKey('foreign');
    await server.node.ask(command as string, key, ...args);
    expect(await runScript(port, ASK, [key], ['text'])).toEqual(['not', -1]);
  }
});

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { attach, createTrackingCache, type Fence } from '@redcache/core';
import { assertIdle, FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { Keyspace } from '../../src/redis/keyspace.ts';
import { UncertainKeys } from '../../src/write/uncertain.ts';
import { wayOf } from '../support/way-of.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled.splice(0)).toEqual([]);
});

async function uncertain() {
  const clock = new ManualClock();
  const engine = createTrackingCache({ clock });
  const client = new FakeClient();
  // Without heartbeats: the timers of the clock are those under test.
  attach(engine, client, { maxStaleness: false });
  await client.connect();
  const keys = new UncertainKeys(new Keyspace(wayOf(client), clock, 100), clock);
  const fences = (...names: string[]): Map<string, Fence> =>
    new Map(names.map((name) => [name, engine.fence([name])]));
  /** Whether a read of the key would be kept here. */
  const keeps = (key: string): boolean => {
    const guard = engine.guard([key]);
    const filling = { kind: 'present', remaining: 1_000, valueBytes: 1 } as const;
    return engine.fill(guard, key, 'v', filling);
  };
  return { clock, engine, client, keys, fences, keeps };
}

/** A command on the wire that the test answers. */
function unanswered() {
  let answer!: (reply: unknown) => void;
  let fail!: (error: Error) => void;
  const reply = new Promise<unknown>((yes, no) => {
    answer = yes;
    fail = no;
  });
  return { reply, answer, fail };
}

test('a key that is uncertain is not kept here, other keys are', async () => {
  const { keys, fences, keeps } = await uncertain();
  keys.add(fences('k'), unanswered().reply);
  expect(keeps('k')).toBe(false);
  expect(keeps('other')).toBe(true);
  expect(keys.size).toBe(1);
});

test('a late answer of the command itself settles it, without another one', async () => {
  const { client, keys, fences, keeps } = await uncertain();
  const command = unanswered();
  keys.add(fences('k'), command.reply);
  command.answer(1);
  await settled();
  expect(keys.size).toBe(0);
  expect(keeps('k')).toBe(true);
  expect(client.sent).toEqual([]);
});

describe('a connection that comes up', () => {
  test('is given the remedy of a key behind its delete; until both are answered it stays uncertain', async () => {
    const { client, keys, fences, keeps } = await uncertain();
    client.connection('down');
    const command = unanswered();
    keys.add(fences('a'), command.reply, (port) => port.send(['REMEDY']));
    command.fail(new Error('Socket closed'));
    await settled();
    const connected = client.connect();
    expect(client.sent.map(({ args }) => args.join(' ')).slice(0, 2)).toEqual(['DEL a', 'REMEDY']);
    client.next('DEL').reply(1);
    await settled();
    expect([keys.size, keeps('a')]).toEqual([1, false]);
    client.next('REMEDY').reply('OK');
    await connected;
    await settled();
    expect(keys.size).toBe(0);
  });

  test('is given the deletes first, before who waits for it can send', async () => {
    const { client, keys, fences, keeps } = await uncertain();
    client.connection('down');
    const command = unanswered();
    keys.add(fences('a', 'b'), command.reply);
    command.fail(new Error('Socket closed'));
    await settled();
    expect(client.sent).toEqual([]);
    const connected = client.connect();
    expect(client.sent.map(({ args }) => args.join(' '))).toEqual(['DEL a b']);
    await connected;
    expect(keeps('a')).toBe(false);
    expect(keeps('other')).toBe(true);
    client.next('DEL', 'a', 'b').reply(0);
    await settled();
    expect(keys.size).toBe(0);
    expect(keeps('a') && keeps('b')).toBe(true);
  });

  test('and is lost again before the answer leaves the keys to the next one', async () => {
    const { client, keys, fences } = await uncertain();
    client.connection('down');
    keys.add(fences('k'), undefined);
    for (let i = 0; i < 3; i++) {
      client.connection('up');
      expect(client.sent.map(({ args }) => args.join(' '))).toContain('DEL k');
      client.connection('down');
      await settled();
      expect(keys.size).toBe(1);
    }
    await client.connect();
    client.next('DEL', 'k').reply(1);
    await settled();
    expect(keys.size).toBe(0);
  });

  test('is given as many deletes as there are chunks of 500 keys', async () => {
    const { client, keys, fences } = await uncertain();
    client.connection('down');
    keys.add(fences(...Array.from({ length: 1_001 }, (_, i) => `k${i}`)), undefined);
    client.connection('up');
    const deletes = client.sent.filter(({ args }) => args[0] === 'DEL');
    expect(deletes.map(({ args }) => args.length - 1)).toEqual([500, 500, 1]);
  });
});

test('a command that fails while the connection is up is made good at once', async () => {
  const { client, keys, fences } = await uncertain();
  const command = unanswered();
  keys.add(fences('k'), command.reply);
  command.fail(new Error('ERR refused late'));
  await settled();
  client.next('DEL', 'k').reply(1);
  await settled();
  expect(keys.size).toBe(0);
});

test('many commands that fail late cost one delete each, not one of all keys for each', async () => {
  const { client, keys, fences } = await uncertain();
  const commands = Array.from({ length: 1_000 }, () => unanswered());
  for (const [i, { reply }] of commands.entries()) keys.add(fences(`k${i}`), reply);
  for (const { fail } of commands) fail(new Error('READONLY refused late'));
  await settled();
  const named = client.sent.flatMap(({ args }) => args.slice(1));
  expect(named).toHaveLength(1_000);
  for (const { args, reply } of [...client.sent]) reply(args.length - 1);
  await settled();
  expect(keys.size).toBe(0);
});

test('a delete does not settle a write that became uncertain after it was sent', async () => {
  const { client, keys, fences, keeps } = await uncertain();
  client.connection('down');
  keys.add(fences('k'), undefined);
  await client.connect();
  const second = unanswered();
  keys.add(fences('k'), second.reply);
  client.next('DEL', 'k').reply(1);
  await settled();
  expect(keys.size).toBe(1);
  expect(keeps('k')).toBe(false);
  second.answer('OK');
  await settled();
  expect(keys.size).toBe(0);
  expect(keeps('k')).toBe(true);
});

test('beyond 10 000 keys the oldest is forgotten, which is said', async () => {
  const { client, keys, fences, keeps } = await uncertain();
  const dropped: unknown[] = [];
  const onDropped = (message: unknown): void => void dropped.push(message);
  subscribe('redcache:cache:uncertain-dropped', onDropped);
  try {
    client.connection('down');
    for (let i = 0; i < 10_002; i++) keys.add(fences(`k${i}`), undefined);
    expect(keys.size).toBe(10_000);
    expect(dropped).toEqual([{ key: 'k0' }, { key: 'k1' }]);
    await client.connect();
    expect(keeps('k0')).toBe(true);
    expect(keeps('k2')).toBe(false);
  } finally {
    unsubscribe('redcache:cache:uncertain-dropped', onDropped);
  }
});

describe('closing', () => {
  test('gives every key free and stops listening', async () => {
    const { engine, client, keys, fences } = await uncertain();
    keys.add(fences('a', 'b'), unanswered().reply);
    const listeners = client.listeners;
    keys.close();
    expect(client.listeners).toBe(listeners - 1);
    expect(keys.size).toBe(0);
    assertIdle(engine);
  });

  test('a write that turns out unanswered afterwards leaves nothing either', async () => {
    const { engine, client, keys, fences } = await uncertain();
    keys.close();
    keys.add(fences('a'), unanswered().reply);
    keys.add(fences('b'), undefined);
    await settled();
    expect(keys.size).toBe(0);
    expect(client.sent).toEqual([]);
    assertIdle(engine);
  });
});

describe('a delete that Redis refuses over a connection that lasts', () => {
  const refused = new Error('LOADING Redis is loading the dataset in memory');

  test('is repeated after a while, until it is confirmed', async () => {
    const { clock, client, keys, fences } = await uncertain();
    keys.add(fences('k'), undefined);
    for (let refusals = 0; refusals < 3; refusals += 1) {
      client.next('DEL', 'k').fail(refused);
      await settled();
      expect(client.sent).toEqual([]);
      expect(clock.timers).toBe(1);
      clock.advance(500);
    }
    client.next('DEL', 'k').reply(1);
    await settled();
    expect(keys.size).toBe(0);
    expect(clock.timers).toBe(0);
  });

  test('is left to the next connection when this one is lost meanwhile', async () => {
    const { clock, client, keys, fences } = await uncertain();
    keys.add(fences('k'), undefined);
    client.next('DEL', 'k').fail(refused);
    await settled();
    client.connection('down');
    clock.advance(500);
    expect(client.sent).toEqual([]);
    client.connection('up');
    expect(client.sent.map(({ args }) => args.join(' '))).toContain('DEL k');
  });

  test('I14: leaves no timer behind when the cache is closed', async () => {
    const { clock, client, keys, fences } = await uncertain();
    keys.add(fences('k'), undefined);
    client.next('DEL', 'k').fail(refused);
    await settled();
    keys.close();
    expect(clock.timers).toBe(0);
  });
});

import { FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { chunks, Keyspace } from '../../src/redis/keyspace.ts';
import { acquire } from '../../src/scripts/acquire.ts';
import { release } from '../../src/scripts/release.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled.splice(0)).toEqual([]);
});

function connected(budgetMs = 100) {
  const clock = new ManualClock();
  const client = new FakeClient();
  client.connection('up');
  const keyspace = new Keyspace(client, clock, budgetMs);
  return { clock, client, keyspace };
}

const request = { key: 'k', placeholder: 'mine', leaseMs: 1_000, unreadable: '' };

describe('reading', () => {
  test('sends GET and then PTTL at once', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k');
    expect(client.sent.map(({ args }) => args)).toEqual([
      ['GET', 'k'],
      ['PTTL', 'k'],
    ]);
    client.next('GET').reply('text');
    client.next('PTTL').reply(70);
    expect(await seen).toEqual({ text: 'text', remaining: 70 });
  });

  test.each([
    [-1, 'none'],
    [-2, 'unknown'],
    [0, 0],
    [5, 5],
  ])('a PTTL of %s is remaining %s', async (pttl, remaining) => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k');
    client.next('GET').reply('text');
    client.next('PTTL').reply(pttl);
    expect(await seen).toEqual({ text: 'text', remaining });
  });

  test('many: one MGET for every 500 keys, each followed by its PTTLs, in the order of the keys', async () => {
    const { client, keyspace } = connected();
    const keys = Array.from({ length: 1_200 }, (_, i) => `k${i}`);
    const seen = keyspace.readMany(keys);
    const mgets = client.sent.filter(({ args }) => args[0] === 'MGET');
    expect(mgets.map(({ args }) => args.length - 1)).toEqual([500, 500, 200]);
    expect(client.sent).toHaveLength(3 + 1_200);
    for (const { args, reply } of [...client.sent])
      reply(args[0] === 'MGET' ? args.slice(1).map((key) => `of ${key}`) : 9);
    expect((await seen).map(({ text }) => text)).toEqual(keys.map((key) => `of ${key}`));
  });

  test('a PTTL that fails fails the read: nothing may be kept without it', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k');
    client.next('GET').reply('text');
    client.next('PTTL').fail(new Error('Socket closed'));
    await expect(seen).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  });
});

describe('whatever keeps Redis from answering is an UnavailableError', () => {
  test('no answer within the budget', async () => {
    const { clock, client, keyspace } = connected(100);
    const seen = keyspace.read('k');
    clock.advance(100);
    await expect(seen).rejects.toMatchObject({
      code: 'REDCACHE_UNAVAILABLE',
      message: 'Redis did not answer within 100 ms',
    });
    expect(clock.timers).toBe(0);
    for (const { fail } of [...client.sent]) fail(new Error('too late'));
  });

  test('a lost connection, with its cause', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k');
    client.connection('down');
    await expect(seen).rejects.toMatchObject({
      code: 'REDCACHE_UNAVAILABLE',
      cause: expect.objectContaining({ message: 'the connection was lost' }),
    });
  });

  test('a refusal, in the words of the server', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k');
    client.next('GET').fail(new Error('WRONGTYPE not a string'));
    await expect(seen).rejects.toThrow('Redis refused: WRONGTYPE not a string');
    client.next('PTTL').reply(-1);
  });

  test('nothing is sent while the connection is down', async () => {
    const { clock, client, keyspace } = connected(100);
    client.connection('down');
    const seen = keyspace.read('k');
    clock.advance(100);
    await expect(seen).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    expect(client.sent).toEqual([]);
  });
});

describe('acquiring', () => {
  test('answers that it is ours', async () => {
    const { client, keyspace } = connected();
    const acquired = keyspace.acquire(request);
    expect(client.next().args).toEqual(['EVALSHA', acquire.sha1, '1', 'k', 'mine', '1000', '']);
    client.next().reply([1]);
    expect(await acquired).toEqual({ is: 'acquired' });
  });

  test('answers what is there instead', async () => {
    const { client, keyspace } = connected();
    const acquired = keyspace.acquire(request);
    client.next().reply([0, 'theirs', 40]);
    expect(await acquired).toEqual({ is: 'taken', seen: { text: 'theirs', remaining: 40 } });
  });

  test('is undone when it succeeds after its caller has given up', async () => {
    const { clock, client, keyspace } = connected(100);
    const acquired = keyspace.acquire(request);
    clock.advance(100);
    await expect(acquired).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    client.next('EVALSHA', acquire.sha1).reply([1]);
    await settled();
    expect(client.next().args).toEqual(['EVALSHA', release.sha1, '1', 'k', 'mine']);
    client.next().reply(1);
  });

  test('is not undone when it was answered late that somebody else has it', async () => {
    const { clock, client, keyspace } = connected(100);
    const acquired = keyspace.acquire(request);
    clock.advance(100);
    await expect(acquired).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    client.next('EVALSHA', acquire.sha1).reply([0, 'theirs', 10]);
    await settled();
    expect(client.sent).toEqual([]);
  });
});

test.each([
  [1, { is: 'extended', echoes: 1 }],
  [0, { is: 'deleted' }],
  [-1, { is: 'taken' }],
])('extend: %s says %s', async (reply, answer) => {
  const { client, keyspace } = connected();
  const extended = keyspace.extend('k', 'mine', 1_000);
  client.next('EVALSHA').reply(reply);
  expect(await extended).toEqual(answer);
});

describe('writing', () => {
  test('settles within the budget while the reply may still come', async () => {
    const { clock, client, keyspace } = connected(100);
    const written = await keyspace.write((port) => port.send(['DEL', 'k']));
    clock.advance(100);
    expect(typeof (await written.outcome)).toBe('symbol');
    client.next('DEL').reply(1);
    expect(await written.reply).toBe(1);
  });

  test('throws what the server said', async () => {
    const { client, keyspace } = connected();
    const written = await keyspace.write((port) => port.send(['SET', 'k', 'v']));
    const refused = new Error('OOM command not allowed');
    client.next('SET').fail(refused);
    await expect(written.outcome).rejects.toBe(refused);
  });
});

test('closed, it listens to nothing and asks nothing', async () => {
  const { client, keyspace } = connected();
  keyspace.close();
  expect(client.listeners).toBe(0);
  await expect(keyspace.read('k')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  expect(client.sent).toEqual([]);
});

test('chunks leave no key out and make none of nothing', () => {
  expect(chunks([])).toEqual([]);
  const keys = Array.from({ length: 1_001 }, (_, i) => String(i));
  expect(chunks(keys).map((chunk) => chunk.length)).toEqual([500, 500, 1]);
  expect(chunks(keys).flat()).toEqual(keys);
});

import { FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { Keyspace } from '../../src/redis/keyspace.ts';
import { acquire } from '../../src/scripts/acquire.ts';
import { release } from '../../src/scripts/release.ts';
import { wayOf } from '../support/way-of.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled.splice(0)).toEqual([]);
});

function connected(budgetMs = 100, hasSlots = false) {
  const clock = new ManualClock();
  const client = new FakeClient();
  client.connection('up');
  const keyspace = new Keyspace(wayOf(client, hasSlots), clock, budgetMs);
  return { clock, client, keyspace };
}

const request = {
  key: 'k',
  placeholder: 'mine',
  leaseMs: 1_000,
  replaces: '',
  foreign: true,
  as: 'text',
} as const;

describe('reading', () => {
  test('sends GET and then PTTL at once', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k', 'text');
    expect(client.sent.map(({ args }) => args)).toEqual([
      ['GET', 'k'],
      ['PTTL', 'k'],
    ]);
    client.next('GET').reply('text');
    client.next('PTTL').reply(70);
    expect(await seen).toEqual({ content: 'text', remaining: 70 });
  });

  test.each([
    [-1, 'none'],
    [-2, 'unknown'],
    [0, 0],
    [5, 5],
  ])('a PTTL of %s is remaining %s', async (pttl, remaining) => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k', 'text');
    client.next('GET').reply('text');
    client.next('PTTL').reply(pttl);
    expect(await seen).toEqual({ content: 'text', remaining });
  });

  test('many: one MGET for every 500 keys, each followed by its PTTLs, in the order of the keys', async () => {
    const { client, keyspace } = connected();
    const keys = Array.from({ length: 1_200 }, (_, i) => `k${i}`);
    const seen = keyspace.readMany(keys, 'text');
    const mgets = client.sent.filter(({ args }) => args[0] === 'MGET');
    expect(mgets.map(({ args }) => args.length - 1)).toEqual([500, 500, 200]);
    expect(client.sent).toHaveLength(3 + 1_200);
    for (const { args, reply } of [...client.sent])
      reply(args[0] === 'MGET' ? args.slice(1).map((key) => `of ${key}`) : 9);
    expect(await seen).toEqual(keys.map((key) => ({ content: `of ${key}`, remaining: 9 })));
  });

  test('a PTTL that fails fails the read: nothing may be kept without it', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k', 'text');
    client.next('GET').reply('text');
    client.next('PTTL').fail(new Error('Socket closed'));
    await expect(seen).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  });
});

describe('whatever keeps Redis from answering is an UnavailableError', () => {
  test('no answer within the budget', async () => {
    const { clock, client, keyspace } = connected(100);
    const seen = keyspace.read('k', 'text');
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
    const seen = keyspace.read('k', 'text');
    client.connection('down');
    await expect(seen).rejects.toMatchObject({
      code: 'REDCACHE_UNAVAILABLE',
      cause: expect.objectContaining({ message: 'the connection was lost' }),
    });
  });

  test('a refusal, in the words of the server', async () => {
    const { client, keyspace } = connected();
    const seen = keyspace.read('k', 'text');
    client.next('GET').fail(new Error('WRONGTYPE not a string'));
    await expect(seen).rejects.toThrow('Redis refused: WRONGTYPE not a string');
    client.next('PTTL').reply(-1);
  });

  test('nothing is sent while the connection is down', async () => {
    const { clock, client, keyspace } = connected(100);
    client.connection('down');
    const seen = keyspace.read('k', 'text');
    clock.advance(100);
    await expect(seen).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    expect(client.sent).toEqual([]);
  });
});

describe('acquiring', () => {
  test('answers that it is ours', async () => {
    const { client, keyspace } = connected();
    const acquired = keyspace.acquire(request);
    expect(client.next().args).toEqual([
      'EVALSHA',
      acquire.sha1,
      '1',
      'k',
      'mine',
      '1000',
      '',
      '1',
    ]);
    client.next().reply([1]);
    expect(await acquired).toEqual({ is: 'acquired' });
  });

  test('answers what is there instead', async () => {
    const { client, keyspace } = connected();
    const acquired = keyspace.acquire(request);
    client.next().reply([0, 'theirs', 40]);
    expect(await acquired).toEqual({ is: 'taken', seen: { content: 'theirs', remaining: 40 } });
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
  await expect(keyspace.read('k', 'text')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  expect(client.sent).toEqual([]);
});

describe('keys that go together', () => {
  const keys = Array.from({ length: 1_001 }, (_, i) => String(i));

  test('leave no key out and make nothing of nothing', () => {
    const { keyspace } = connected();
    expect(keyspace.together([])).toEqual([]);
    expect(keyspace.together(keys).map((part) => part.length)).toEqual([500, 500, 1]);
    expect(keyspace.together(keys).flat()).toEqual(keys);
  });

  test('are one each where there are slots, and are read so', async () => {
    const { client, keyspace } = connected(100, true);
    expect(keyspace.together(keys)).toEqual(keys.map((key) => [key]));
    const seen = keyspace.readMany(['a', 'b'], 'text');
    expect(client.sent.map(({ args }) => args.join(' '))).toEqual([
      'GET a',
      'PTTL a',
      'GET b',
      'PTTL b',
    ]);
    for (const { args, reply } of [...client.sent]) reply(args[0] === 'GET' ? `of ${args[1]}` : 5);
    expect(await seen).toEqual([
      { content: 'of a', remaining: 5 },
      { content: 'of b', remaining: 5 },
    ]);
  });
});

describe('a server that does not answer', () => {
  const timeOut = async ({ clock, keyspace }: ReturnType<typeof connected>): Promise<void> => {
    const seen = keyspace.read('k', 'text');
    clock.advance(100);
    await expect(seen).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  };

  test('is not asked any more after five calls in a row, but once a second', async () => {
    const known = connected(100);
    const { clock, client, keyspace } = known;
    for (let i = 0; i < 5; i++) await timeOut(known);
    const asked = client.sent.length;
    await expect(keyspace.read('k', 'text')).rejects.toThrow('it is not asked');
    expect(client.sent).toHaveLength(asked);
    clock.advance(1_000);
    const probe = keyspace.read('k', 'text');
    await expect(keyspace.read('k', 'text')).rejects.toThrow('it is not asked');
    expect(client.sent).toHaveLength(asked + 2);
    client.sent.at(-1)?.reply(-2);
    client.sent.at(-1)?.reply(null);
    expect(await probe).toEqual({ content: null, remaining: 'unknown' });
    const next = keyspace.read('k', 'text');
    expect(client.sent).toHaveLength(asked + 2);
    client.connection('down');
    await expect(next).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  });

  test('is asked again as soon as one of those that were given up is answered', async () => {
    const known = connected(100);
    const { client, keyspace } = known;
    for (let i = 0; i < 5; i++) await timeOut(known);
    client.next('GET').reply(null);
    client.next('PTTL').reply(-2);
    await settled();
    const asked = client.sent.length;
    const seen = keyspace.read('k', 'text');
    expect(client.sent).toHaveLength(asked + 2);
    client.connection('down');
    await expect(seen).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  });
});

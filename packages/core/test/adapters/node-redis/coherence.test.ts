import { EventEmitter, errorMonitor } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  type ClientSideCache,
  type ClientSideCacheOptions,
  clientSideCache,
} from '../../../src/adapters/node-redis/provider.ts';
import { assertIdle, assertStoreValid, settled } from '../../../src/testing/index.ts';

type Handle = Parameters<ClientSideCache['handleCache']>;

/** A client as node-redis makes it, whose server knows tracking and answers `PTTL` with -1. */
function aClient(cache: ClientSideCache, { refusesCaching = false } = {}) {
  return Object.assign(new EventEmitter(), {
    isReady: true,
    isOpen: true,
    options: {},
    sendCommand: async ([name, what = '']: string[]): Promise<unknown> => {
      if (name === 'CLIENT' && what === 'CACHING' && refusesCaching) throw new Error('ERR');
      if (name === 'SET') queueMicrotask(() => cache.invalidate(what));
      return name === 'PTTL' ? -1 : name === 'GET' ? null : 'OK';
    },
  });
}

async function connected(options?: ClientSideCacheOptions, how?: { refusesCaching?: boolean }) {
  const cache = clientSideCache(options);
  const client = aClient(cache, how);
  cache.connectionOf(client as never);
  await settled();
  /** A read as node-redis hands it over; one parser is one call, redirected or not. */
  const parsed = (...redisArgs: string[]) => {
    const [, ...keys] = redisArgs;
    const parser = { redisArgs, keys, preserve: undefined };
    return async (reply: unknown): Promise<unknown> => {
      const send = async (): Promise<unknown> => {
        if (reply instanceof Error) throw reply;
        return reply;
      };
      return await cache.handleCache(
        ...([client, parser, send, undefined, undefined] as unknown as Handle),
      );
    };
  };
  return {
    cache,
    client,
    parsed,
    get entries() {
      return cache.engine.stats().entries;
    },
    [Symbol.dispose]: () => {
      client.emit('end');
      assertStoreValid(cache.engine);
      assertIdle(cache.engine);
    },
  };
}

describe('I6: a write through node-redis', () => {
  test.for(['one command', 'a transaction'] as const)(
    '%s drops its keys at issue, and again what was read until its reply',
    async (how) => {
      using it = await connected();
      await it.parsed('GET', 'k')('before');
      const args = ['SET', 'k', 'v'];
      const settle =
        how === 'one command'
          ? it.cache.sending(it.client, args, undefined)
          : it.cache.sendingAll(it.client, [{ args }]);
      expect(it.entries).toBe(0);
      await it.parsed('GET', 'k')('between');
      expect(it.entries).toBe(1);
      settle?.('OK');
      expect(it.entries).toBe(0);
    },
  );
});

describe('I2: a read that was redirected by ASK', () => {
  test.for([
    ['GET', 'k'],
    ['MGET', 'k', 'l'],
  ])('is not kept when it is sent again: %j', async (args) => {
    using it = await connected();
    const call = it.parsed(...args);
    await expect(call(new Error('ASK 1 127.0.0.1:1'))).rejects.toThrow('ASK');
    const reply = args.length === 2 ? 'of the other node' : ['of', 'the other'];
    expect(await call(reply)).toEqual(reply);
    expect(it.entries).toBe(0);
  });
});

test('I3: MGET: null for a key that exists, since it holds another type, is not kept', async () => {
  using it = await connected();
  expect(await it.parsed('MGET', 'list', 'k')([null, 'v'])).toEqual([null, 'v']);
  expect([...it.cache.engine.internals.store].map(({ key }) => key)).toEqual(['k']);
});

test('I2: a read whose announcement was refused is not kept', async () => {
  using it = await connected({ mode: 'optin' }, { refusesCaching: true });
  expect(await it.parsed('GET', 'k')('v')).toBe('v');
  expect(it.entries).toBe(0);
});

describe('what was read is dropped', () => {
  test('when the connection stands, but what came could not be read', async () => {
    using it = await connected();
    await it.parsed('GET', 'k')('v');
    it.client.emit(errorMonitor, new Error('no RESP'));
    await settled();
    expect(it.entries).toBe(0);
  });

  test('when the user has reset the connection', async () => {
    using it = await connected();
    await it.parsed('GET', 'k')('v');
    it.cache.sending(it.client, ['RESET'], undefined)?.('RESET');
    await settled();
    expect(it.entries).toBe(0);
  });
});

test('I12: a client that was closed is forgotten, and the next is the first', async () => {
  using it = await connected();
  const { engine } = it.cache;
  const first = engine.session;
  it.client.emit('end');
  const next = it.cache.connectionOf(aClient(it.cache) as never);
  await settled();
  expect(engine.session).toBe(next.session);
  expect(engine.session).not.toBe(first);
});

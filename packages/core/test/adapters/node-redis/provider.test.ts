import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { createClient, createClientPool, createCluster, createSentinel } from 'redis';
import { describe, expect, test } from 'vitest';
import {
  type AnyClient,
  assertSingle,
  portOf,
  trackedOf,
} from '../../../src/adapters/node-redis/index.ts';
import {
  ClientSideCache,
  type ClientSideCacheOptions,
  clientSideCache,
  trackingOf,
} from '../../../src/adapters/node-redis/provider.ts';
import { assertIdle, assertStoreValid, settled } from '../../../src/testing/index.ts';

type Handle = Parameters<ClientSideCache['handleCache']>;
type Arg = string | Buffer;

/** A provider as node-redis would call it, without node-redis: what is sent is noted. */
async function connected(options?: ClientSideCacheOptions, pttl: unknown = -1) {
  const cache = clientSideCache(options);
  const sent: string[] = [];
  const client = Object.assign(new EventEmitter(), {
    isReady: true,
    isOpen: true,
    options: {},
    sendCommand: async (args: Arg[]) => {
      const command = args.map(String).join(' ');
      if (command.startsWith('CLIENT')) return 'OK';
      if (command.startsWith('GET redcache:probe:')) return null;
      if (command.startsWith('SET redcache:probe:')) {
        queueMicrotask(() => cache.invalidate(String(args[1])));
        return 'OK';
      }
      sent.push(command);
      if (pttl instanceof Error) throw pttl;
      return typeof pttl === 'function' ? pttl(String(args[1])) : pttl;
    },
  });
  cache.connectionOf(client as never);
  await settled();
  const call = (
    args: readonly Arg[],
    reply: unknown,
    keys: readonly Arg[] = [args[1] ?? ''],
    transform?: (reply: unknown) => unknown,
  ): Promise<unknown> => {
    const send = async (): Promise<unknown> => {
      sent.push(args.map(String).join(' '));
      if (reply instanceof Error) throw reply;
      return reply;
    };
    const parser = { redisArgs: args, keys, preserve: undefined };
    return cache.handleCache(
      ...([client, parser, send, transform, undefined] as unknown as Handle),
    ) as Promise<unknown>;
  };
  return {
    cache,
    client,
    engine: cache.engine,
    sent,
    call,
    [Symbol.dispose]: () => {
      client.emit('end');
      assertStoreValid(cache.engine);
      assertIdle(cache.engine);
    },
  };
}

const config = (message: RegExp) =>
  expect.objectContaining({ code: 'REDCACHE_CONFIG', message: expect.stringMatching(message) });

describe('what is sent', () => {
  test('R8: the command first, then PTTL of each of its keys, once for all who ask', async () => {
    using it = await connected();
    const all = [0, 1, 2].map(() => it.call(['MGET', 'a', 'b'], ['1', '2'], ['a', 'b']));
    expect(it.sent).toEqual(['MGET a b', 'PTTL a', 'PTTL b']);
    expect(await Promise.all(all)).toEqual([0, 1, 2].map(() => ['1', '2']));
    await it.call(['MGET', 'a', 'b'], ['other'], ['a', 'b']);
    expect(it.sent).toHaveLength(3);
  });

  test('a command that is not to be cached, or that has no key, alone and each time', async () => {
    using it = await connected();
    for (const [args, keys] of [
      [['SORT_RO', 'k', 'BY', 'w_*'], ['k']],
      [['TOUCH', 'k'], ['k']],
      [['RANDOMKEY'], []],
    ] as const) {
      for (const value of ['1', '2']) expect(await it.call(args, value, keys)).toBe(value);
    }
    expect(it.sent.filter((each) => each.startsWith('PTTL'))).toEqual([]);
    expect(it.sent).toHaveLength(6);
  });

  test('an error of the command reaches all who ask, and is not kept', async () => {
    using it = await connected();
    const error = new Error('WRONGTYPE');
    const all = [it.call(['GET', 'k'], error), it.call(['GET', 'k'], error)];
    expect((await Promise.allSettled(all)).map((each) => each.status)).toEqual([
      'rejected',
      'rejected',
    ]);
    expect(await it.call(['GET', 'k'], 'value')).toBe('value');
  });
});

describe('how long it is kept', () => {
  /** Whether the reply is here for the next who asks. */
  async function kept(reply: unknown, pttl: unknown, keys: readonly string[] = ['k']) {
    using it = await connected({ ttl: '1h', negativeTtl: '1m' }, pttl);
    expect(await it.call(['GET', ...keys], reply, keys)).toEqual(reply);
    await it.call(['GET', ...keys], 'asked again', keys);
    const [entry] = it.engine.internals.store;
    if (it.sent.length > 1 + keys.length || entry === undefined) return false;
    const leftMs = entry.deadlineAtMs - it.engine.clock.nowMs();
    return { kind: entry.kind, seconds: Math.ceil(leftMs / 1000) };
  }

  test('the ttl of the cache when the key never expires', async () => {
    expect(await kept('value', -1)).toEqual({ kind: 'present', seconds: 3600 });
  });

  test('what the key has left', async () => {
    expect(await kept('value', 50_000)).toEqual({ kind: 'present', seconds: 50 });
  });

  test('of several keys what the first of them to end has left', async () => {
    const pttl = (key: string): number => ({ a: 90_000, b: -1, c: 40_000 })[key] ?? -2;
    expect(await kept(['1', '2', '3'], pttl, ['a', 'b', 'c'])).toEqual({
      kind: 'present',
      seconds: 40,
    });
  });

  test('the negativeTtl when there is no such key', async () => {
    expect(await kept(null, -2)).toEqual({ kind: 'negative', seconds: 60 });
  });

  test('a null of a key that exists is a value: HGET of a field that is not there', async () => {
    expect(await kept(null, -1)).toEqual({ kind: 'present', seconds: 3600 });
  });

  test.for([
    ['the key ended between the command and its PTTL', 'value', -2],
    ['the key has no time left', 'value', 0],
    ['PTTL failed', 'value', new Error('LOADING')],
    ['PTTL answered something else', 'value', '500'],
    ['PTTL answered nothing', 'value', null],
  ] as const)('not at all when %s', async ([, reply, pttl]) => {
    expect(await kept(reply, pttl)).toBe(false);
  });
});

describe('what is told by the connection', () => {
  test('a push between send and reply: handed out, not kept', async () => {
    for (const key of ['k', Buffer.from('k'), null]) {
      using it = await connected();
      const reading = it.call(['GET', 'k'], 'old');
      it.cache.invalidate(key);
      expect(await reading).toBe('old');
      expect(await it.call(['GET', 'k'], 'new')).toBe('new');
      expect(await it.call(['GET', 'k'], 'newer')).toBe('new');
    }
  });

  type Connected = Awaited<ReturnType<typeof connected>>;
  const losses = {
    'a lost connection': ({ client }: Connected) => {
      client.isReady = false;
      client.on('error', () => {});
      client.emit('error', new Error('lost'));
    },
    'a client that ends': ({ client }: Connected) => client.emit('end'),
    'clear()': ({ cache }: Connected) => cache.clear(),
  };

  test.for(Object.entries(losses))(
    '%s drops what is here and refuses what is under way',
    async ([name, lose]) => {
      using it = await connected();
      await it.call(['GET', 'here'], 'old');
      const reading = it.call(['GET', 'k'], 'old');
      lose(it);
      expect(await reading).toBe('old');
      expect(it.engine.stats()).toMatchObject({ entries: 0, fills: 1 });
      expect(it.engine.state).toBe(name === 'clear()' ? 'tracking' : 'down');
    },
  );

  test('what node-redis says of some connection or other drops nothing of the others', async () => {
    using it = await connected();
    await it.call(['GET', 'k'], 'value');
    it.cache.onError();
    it.cache.onClose();
    it.cache.onPoolClose();
    expect(it.engine.stats()).toMatchObject({ entries: 1, state: 'tracking' });
  });

  test('each handshake asks for tracking and begins with nothing', async () => {
    using it = await connected();
    await it.call(['GET', 'k'], 'old');
    expect(it.cache.trackingOn()).toEqual(['HELLO']);
    it.client.emit('ready');
    expect(it.engine.stats()).toMatchObject({ entries: 0, state: 'enabling' });
    await settled();
    expect(it.engine.state).toBe('tracking');
  });

  test('a push is passed on as the event node-redis documents', async () => {
    using it = await connected();
    const heard: unknown[] = [];
    it.cache.on('invalidate', (key) => heard.push(key));
    it.cache.invalidate('k');
    it.cache.invalidate(null);
    expect(heard).toEqual(['k', null]);
  });

  test('a listener of that event that throws is reported, and the connection goes on', async () => {
    using it = await connected();
    const messages: unknown[] = [];
    const note = (message: unknown): void => void messages.push(message);
    const error = new Error('mine');
    it.cache.on('invalidate', () => {
      throw error;
    });
    subscribe('redcache:callback-error', note);
    expect(() => it.cache.invalidate('k')).not.toThrow();
    unsubscribe('redcache:callback-error', note);
    expect(messages).toEqual([{ callback: 'invalidate', error }]);
  });

  test('a key of bytes that are no text is dropped by its push', async () => {
    using it = await connected();
    const key = Buffer.from([0xff, 0x00, 0xfe]);
    await it.call(['GET', key], 'old');
    expect(it.engine.stats().entries).toBe(1);
    it.cache.invalidate(key);
    expect(it.engine.stats().entries).toBe(0);
  });
});

describe('what a caller gets is his', () => {
  test('changing it changes neither what another got of the same reply nor what is kept', async () => {
    using it = await connected();
    const reply = () => ({ list: ['a'], bytes: Buffer.from('x'), map: new Map([['k', ['v']]]) });
    const all = (await Promise.all(
      [0, 1].map(() => it.call(['HGETALL', 'k'], reply())),
    )) as ReturnType<typeof reply>[];
    for (const each of all) {
      expect(each).toEqual(reply());
      each.list.push('mine');
      each.bytes[0] = 0;
      each.map.get('k')?.push('mine');
    }
    expect(await it.call(['HGETALL', 'k'], 'asked again')).toEqual(reply());
  });

  test('the reply is transformed once', async () => {
    using it = await connected();
    let transformed = 0;
    const transform = (reply: unknown) => {
      transformed += 1;
      return { of: reply };
    };
    for (let i = 0; i < 3; i += 1)
      expect(await it.call(['HGETALL', 'k'], 'raw', ['k'], transform)).toEqual({ of: 'raw' });
    expect(transformed).toBe(1);
  });
});

test('two commands share a reply only if they are the same, to the byte', async () => {
  const arg = fc.oneof(
    fc.constantFrom('GET', 'k', '', 's1:k', 'b1:k', '1:', ':', 's'),
    fc.string({ maxLength: 5 }),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  );
  // The key is one of them: to take another for it would make commands that node-redis cannot send.
  const command = fc.array(arg, { minLength: 2, maxLength: 4 });
  const same = (a: readonly Arg[], b: readonly Arg[]): boolean =>
    a.length === b.length &&
    a.every(
      (each, i) => typeof each === typeof b[i] && Buffer.from(each).equals(Buffer.from(b[i] ?? '')),
    );
  await fc.assert(
    fc.asyncProperty(command, command, async (a, b) => {
      using it = await connected({ maxEntries: 10 });
      await it.call(a, 'reply of a');
      const answer = await it.call(b, 'reply of b');
      expect(answer).toBe(same(a, b) ? 'reply of a' : 'reply of b');
    }),
    { numRuns: 1_000 },
  );
});

test.for([
  [
    ['GET', 'ab', 'c'],
    ['GET', 'a', 'bc'],
  ],
  [
    ['GET', 'a,b'],
    ['GET', 'a', 'b'],
  ],
  [
    ['GET', 's1:b'],
    ['GET', '', 's1:b'],
  ],
  [
    ['GET', 'k'],
    ['GET', Buffer.from('k')],
  ],
  [
    ['GET', Buffer.from([0xff])],
    ['GET', Buffer.from([0xfe])],
  ],
  [
    ['GET', Buffer.from('ÿ')],
    ['GET', Buffer.from([0xff])],
  ],
  [
    ['GET', 'k'],
    ['get', 'k'],
  ],
] as const)('%j and %j are two commands', async ([a, b]) => {
  using it = await connected();
  expect(await it.call(a, 'reply of a', ['k'])).toBe('reply of a');
  expect(await it.call(b, 'reply of b', ['k'])).toBe('reply of b');
  expect(it.engine.stats().entries).toBe(2);
});

describe('cacheable', () => {
  test('is asked with the name in capitals and the keys, and decides', async () => {
    const asked: unknown[] = [];
    using it = await connected({
      cacheable: (command, keys) => {
        asked.push([command, keys]);
        return command !== 'HGETALL';
      },
    });
    for (const value of ['1', '2']) expect(await it.call(['hgetall', 'k'], value)).toBe(value);
    for (const value of ['1', '2']) expect(await it.call(['GET', 'k'], value)).toBe('1');
    expect(asked.slice(0, 3)).toEqual([
      ['HGETALL', ['k']],
      ['HGETALL', ['k']],
      ['GET', ['k']],
    ]);
  });

  test('that throws is reported and counts as false', async () => {
    const messages: unknown[] = [];
    const note = (message: unknown): void => void messages.push(message);
    const error = new Error('mine');
    using it = await connected({
      cacheable: () => {
        throw error;
      },
    });
    subscribe('redcache:callback-error', note);
    for (const value of ['1', '2']) expect(await it.call(['GET', 'k'], value)).toBe(value);
    unsubscribe('redcache:callback-error', note);
    expect(messages).toEqual([
      { callback: 'cacheable', error },
      { callback: 'cacheable', error },
    ]);
  });
});

describe('bad options', () => {
  test.for([
    { maxEntries: 0 },
    { maxEntries: 2 ** 40 },
    { maxBytes: '1MB' },
    { ttl: 0 },
    { negativeTtl: 'never' },
    { cacheable: true },
    { clock: {} },
    { maxEntires: 5 },
    null,
  ] as unknown[])('%j', (options) => {
    expect(() => clientSideCache(options as ClientSideCacheOptions)).toThrow(
      config(/^clientSideCache: /),
    );
  });
});

describe('which clients', () => {
  const cache = clientSideCache();

  test('a client made with it: its engine, from wherever it is asked for', () => {
    const client = createClient({ RESP: 3, clientSideCache: cache });
    expect(client.clientSideCache).toBe(cache);
    expect(trackingOf(client)).toBe(cache.engine);
    expect(trackedOf(client)?.engine).toBe(cache.engine);
    expect(portOf(client)).toBe(portOf(client));
  });

  test('a client without a cache is an error that says what to pass where', () => {
    expect(() => trackingOf(createClient())).toThrow(
      config(/clientSideCache: clientSideCache\(\).*createClient.*npm ls @redis\/client/),
    );
    expect(trackedOf(createClient())).toBeUndefined();
  });

  test("node-redis's own cache is not ours", () => {
    const client = createClient({ RESP: 3, clientSideCache: { maxEntries: 5 } });
    expect(() => trackingOf(client)).toThrow(config(/this client has no redcache/));
  });

  test('N11: a provider of another copy of node-redis, which it ignores, is an error', () => {
    // Not an instance of this copy's class, so node-redis takes it for a bag of options.
    const foreign = {
      ...cache,
      engine: cache.engine,
      [Symbol.for('redcache.client-side-cache')]: true,
    };
    const client = createClient({ RESP: 3, clientSideCache: foreign as never });
    expect(() => trackingOf(client)).toThrow(config(/two copies of @redis\/client/));
  });

  test('a provider made by another copy of this package is recognised', () => {
    class Foreign extends ClientSideCache {}
    const client = createClient({ RESP: 3, clientSideCache: new Foreign() });
    expect(trackingOf(client)).toBe((client.clientSideCache as Foreign).engine);
  });

  test.for([
    ['a client', () => createClient()],
    ['a pool', () => createClientPool({ RESP: 3 })],
    ['a sentinel', () => createSentinel({ name: 'm', sentinelRootNodes: [] })],
    ['a cluster', () => createCluster({ rootNodes: [] })],
  ] as const)('%s has a port, always the same', ([, make]) => {
    const client = make();
    expect(portOf(client)).toBe(portOf(client));
    expect(trackedOf(client)).toBeUndefined();
  });

  test.for([
    ['a pool', () => createClientPool({ RESP: 3 })],
    ['a sentinel', () => createSentinel({ name: 'm', sentinelRootNodes: [] })],
    ['a cluster', () => createCluster({ rootNodes: [] })],
  ] as const)('%s is no single client', ([, make]) => {
    const check: (client: AnyClient) => void = assertSingle;
    expect(() => check(make())).toThrow(config(/pools, clusters and sentinels are not supported/));
  });

  test('a cluster made with it is tracked; a pool and a sentinel are not, having many connections', () => {
    const clientSideCache = cache;
    const cluster = createCluster({ rootNodes: [], clientSideCache });
    expect(trackedOf(cluster)).toMatchObject({ engine: cache.engine, port: portOf(cluster) });
    expect(trackedOf(cluster)?.tracks('key')).toBe(false);
    const pool = createClientPool({ RESP: 3 }, { clientSideCache });
    const sentinel = createSentinel({ name: 'm', sentinelRootNodes: [], clientSideCache });
    for (const client of [pool, sentinel]) expect(trackedOf(client)).toBeUndefined();
  });

  test.for([
    ['nothing', (): unknown => undefined],
    ['null', (): unknown => null],
    ['a string', (): unknown => 'redis://localhost'],
    ['an object', (): unknown => ({ sendCommand: () => {} })],
  ] as const)('%s has no port', ([, make]) => {
    expect(() => portOf(make() as never)).toThrow(
      config(/must be a node-redis client made with createClient\(\), createClientPool\(\)/),
    );
  });
});

describe('a client that was connected', () => {
  function client() {
    const sent: string[] = [];
    return Object.assign(new EventEmitter(), {
      isReady: true,
      options: {},
      sent,
      sendCommand: async (args: Arg[]) => sent.push(args.map(String).join(' ')),
    });
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test('is tracked before anything is asked of it', async () => {
    const [cache, it] = [clientSideCache(), client()];
    cache.connected(it);
    await turn();
    expect(it.sent[0]).toBe('CLIENT TRACKING ON');
    it.emit('end');
  });

  test('is left alone if a cluster has made it to ask for the slots', async () => {
    const [cache, it] = [clientSideCache(), client()];
    cache.connected(it);
    cache.sending(it, ['CLUSTER', 'SLOTS'], undefined);
    await turn();
    expect([it.sent, it.eventNames()]).toEqual([[], []]);
  });

  test('is left alone if it is closed already', async () => {
    const [cache, it] = [clientSideCache(), client()];
    cache.connected(it);
    it.isReady = false;
    await turn();
    expect([it.sent, it.eventNames()]).toEqual([[], []]);
  });
});

test("statistics in node-redis's own shape", async () => {
  using it = await connected({ maxEntries: 1 });
  await it.call(['GET', 'a'], '1');
  await it.call(['GET', 'a'], '1');
  await it.call(['GET', 'b'], '1');
  const stats = it.cache.stats();
  expect(stats).toMatchObject({
    hitCount: 1,
    missCount: 2,
    loadSuccessCount: 2,
    evictionCount: 1,
  });
  expect(stats.requestCount()).toBe(3);
  expect(stats.hitRate()).toBeCloseTo(1 / 3);
  expect(it.cache.size()).toBe(1);
});

import { clientSideCache, openTracked, portOf, trackingOf } from '@redcache/core/node-redis';
import { createClient, RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeKeyspace } from '../../support/fake-keyspace.ts';
import { FakeRedis } from '../../support/fake-redis.ts';
import { otherClient, trackedClient, tracking } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

describe('many callers', () => {
  test('of one key send one GET and one PTTL, and the next ones nothing', async () => {
    await using server = await FakeRedis.start({ keys: new FakeKeyspace() });
    await using tracked = await trackedClient(server.url);
    server.writeFromElsewhere('SET', 'k', 'value');
    const { client } = tracked;
    const count = (name: string) =>
      server.commands.filter((command) => command.is(`${name} k`)).length;
    const answers = await Promise.all(Array.from({ length: 400 }, () => client.get('k')));
    expect(new Set(answers)).toEqual(new Set(['value']));
    for (let i = 0; i < 10; i += 1) await client.get('k');
    expect([count('GET'), count('PTTL')]).toEqual([1, 1]);
    expect(tracked.engine.stats()).toMatchObject({ coalesced: 399, hits: 10 });
  });

  test('what was queued before tracking is on is not kept; what is read afterwards is, on each connection', async () => {
    await using server = await FakeRedis.start({ keys: new FakeKeyspace() });
    const cache = clientSideCache();
    const client = createClient({
      url: server.url,
      RESP: 3,
      clientSideCache: cache,
      socket: { reconnectStrategy: () => 5 },
    });
    client.on('error', () => {});
    const { engine } = cache;
    const readsTwice = async (key: string): Promise<void> => {
      await tracking(engine);
      const { hits } = engine.stats();
      await client.get(key);
      await client.get(key);
      expect(engine.stats().hits).toBe(hits + 1);
    };

    const connecting = client.connect();
    await client.get('queued before there is a connection');
    await connecting;
    expect(engine.stats().entries).toBe(0);
    await readsTwice('first');

    const lost = new Promise((resolve) => client.once('reconnecting', resolve));
    server.connections[0]?.reset();
    await lost;
    await client.get('queued while there is none');
    expect(engine.stats().entries).toBe(0);
    await readsTwice('second');
    expect(server.connections).toHaveLength(2);
    client.destroy();
  });
});

describe('a lost connection', () => {
  test('CLIENT KILL drops everything, and what is read afterwards is kept again', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    const keys = Array.from({ length: 100 }, (_, i) => `kill:${i}`);
    const readAll = () => Promise.all(keys.map((key) => client.get(key)));
    await readAll();
    expect(engine.stats().entries).toBe(100);
    const causes: string[] = [];
    const stop = engine.onInvalidation('kill:0', (cause) => causes.push(cause));

    const again = new Promise((resolve) => client.once('ready', resolve));
    await other.client.sendCommand(['CLIENT', 'KILL', 'ID', String(await client.clientId())]);
    await Promise.all(keys.map((key) => other.client.set(key, 'written meanwhile')));
    await again;
    expect(causes).toEqual(['disconnect']);
    expect(await readAll()).toEqual(keys.map(() => 'written meanwhile'));
    const { hits } = engine.stats();
    await readAll();
    expect(engine.stats()).toMatchObject({ state: 'tracking', hits: hits + 100 });
    stop();
  });

  test('a server that is restarted without its data: nothing of the old one is served', async () => {
    await using own = await startStandalone();
    await using tracked = await trackedClient(own.url);
    await tracked.client.set('k', 'old');
    await tracked.client.get('k');
    await tracked.drained();
    expect(await tracked.client.get('k')).toBe('old');
    await own.node.restart();
    await eventually(() => tracked.client.isReady);
    expect(await tracked.client.get('k')).toBeNull();
  });

  test('closed and connected again by its owner, the client is cached again', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client, engine } = tracked;
    await client.get('again');
    await client.close();
    expect(engine.stats()).toMatchObject({ state: 'down', entries: 0 });
    await client.connect();
    await client.get('again');
    await client.get('again');
    expect(engine.stats()).toMatchObject({ state: 'tracking', hits: 1 });
  });
});

test('FLUSHALL drops everything', async () => {
  await using own = await startStandalone();
  await using tracked = await trackedClient(own.url);
  await using other = await otherClient(own.url);
  const { client, engine } = tracked;
  await other.client.set('k', 'value');
  await client.hGetAll('h');
  expect(await client.get('k')).toBe('value');
  await other.client.flushAll();
  await tracked.drained();
  expect(engine.stats()).toMatchObject({ entries: 0, flushes: 1 });
  expect(await client.get('k')).toBeNull();
});

describe('replies', () => {
  test('of every kind come from here as they came from the server, and fall with their keys', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    const writer = other.client;
    await Promise.all([
      writer.set('{r}s', 'text'),
      writer.hSet('{r}h', { field: 'value', other: 'x' }),
      writer.rPush('{r}l', ['a', 'b']),
      writer.sAdd('{r}set', ['m']),
      writer.zAdd('{r}z', [{ score: 1.5, value: 'm' }]),
    ]);
    const reads: Record<string, () => Promise<unknown>> = {
      '{r}s': () => client.get('{r}s'),
      '{r}h': () => client.hGetAll('{r}h'),
      '{r}h field': () => client.hGet('{r}h', 'field'),
      '{r}h no field': () => client.hGet('{r}h', 'none'),
      '{r}h fields': () => client.hmGet('{r}h', ['field', 'none']),
      '{r}l': () => client.lRange('{r}l', 0, -1),
      '{r}set': () => client.sMembers('{r}set'),
      '{r}set member': () => client.sIsMember('{r}set', 'm'),
      '{r}z': () => client.zRangeWithScores('{r}z', 0, -1),
      '{r}s exists': () => client.exists('{r}s'),
    };
    for (const [name, read] of Object.entries(reads)) {
      const first = await read();
      const { hits } = engine.stats();
      expect([name, await read()]).toStrictEqual([name, first]);
      expect([name, engine.stats().hits]).toEqual([name, hits + 1]);
    }
    const names = Object.keys(reads);
    expect(engine.stats().entries).toBe(names.length);
    for (const key of ['{r}s', '{r}h', '{r}l', '{r}set', '{r}z']) {
      const { entries } = engine.stats();
      const reached = names.filter((name) => name.split(' ')[0] === key).length;
      await writer.del(key);
      await tracked.drained();
      expect([key, engine.stats().entries]).toEqual([key, entries - reached]);
    }
  });

  test('of MGET are kept key by key, as those of GET', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    await other.client.mSet({ 'm:1': 'one', 'm:2': 'two', 'm:3': 'three' });
    expect(await client.mGet(['m:1', 'm:2'])).toEqual(['one', 'two']);
    expect(await client.get('m:1')).toBe('one');
    expect(engine.stats()).toMatchObject({ entries: 2, hits: 1 });
    expect(await client.mGet(['m:3', 'm:2', 'm:1'])).toEqual(['three', 'two', 'one']);
    expect(engine.stats()).toMatchObject({ entries: 3, hits: 3 });
    await other.client.set('m:2', 'changed');
    await tracked.drained();
    expect(engine.stats().entries).toBe(2);
    expect(await client.mGet(['m:1', 'm:2', 'm:3'])).toEqual(['one', 'changed', 'three']);
    expect(engine.stats().hits).toBe(5);
  });

  test('changing one changes nobody else’s', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client } = tracked;
    await client.rPush('mine', ['a', 'b']);
    const [first, second] = await Promise.all([
      client.lRange('mine', 0, -1),
      client.lRange('mine', 0, -1),
    ]);
    first?.push('mine');
    second?.reverse();
    const third = await client.lRange('mine', 0, -1);
    third.length = 0;
    expect(await client.lRange('mine', 0, -1)).toEqual(['a', 'b']);
    expect(tracked.engine.stats()).toMatchObject({ hits: 2, coalesced: 1 });
  });

  test('as Buffers: each caller has bytes of his own, and numbers as text do no harm', async () => {
    const client = createClient({
      url: redis.url,
      RESP: 3,
      clientSideCache: clientSideCache(),
      commandOptions: {
        typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String },
      },
    });
    await client.connect();
    const engine = trackingOf(client);
    await client.set('bytes', Buffer.from([0xff, 0x00, 0xfe]));
    await client.hSet('hash of bytes', 'field', 'value');
    await client.ping();
    for (let i = 0; i < 3; i += 1) {
      const value = await client.get('bytes');
      expect(value).toStrictEqual(Buffer.from([0xff, 0x00, 0xfe]));
      value?.fill(0);
      const hash = await client.hGetAll('hash of bytes');
      expect(hash.field).toStrictEqual(Buffer.from('value'));
      hash.field?.fill(0);
    }
    expect(engine.stats()).toMatchObject({ hits: 4, misses: 2 });
    client.destroy();
  });

  test('another type mapping for one call goes to the server and gets its own types', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client } = tracked;
    await client.set('mapped', 'value');
    await client.get('mapped');
    await client.get('mapped');
    const asBytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    expect(await asBytes.get('mapped')).toStrictEqual(Buffer.from('value'));
    expect(await client.get('mapped')).toBe('value');
  });

  test('an error is the server’s own, each time', async () => {
    await using tracked = await trackedClient(redis.url);
    await tracked.client.rPush('list', 'a');
    for (let i = 0; i < 2; i += 1)
      await expect(tracked.client.get('list')).rejects.toThrow(/^WRONGTYPE/);
    expect(tracked.engine.stats().entries).toBe(0);
  });

  test('a key that begins like the mark of replies is a key like any other', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client } = tracked;
    const keys = ['\u0001', '\u0001s', '\u0001k', '\u0001ss3:GETs1:k', 'k'];
    for (const key of keys) await client.set(key, `value of ${key}`);
    await tracked.drained();
    for (let i = 0; i < 2; i += 1)
      for (const key of keys) expect(await client.get(key)).toBe(`value of ${key}`);
    expect(tracked.engine.stats().hits).toBe(keys.length);
  });

  test('of keys with a prefix are kept and fall under their full name', async () => {
    const client = createClient({
      url: redis.url,
      RESP: 3,
      clientSideCache: clientSideCache(),
      keyPrefix: 'app:',
    });
    await client.connect();
    await using other = await otherClient(redis.url);
    await other.client.set('app:prefixed', 'old');
    expect([await client.get('prefixed'), await client.get('prefixed')]).toEqual(['old', 'old']);
    expect(trackingOf(client).stats().hits).toBe(1);
    await other.client.set('app:prefixed', 'new');
    await client.ping();
    expect(await client.get('prefixed')).toBe('new');
    client.destroy();
  });

  test('of a key with half a character are never kept: the server pushes another name', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    await other.client.set('half:\ud800', 'old');
    expect(await tracked.client.get('half:\ud800')).toBe('old');
    await other.client.set('half:\ud800', 'new');
    await tracked.drained();
    expect(await tracked.client.get('half:\ud800')).toBe('new');
  });
});

describe('what is never kept', () => {
  test('R13: SORT_RO with BY or GET, whose other keys nobody would tell us of', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    await other.client.rPush('sorted', ['1', '2']);
    await other.client.mSet({ weight_1: '10', weight_2: '20' });
    const sorted = () => client.sortRo('sorted', { BY: 'weight_*' });
    expect(await sorted()).toEqual(['1', '2']);
    await other.client.set('weight_1', '30');
    await tracked.drained();
    expect(await sorted()).toEqual(['2', '1']);
    expect(await client.sortRo('sorted', { DIRECTION: 'DESC' })).toEqual(['2', '1']);
    expect(await client.sortRo('sorted', { DIRECTION: 'DESC' })).toEqual(['2', '1']);
    expect(engine.stats()).toMatchObject({ entries: 1, hits: 1 });
  });

  test('R15: what writes as it reads', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client, engine } = tracked;
    await client.set('counter', '0');
    for (let i = 1; i <= 3; i += 1) expect(await client.incr('counter')).toBe(i);
    expect(await client.getEx('counter', { type: 'PX', value: 60_000 })).toBe('3');
    expect(await client.getDel('counter')).toBe('3');
    expect(await client.getDel('counter')).toBeNull();
    expect(engine.stats().entries).toBe(0);
  });

  test('what `cacheable` says no to', async () => {
    await using tracked = await trackedClient(redis.url, {
      cacheable: (command, keys) => command === 'GET' && !keys.some((key) => key.startsWith('no:')),
    });
    const { client, engine } = tracked;
    for (let i = 0; i < 2; i += 1) {
      await client.get('no:key');
      await client.hGetAll('yes:hash');
      await client.get('yes:key');
    }
    expect(engine.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1 });
  });
});

describe('set-up that would not work', () => {
  const config = (message: RegExp) =>
    expect.objectContaining({ code: 'REDCACHE_CONFIG', message: expect.stringMatching(message) });

  test('a client without our cache', async () => {
    await using other = await otherClient(redis.url);
    expect(() => trackingOf(other.client)).toThrow(
      config(/pass clientSideCache: clientSideCache\(\)/),
    );
  });
});

describe('a tracked connection of our own, beside a client that has none', () => {
  test('hears pushes of what it reads; closing it leaves the client alone', async () => {
    await using other = await otherClient(redis.url);
    const own = await openTracked(other.client);
    await eventually(() => own.engine.state === 'tracking');
    const pushed = new Promise((resolve) => own.engine.onInvalidation('watched', resolve));
    await own.port.send(['GET', 'watched']);
    await other.client.set('watched', 'new');
    expect(await pushed).toBe('push');
    own.close();
    own.close();
    expect(own.engine.state).toBe('closed');
    expect(await other.client.get('watched')).toBe('new');
  });

  test('to where nobody listens, it can still be closed', async () => {
    const client = createClient({ url: 'redis://127.0.0.1:1' });
    const own = await openTracked(client);
    own.close();
    const never = await openTracked(
      createClient({ url: 'redis://127.0.0.1:1', socket: { reconnectStrategy: false } }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    never.close();
    expect([own.engine.state, never.engine.state]).toEqual(['closed', 'closed']);
  });

  test.for(['the client', 'a view of it'])(
    "a port's replies are text and numbers, whatever type mapping %s has",
    async (whose) => {
      const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String };
      const isOwn = whose === 'the client';
      await using other = await otherClient(
        redis.url,
        isOwn ? { commandOptions: { typeMapping } } : {},
      );
      const client = isOwn ? other.client : other.client.withTypeMapping(typeMapping);
      await other.client.set('mapped too', 'text');
      const port = portOf(client as never);
      expect(await port.send(['GET', 'mapped too'])).toBe('text');
      expect(await port.send(['STRLEN', 'mapped too'])).toBe(4);
    },
  );

  test('a port says how the connection is, now and at each change', async () => {
    await using server = await FakeRedis.start();
    const client = createClient({ url: server.url, socket: { reconnectStrategy: () => 5 } });
    client.on('error', () => {});
    const heard: string[] = [];
    const stop = portOf(client).onConnection((connection) => heard.push(connection));
    await client.connect();
    const again = new Promise((resolve) => client.once('ready', resolve));
    server.connections[0]?.reset();
    await again;
    client.destroy();
    expect(heard).toEqual(['down', 'up', 'down', 'up', 'closed']);
    stop();
    expect(client.listenerCount('ready') + client.listenerCount('end')).toBe(0);
  });
});

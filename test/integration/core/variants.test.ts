import {
  type ClientSideCacheOptions,
  clientSideCache,
  trackingOf,
} from '@redcache/core/node-redis';
import { createClient, RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { FakeKeyspace } from '../../support/fake-keyspace.ts';
import { FakeRedis } from '../../support/fake-redis.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { encode } from '../../support/resp.ts';
import { openCached } from './cached-kind.ts';
import { KINDS, startFor } from './four-kinds.ts';
import { otherClient, tracking } from './tracked-client.ts';

type Options = NonNullable<Parameters<typeof createClient>[0]>;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

/** A connected client with options of its own, tracked by now. */
async function open(options: Options = {}, cacheOptions?: ClientSideCacheOptions) {
  const cache = options.clientSideCache ?? clientSideCache(cacheOptions);
  const client = createClient({ url: redis.url, RESP: 3, ...options, clientSideCache: cache });
  client.on('error', () => {});
  await client.connect();
  await client.ping();
  const engine = trackingOf(client);
  await tracking(engine);
  return {
    client: client as ReturnType<typeof createClient>,
    engine,
    cache: cache as ReturnType<typeof clientSideCache>,
    [Symbol.asyncDispose]: async () => client.destroy(),
  };
}

describe('a key prefix', () => {
  for (const kind of KINDS)
    test(`${kind}: copies are filed and fall by their full names, also with two prefixes`, async () => {
      await using deployment = await startFor(kind);
      await using first = await openCached(kind, deployment, { commands: { keyPrefix: 'a:' } });
      await using second = await openCached(kind, deployment, {
        commands: { keyPrefix: 'b:' },
        cache: first.cache,
      });
      const { writer, invalidated, engine } = first;
      await writer.set('a:k', 'of a');
      await writer.set('b:k', 'of b');
      for (let i = 0; i < 2; i += 1) {
        expect([await first.client.get('k'), await second.client.get('k')]).toEqual([
          'of a',
          'of b',
        ]);
        expect([await first.client.mGet(['k']), await second.client.mGet(['k'])]).toEqual([
          ['of a'],
          ['of b'],
        ]);
      }
      const { entries } = engine.stats();
      const gone = invalidated('a:k');
      await writer.set('a:k', 'new');
      await gone;
      expect(engine.stats().entries).toBe(entries - 1);
      expect([await first.client.get('k'), await second.client.get('k')]).toEqual(['new', 'of b']);
      // Own writes are known by their full names too.
      await second.client.set('k', 'own');
      expect(await second.client.get('k')).toBe('own');
    });
});

describe('bytes', () => {
  const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

  test('values that are no text come back as they were, from here as well', async () => {
    await using own = await open({ commandOptions: BYTES } as never);
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await own.client.set('every', every);
    for (let i = 0; i < 3; i += 1)
      expect(await own.client.get('every')).toStrictEqual(every as never);
    expect(own.engine.stats().hits).toBe(2);
  });

  // Both become the same text when they are read as text.
  const [one, two] = [Buffer.from([0x6b, 0xff]), Buffer.from([0x6b, 0xfe])];

  test('keys that are no text: two of them are never mixed up, and both fall when they change', async () => {
    await using own = await open();
    await using raw = await RawConnection.open({ port: redis.node.port });
    await using other = await otherClient(redis.url);
    const { client } = own;
    const get = (key: Buffer) => client.get(key as never);
    await other.client.set(one as never, 'one');
    await other.client.set(two as never, 'two');
    for (let i = 0; i < 3; i += 1) expect([await get(one), await get(two)]).toEqual(['one', 'two']);
    expect(await client.mGet([one, two] as never)).toEqual(['one', 'two']);
    for (const [key, value] of [
      [one, 'new one'],
      [two, 'new two'],
    ] as const) {
      await other.client.set(key as never, value);
      await client.ping();
      expect(await get(key)).toBe(value);
    }
    expect([await get(one), await get(two)]).toEqual(['new one', 'new two']);
    await raw.send('PING');
  });

  test('the same key as text and as bytes: each is right, before and after it changes', async () => {
    await using own = await open();
    await using other = await otherClient(redis.url);
    const key = Buffer.from('ключ');
    for (const value of ['1', '2', '3']) {
      await other.client.set('ключ', value);
      await own.client.ping();
      for (let i = 0; i < 2; i += 1)
        expect([await own.client.get('ключ'), await own.client.get(key as never)]).toEqual([
          value,
          value,
        ]);
    }
    expect(own.engine.stats().hits).toBeGreaterThanOrEqual(3);
  });

  test('an own write by a key of bytes is fenced like one by text', async () => {
    await using own = await open();
    const { client } = own;
    await client.set(one as never, 'old');
    await client.get(one as never);
    await client.get(one as never);
    void client.set(one as never, 'new');
    expect(await client.get(one as never)).toBe('new');
  });
});

describe('type mappings', () => {
  const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
  const NUMBERS = { typeMapping: { [RESP_TYPES.NUMBER]: String } };
  const MAPS = { typeMapping: { [RESP_TYPES.MAP]: Map } };

  test('clients with different defaults share a cache and not an answer', async () => {
    await using plain = await open();
    const shared = { clientSideCache: plain.cache };
    await using bytes = await open({ ...shared, commandOptions: BYTES } as never);
    await using numbers = await open({ ...shared, commandOptions: NUMBERS } as never);
    await using maps = await open({ ...shared, commandOptions: MAPS } as never);
    await plain.client.hSet('mapped', { a: '1', b: '2' });
    await plain.client.set('text', 'value');
    for (let i = 0; i < 3; i += 1) {
      expect(await plain.client.hGetAll('mapped')).toEqual({ a: '1', b: '2' });
      expect(await bytes.client.hGetAll('mapped')).toEqual({
        a: Buffer.from('1'),
        b: Buffer.from('2'),
      });
      expect(await maps.client.hGetAll('mapped')).toEqual(
        new Map([
          ['a', '1'],
          ['b', '2'],
        ]),
      );
      expect([await plain.client.hLen('mapped'), await numbers.client.hLen('mapped')]).toEqual([
        2,
        '2',
      ]);
      expect([await plain.client.get('text'), await bytes.client.get('text')]).toEqual([
        'value',
        Buffer.from('value'),
      ]);
      expect([await plain.client.mGet(['text']), await bytes.client.mGet(['text'])]).toEqual([
        ['value'],
        [Buffer.from('value')],
      ]);
    }
    // Each was read once, and once more for each mapping.
    expect(plain.engine.stats().misses).toBe(7);
    await plain.client.hSet('mapped', 'a', 'new');
    expect(await maps.client.hGetAll('mapped')).toEqual(
      new Map([
        ['a', 'new'],
        ['b', '2'],
      ]),
    );
  });

  test('an equal mapping made elsewhere is the same one', async () => {
    await using first = await open({ commandOptions: BYTES } as never);
    await using second = await open({
      clientSideCache: first.cache,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    } as never);
    await first.client.set('equal', 'value');
    await first.client.get('equal');
    const { hits } = first.engine.stats();
    await second.client.get('equal');
    expect(first.engine.stats().hits).toBe(hits + 1);
  });

  for (const kind of KINDS)
    test(`${kind}: withTypeMapping() reads past the cache and leaves no trace in it`, async () => {
      await using deployment = await startFor(kind);
      await using own = await openCached(kind, deployment);
      const { writer, keyFor, engine } = own;
      const raw = own.raw as ReturnType<typeof createClient>;
      await writer.set(keyFor('k'), 'value');
      const mapped = raw.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      expect(await mapped.get(keyFor('k'))).toStrictEqual(Buffer.from('value'));
      expect(engine.stats().entries).toBe(0);
      expect(await raw.get(keyFor('k'))).toBe('value');
      expect(await mapped.get(keyFor('k'))).toStrictEqual(Buffer.from('value'));
      own.counted();
      expect(await raw.get(keyFor('k'))).toBe('value');
      expect(own.counted()).toMatchObject({ hits: 1 });
    });
});

describe('asap()', () => {
  test('a read that overtakes what switches tracking on is answered and not kept', async () => {
    await using proxy = await TcpProxy.start(redis.node);
    await using other = await otherClient(redis.url);
    await other.client.set('asap', 'old');
    const cache = clientSideCache();
    const client = createClient({ url: proxy.url, RESP: 3, clientSideCache: cache });
    client.on('error', () => {});
    await client.connect();
    // The first command sends CLIENT TRACKING ON before itself, and this one goes before that.
    expect(await client.asap().get('asap')).toBe('old');
    await tracking(cache.engine);
    await other.client.set('asap', 'new');
    await client.ping();
    expect(await client.get('asap')).toBe('new');
    client.destroy();
  });

  for (const mode of ['default', 'optin'] as const)
    test(`in ${mode} mode, later ones are right, fall when they change, and are hits`, async () => {
      await using own = await open({}, { mode });
      await using other = await otherClient(redis.url);
      const { client, engine } = own;
      for (let i = 0; i < 20; i += 1) {
        await other.client.mSet({ asap: `${i}`, plain: `${i}` });
        await client.ping();
        const answers = await Promise.all([
          client.get('plain'),
          client.asap().get('asap'),
          client.asap().get('plain'),
          client.get('asap'),
        ]);
        expect(answers).toEqual([`${i}`, `${i}`, `${i}`, `${i}`]);
      }
      // Whether it is kept or not, in optin mode, is a matter of who overtook whom.
      await client.get('asap');
      const { hits } = engine.stats();
      expect(await client.asap().get('asap')).toBe('19');
      expect(engine.stats().hits).toBe(hits + 1);
    });
});

describe('modules', () => {
  test('json.get: cached with what it was parsed to; by another path, or with a function, read anew', async () => {
    await using fake = await FakeRedis.start({
      keys: new FakeKeyspace(),
      answers: { 'JSON.GET': ({ args }) => encode.bulk(JSON.stringify({ args, list: [1] })) },
    });
    fake.writeFromElsewhere('SET', 'doc', 'any');
    const cache = clientSideCache();
    const client = createClient({ url: fake.url, clientSideCache: cache });
    client.on('error', () => {});
    await client.connect();
    await client.ping();
    await tracking(cache.engine);
    const asked = () => fake.commands.filter((command) => command.is('JSON.GET')).length;
    const first = (await client.json.get('doc')) as { args: string[]; list: number[] };
    expect(first).toEqual({ args: ['doc'], list: [1] });
    first.list.push(2);
    expect(await client.json.get('doc')).toEqual({ args: ['doc'], list: [1] });
    expect(asked()).toBe(1);
    for (let i = 0; i < 2; i += 1)
      expect(await client.json.get('doc', { path: '$.a' })).toEqual({
        args: ['doc', '$.a'],
        list: [1],
      });
    expect(asked()).toBe(2);
    // What a function makes of it is nobody else's.
    const reviver = (key: string, value: unknown) => (key === 'list' ? 'mine' : value);
    for (let i = 0; i < 2; i += 1)
      expect(await client.json.get('doc', { reviver } as never)).toEqual({
        args: ['doc'],
        list: 'mine',
      });
    expect(asked()).toBe(4);
    expect(await client.json.get('doc')).toEqual({ args: ['doc'], list: [1] });
    expect(asked()).toBe(4);
    fake.writeFromElsewhere('SET', 'doc', 'other');
    await client.ping();
    await client.json.get('doc');
    expect(asked()).toBe(5);
    client.destroy();
  });

  /** A command of one's own that is called cacheable, on a server that has it. */
  const substr = {
    CACHEABLE: true,
    IS_READ_ONLY: true,
    parseCommand(
      parser: { push(...words: string[]): void; pushKey(key: string): void },
      key: string,
    ) {
      parser.push('SUBSTR');
      parser.pushKey(key);
      parser.push('0', '2');
    },
    transformReply: (reply: string) => ({ text: reply, letters: reply.split('') }),
  };

  for (const kind of KINDS)
    test(`${kind}: a module's command that is called cacheable is cached, as it was transformed`, async () => {
      await using deployment = await startFor(kind);
      await using opened = await openCached(kind, deployment, {
        commands: { modules: { own: { substr } } },
      });
      const { writer, keyFor, invalidated } = opened;
      const raw = opened.raw as unknown as {
        own: { substr(key: string): Promise<{ text: string; letters: string[] }> };
      };
      await writer.set(keyFor('k'), 'abcdef');
      opened.counted();
      const first = await raw.own.substr(keyFor('k'));
      expect(first).toEqual({ text: 'abc', letters: ['a', 'b', 'c'] });
      first.letters.push('mine');
      expect(await raw.own.substr(keyFor('k'))).toEqual({ text: 'abc', letters: ['a', 'b', 'c'] });
      expect(opened.counted()).toMatchObject({ hits: 1, misses: 1 });
      const gone = invalidated(keyFor('k'));
      await writer.set(keyFor('k'), 'xyz');
      await gone;
      expect((await raw.own.substr(keyFor('k'))).text).toBe('xyz');
    });
});

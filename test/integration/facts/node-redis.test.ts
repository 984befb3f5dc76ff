// What redcache relies on from node-redis, one test a fact. When one fails, its reader is in the code.
import { createRequire } from 'node:module';
import {
  BasicClientSideCache,
  BasicPooledClientSideCache,
  createClient,
  createClientPool,
} from 'redis';
import { expect, test } from 'vitest';
import { FakeKeyspace } from '../../support/fake-keyspace.ts';
import { FakeRedis, type FakeRedisOptions } from '../../support/fake-redis.ts';
import { encode } from '../../support/resp.ts';

/** A provider of our own, as redcache has one: notes what it is told, asks for tracking its way. */
class Provider extends BasicPooledClientSideCache {
  readonly heard: string[] = [];
  override trackingOn(): string[] {
    this.heard.push('trackingOn');
    return ['CLIENT', 'TRACKING', 'ON', 'OPTIN'];
  }
  override invalidate(key: Parameters<BasicPooledClientSideCache['invalidate']>[0]): void {
    this.heard.push(`invalidate ${key}`);
    super.invalidate(key);
  }
  override onError(): void {
    this.heard.push('onError');
    super.onError();
  }
}

async function connected(options?: FakeRedisOptions) {
  const server = await FakeRedis.start(options);
  const provider = new Provider();
  const client = createClient({
    url: server.url,
    clientSideCache: provider,
    socket: { reconnectStrategy: 1 },
  });
  client.on('error', () => provider.heard.push('error event'));
  await client.connect();
  return {
    server,
    client,
    provider,
    ready: () => new Promise<void>((resolve) => client.once('ready', () => resolve())),
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await server.close();
    },
  };
}

test('N1: a subclass of BasicPooledClientSideCache is taken, and chooses the tracking mode', async () => {
  await using setting = await connected();
  const { client, server, provider } = setting;
  expect(client.clientSideCache).toBe(provider);
  expect(server.commands.filter((command) => command.is('CLIENT TRACKING'))).toMatchObject([
    { words: ['CLIENT', 'TRACKING', 'ON', 'OPTIN'] },
  ]);
});

test('N1: a pool takes the same object', async () => {
  await using server = await FakeRedis.start({ keys: new FakeKeyspace() });
  const provider = new BasicPooledClientSideCache();
  const pool = createClientPool({ url: server.url }, { clientSideCache: provider, minimum: 2 });
  pool.on('error', () => {});
  await pool.connect();
  expect(pool.clientSideCache).toBe(provider);
  expect(server.commands.filter((command) => command.is('CLIENT TRACKING')).length).toBe(
    server.connections.length,
  );
  pool.destroy();
});

test('N1: on a reconnect tracking is turned on before any queued command', async () => {
  await using setting = await connected();
  const { client, server, provider, ready } = setting;
  const again = ready();
  server.connections[0]?.reset();
  await new Promise((resolve) => client.once('reconnecting', resolve));
  const queued = client.get('key');
  await again;
  (await server.next('GET')).reply(encode.bulk('value'));
  expect(await queued).toBe('value');
  const [, second] = server.connections;
  const names = server.commands
    .filter(({ connection }) => connection === second)
    .map(({ words }) => words.slice(0, 2).join(' '));
  expect(names.indexOf('CLIENT TRACKING')).toBeGreaterThanOrEqual(0);
  expect(names.indexOf('CLIENT TRACKING')).toBeLessThan(names.indexOf('GET key'));
  expect(provider.heard.filter((what) => what === 'trackingOn')).toHaveLength(2);
});

test('N3: a push in the chunk of a reply is handled before the code after await', async () => {
  await using setting = await connected();
  const { client, server, provider } = setting;
  const reading = (async () => {
    await client.sendCommand(['GET', 'key']);
    provider.heard.push('after await');
  })();
  const get = await server.next('GET');
  get.reply(Buffer.concat([encode.bulk('old'), encode.invalidate('key'), encode.flush()]));
  await reading;
  expect(provider.heard).toEqual([
    'trackingOn',
    'invalidate key',
    'invalidate null',
    'after await',
  ]);
});

test('N9: on a connection loss what was sent is rejected, what was not is sent after reconnecting', async () => {
  await using setting = await connected();
  const { client, server } = setting;
  const sent = client.sendCommand(['SET', 'key', '1', 'NX']);
  const unanswered = await server.next('SET');
  const rejected = expect(sent).rejects.toThrow();
  const reconnecting = new Promise((resolve) => client.once('reconnecting', resolve));
  unanswered.connection.reset();
  await reconnecting;
  const unsent = client.sendCommand(['SET', 'key', '2', 'NX']);
  await rejected;
  const again = await server.next('SET');
  expect(again.args).toEqual(['key', '2', 'NX']);
  again.reply(encode.simple('OK'));
  expect(await unsent).toBe('OK');
  expect(server.commands.filter((command) => command.is('SET'))).toHaveLength(2);
});

test('N10: the error event comes before the provider hears of the loss', async () => {
  await using setting = await connected();
  const { server, provider, ready } = setting;
  provider.heard.length = 0;
  const again = ready();
  server.connections[0]?.reset();
  await again;
  expect(provider.heard.filter((what) => what !== 'trackingOn').slice(0, 2)).toEqual([
    'error event',
    'onError',
  ]);
});

test('N11: a provider of a second copy of the client is ignored without a word', async () => {
  await using server = await FakeRedis.start();
  const SecondCopy = secondCopy().BasicPooledClientSideCache;
  const provider = new SecondCopy();
  expect(provider).not.toBeInstanceOf(BasicPooledClientSideCache);
  const client = createClient({ url: server.url, clientSideCache: provider });
  client.on('error', () => {});
  await client.connect();
  expect(client.clientSideCache).not.toBe(provider);
  client.destroy();
});

test('N11: a provider that is not for pools is replaced by a pool without a word', async () => {
  await using server = await FakeRedis.start();
  const provider = new BasicClientSideCache();
  const pool = createClientPool({ url: server.url }, {
    clientSideCache: provider,
  } as unknown as Parameters<typeof createClientPool>[1]);
  pool.on('error', () => {});
  expect(pool.clientSideCache).not.toBe(provider);
  pool.destroy();
});

/** `redis` loaded once more, as a second installation would be. */
function secondCopy(): typeof import('redis') {
  const require = createRequire(import.meta.url);
  const kept = new Map(Object.entries(require.cache));
  for (const file of kept.keys())
    if (/[\\/]@redis[\\/]|[\\/]redis[\\/]/.test(file)) delete require.cache[file];
  try {
    return require('redis') as typeof import('redis');
  } finally {
    for (const [file, module] of kept) require.cache[file] = module;
  }
}

test('a client that is handed out goes deaf when the last listener is taken off it', () => {
  const client = createClient();
  const nobody = (): void => {};
  client.on('ready', nobody);
  client.off('ready', nobody);
  client.on('error', nobody);
  const emitter = (client as unknown as { _self: NodeJS.EventEmitter })._self;
  expect(() => emitter.emit('error', new Error('unheard'))).toThrow('unheard');
});

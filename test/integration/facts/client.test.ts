// What a single node-redis client does with tracking, hangs and databases, one test a fact.
// When one fails, its reader is in the code.
import {
  BasicPooledClientSideCache,
  createClient,
  createClientPool,
  defineScript,
  RESP_TYPES,
  SocketTimeoutError,
  TimeoutError,
} from 'redis';
import { expect, inject, test, vi } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeRedis } from '../../support/fake-redis.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { encode } from '../../support/resp.ts';

const shared = {
  url: inject('redis').standalone,
  port: Number(new URL(inject('redis').standalone).port),
};

type ClientOptions = NonNullable<Parameters<typeof createClient>[0]>;
type Handled = Parameters<BasicPooledClientSideCache['handleCache']>;

/** Notes what is asked of it, and answers as node-redis's own does. */
class Recorder extends BasicPooledClientSideCache {
  readonly handled: (readonly unknown[])[] = [];
  readonly handledKeys: (readonly unknown[])[] = [];
  override handleCache(...args: Handled): ReturnType<BasicPooledClientSideCache['handleCache']> {
    const [, parser] = args;
    this.handled.push([...parser.redisArgs]);
    this.handledKeys.push([...parser.keys]);
    return super.handleCache(...args);
  }
}

/** A connected client without options of its own, but for a reconnect that does not wait. */
async function connected(options: ClientOptions) {
  const client = createClient({ socket: { reconnectStrategy: 1 }, ...options });
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  await client.connect();
  return { client, errors, [Symbol.asyncDispose]: async () => client.destroy() };
}

type Client = Awaited<ReturnType<typeof connected>>['client'];

/** Unlike `once` of node:events it does not reject at an error, which here comes before. */
const heard = (
  client: { once(event: string, listener: () => void): unknown },
  event: string,
): Promise<void> => new Promise((resolve) => client.once(event, () => resolve()));

/** Has the server drop the connection of a client; resolves when it has another one. */
async function reconnect(client: Client): Promise<void> {
  await using other = await RawConnection.open(shared);
  const id = await client.sendCommand(['CLIENT', 'ID']);
  const ready = heard(client, 'ready');
  await other.send('CLIENT', 'KILL', 'ID', String(id));
  await ready;
}

let keys = 0;
/** A key nobody has used; it goes by itself. */
const newKey = (): string => {
  keys += 1;
  return `client-fact:${process.pid}:${keys}`;
};
const expiring = { expiration: { type: 'PX', value: 60_000 } } as const;

test('N2: a refused CLIENT TRACKING has connect() retry for ever; PING instead connects', async () => {
  await using server = await startStandalone();
  await server.node.ask(
    'ACL',
    'SETUSER',
    'app',
    'on',
    '>secret',
    '~*',
    '&*',
    '+@all',
    '-client|tracking',
  );
  let asksForTracking = true;
  let attempts = 0;
  class Provider extends BasicPooledClientSideCache {
    override trackingOn(): string[] {
      attempts += 1;
      return asksForTracking ? ['CLIENT', 'TRACKING', 'ON'] : ['PING'];
    }
  }
  const client = createClient({
    url: server.url,
    username: 'app',
    password: 'secret',
    clientSideCache: new Provider(),
    socket: { reconnectStrategy: 1 },
  });
  const errors: string[] = [];
  client.on('error', (error: Error) => errors.push(error.message));
  let settled = false;
  const connecting = client.connect().finally(() => {
    settled = true;
  });
  await eventually(
    () => attempts,
    (count) => count >= 10,
    { what: 'the tenth attempt' },
  );
  expect(settled).toBe(false);
  expect(errors[0]).toMatch(/^NOPERM/);
  asksForTracking = false;
  await connecting;
  expect(await client.ping()).toBe('PONG');
  client.destroy();
});

test('N5: while a push is under way, a read after an awaited write of another member is stale', async () => {
  await using proxy = await TcpProxy.start(shared);
  const clientSideCache = new BasicPooledClientSideCache();
  await using reading = await connected({ url: proxy.url, clientSideCache });
  await using writing = await connected({ url: shared.url, clientSideCache });
  const [reader, writer] = [reading.client, writing.client];
  const key = newKey();
  await writer.set(key, 'old', expiring);
  await reader.get(key);
  proxy.stall('toClient');
  await writer.set(key, 'new', expiring);
  expect(await reader.get(key)).toBe('old');
  expect(await writer.get(key)).toBe('old');
  proxy.resume('toClient');
  await reader.ping();
  expect(await reader.get(key)).toBe('new');
});

test('N5: without any delay, too, reads after writes in a pool are stale in some rounds', async () => {
  const pool = createClientPool(
    { url: shared.url },
    { clientSideCache: new BasicPooledClientSideCache(), minimum: 4, maximum: 4 },
  );
  pool.on('error', () => {});
  await pool.connect();
  const key = newKey();
  let stale = 0;
  for (let round = 0; round < 10_000 && stale === 0; round += 1) {
    await pool.get(key);
    await pool.set(key, `${round}`, expiring);
    if ((await pool.get(key)) !== `${round}`) stale += 1;
  }
  expect(stale).toBeGreaterThan(0);
  pool.destroy();
});

/** `AbortSignal.timeout` in our hands: what was asked for, and how to let it run out. */
function timeouts() {
  const asked: { readonly ms: number; runOut(): void }[] = [];
  const spy = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const controller = new AbortController();
    asked.push({ ms, runOut: () => controller.abort() });
    return controller.signal;
  });
  return { asked, [Symbol.dispose]: () => spy.mockRestore() };
}

test('N7: each command makes an AbortSignal.timeout of 5 s, none with a timeout of 0', async () => {
  await using usual = await connected({ url: shared.url });
  await using without = await connected({ url: shared.url, commandOptions: { timeout: 0 } });
  using signals = timeouts();
  await Promise.all([usual.client.get(newKey()), usual.client.ping(), usual.client.ping()]);
  expect(signals.asked.map(({ ms }) => ms)).toEqual([5_000, 5_000, 5_000]);
  await Promise.all([without.client.get(newKey()), without.client.ping()]);
  expect(signals.asked).toHaveLength(3);
});

test('N7: the timeout ends a command that is not sent yet, and never one that is', async () => {
  await using server = await FakeRedis.start();
  await using setting = await connected({ url: server.url });
  const { client } = setting;
  using signals = timeouts();
  const sent = client.get('sent');
  const received = await server.next('GET');
  const unsent = client.get('unsent');
  const rejected = expect(unsent).rejects.toBeInstanceOf(TimeoutError);
  for (const { runOut } of signals.asked) runOut();
  await rejected;
  received.reply(encode.bulk('late'));
  expect(await sent).toBe('late');
});

test('N8: a half-open connection is not noticed: hits go on, stale, and no error comes', async () => {
  await using proxy = await TcpProxy.start(shared);
  await using setting = await connected({
    url: proxy.url,
    clientSideCache: new BasicPooledClientSideCache(),
    pingInterval: 1,
  });
  const { client, errors } = setting;
  await using other = await RawConnection.open(shared);
  const key = newKey();
  await other.send('SET', key, 'old', 'PX', '60000');
  await client.get(key);
  proxy.stall();
  let pings = 0;
  client.on('ping-interval', () => {
    pings += 1;
  });
  await other.send('SET', key, 'new', 'PX', '60000');
  // The next ping waits for its answer, and there is none after it.
  const { received } = await eventually(
    () => proxy.bytes('toServer'),
    (bytes) => bytes.received > bytes.forwarded,
    { what: 'a ping to be held' },
  );
  for (let round = 0; round < 200; round += 1) await other.send('PING');
  expect(await client.get(key)).toBe('old');
  expect(client.isReady).toBe(true);
  expect(errors).toEqual([]);
  expect(pings).toBe(0);
  expect(proxy.bytes('toServer').received).toBe(received);
});

/** Far longer than the pause between two writes of the next test. */
const SOCKET_TIMEOUT_MS = 500;

test('N17: own writes keep socketTimeout from noticing that nothing comes back', async () => {
  await using proxy = await TcpProxy.start(shared);
  await using setting = await connected({
    url: proxy.url,
    socket: { socketTimeout: SOCKET_TIMEOUT_MS, reconnectStrategy: 1 },
  });
  const { client, errors } = setting;
  proxy.stall();
  const stalledAtMs = performance.now();
  await eventually(() => {
    client.get('unanswered').catch(() => {});
    return performance.now() - stalledAtMs > 3 * SOCKET_TIMEOUT_MS;
  });
  expect(errors).toEqual([]);
  expect(client.isReady).toBe(true);
  await eventually(
    () => errors.length,
    (count) => count > 0,
    { what: 'the silence to be noticed when nothing is written' },
  );
  expect(errors[0]).toBeInstanceOf(SocketTimeoutError);
});

test('N17: socketTimeout ends an idle, healthy client for good with the default strategy', async () => {
  const client = createClient({ url: shared.url, socket: { socketTimeout: 100 } });
  client.on('error', () => {});
  await client.connect();
  await heard(client, 'terminated');
  expect(client.isOpen).toBe(false);
  await expect(client.get('key')).rejects.toThrow(/closed/);
});

test('N20: exec, pipelines and subscribe have no timeout at all', async () => {
  await using server = await FakeRedis.start();
  await using setting = await connected({ url: server.url });
  const { client } = setting;
  using signals = timeouts();
  const hanging = [
    client.multi().get('key').exec(),
    client.multi().get('key').execAsPipeline(),
    client.subscribe('channel', () => {}),
  ].map((promise) => promise.catch(() => 'rejected'));
  await server.next('SUBSCRIBE');
  expect(signals.asked).toEqual([]);
  const alone = client.get('key').catch(() => 'rejected');
  expect(signals.asked).toHaveLength(1);
  client.destroy();
  expect(await Promise.all([...hanging, alone])).toEqual(Array(4).fill('rejected'));
});

const answerGets = { answers: { GET: encode.bulk('value'), SET: encode.simple('OK') } };
const echo = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: "return redis.call('GET', KEYS[1])",
  parseCommand(parser, key: string) {
    parser.pushKey(key);
  },
  transformReply: undefined as unknown as () => string | null,
});

test('N13: reads pass handleCache, writes do not', async () => {
  const provider = new Recorder();
  await using setting = await connected({ url: shared.url, clientSideCache: provider });
  const { client } = setting;
  const key = newKey();
  await client.set(key, 'value', expiring);
  await client.get(key);
  await client.mGet([key, key]);
  await client.exists(key);
  await client.asap().strLen(key);
  await client.pTTL(key);
  await client.del(key);
  expect(provider.handled.map(([name]) => name)).toEqual(['GET', 'MGET', 'EXISTS', 'STRLEN']);
});

test('N13: multi, pipelines, sendCommand, scripts and type-mapped calls do not pass it, yet are tracked', async () => {
  const provider = new Recorder();
  await using setting = await connected({ url: shared.url, clientSideCache: provider });
  const client = setting.client;
  const scripted = createClient({
    url: shared.url,
    clientSideCache: provider,
    scripts: { echo },
  });
  scripted.on('error', () => {});
  await scripted.connect();
  await using other = await RawConnection.open(shared);
  const dropped: string[] = [];
  provider.on('invalidate', (key) => dropped.push(String(key)));

  const read: string[] = Array.from({ length: 5 }, newKey);
  const [inMulti, inPipeline, raw, inScript, mapped] = read as [
    string,
    string,
    string,
    string,
    string,
  ];
  await client.multi().get(inMulti).exec();
  await client.multi().get(inPipeline).execAsPipeline();
  await client.sendCommand(['GET', raw]);
  await scripted.echo(inScript);
  await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get(mapped);
  expect(provider.handled).toEqual([]);
  for (const key of read) await other.send('SET', key, '1', 'PX', '60000');
  await Promise.all([client.ping(), scripted.ping()]);
  expect(dropped.toSorted()).toEqual(read.toSorted());
  scripted.destroy();
});

test("N13: a type mapping of the client's own options passes handleCache", async () => {
  const provider = new Recorder();
  const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer };
  const client = createClient({
    url: shared.url,
    clientSideCache: provider,
    commandOptions: { typeMapping },
  });
  client.on('error', () => {});
  await client.connect();
  await client.get('key');
  expect(provider.handled).toEqual([['GET', 'key']]);
  await client.withTypeMapping({}).get('key');
  expect(provider.handled).toHaveLength(1);
  client.destroy();
});

test('N13: keys come with the prefix, Buffers as Buffers', async () => {
  const provider = new Recorder();
  await using server = await FakeRedis.start(answerGets);
  await using setting = await connected({
    url: server.url,
    clientSideCache: provider,
    keyPrefix: 'app:',
  });
  const { client } = setting;
  await client.get('text');
  await client.get(Buffer.from([0xff]));
  const bytes = Buffer.concat([Buffer.from('app:'), Buffer.from([0xff])]);
  expect(provider.handledKeys).toEqual([['app:text'], [bytes]]);
  expect(provider.handled).toEqual([
    ['GET', 'app:text'],
    ['GET', bytes],
  ]);
});

test('N13: asap passes handleCache, and is sent before what was queued', async () => {
  const provider = new Recorder();
  await using server = await FakeRedis.start(answerGets);
  await using setting = await connected({ url: server.url, clientSideCache: provider });
  const { client } = setting;
  await Promise.all([client.set('a', '1'), client.set('b', '1'), client.asap().get('c')]);
  expect(provider.handled).toEqual([['GET', 'c']]);
  const sent = server.commands.filter((command) => command.is('SET') || command.is('GET'));
  expect(sent.map(({ words }) => words.slice(0, 2).join(' '))).toEqual(['GET c', 'SET a', 'SET b']);
});

test('N13: what is sent just before fn() stays right before it, but with asap()', async () => {
  class Caching extends BasicPooledClientSideCache {
    override handleCache(...args: Handled): ReturnType<BasicPooledClientSideCache['handleCache']> {
      void args[0].sendCommand(['CLIENT', 'CACHING', 'YES']);
      return args[2]() as ReturnType<BasicPooledClientSideCache['handleCache']>;
    }
  }
  await using server = await FakeRedis.start(answerGets);
  await using setting = await connected({ url: server.url, clientSideCache: new Caching() });
  const { client } = setting;
  await Promise.all([client.get('a'), client.get('b'), client.asap().get('c')]);
  const sent = server.commands.filter(
    (command) => command.is('CLIENT CACHING') || command.is('GET'),
  );
  expect(sent.map(({ words }) => words[1])).toEqual([
    'c',
    'CACHING',
    'a',
    'CACHING',
    'b',
    'CACHING',
  ]);
});

test('N16: each reconnect subscribes to streaming credentials again and disposes of nothing', async () => {
  let subscriptions = 0;
  let disposals = 0;
  await using setting = await connected({
    url: shared.url,
    credentialsProvider: {
      type: 'streaming-credentials-provider',
      subscribe: async () => {
        subscriptions += 1;
        return [{}, { dispose: () => (disposals += 1) }];
      },
      onReAuthenticationError: () => {},
    },
  });
  for (let round = 0; round < 3; round += 1) await reconnect(setting.client);
  expect(subscriptions).toBe(4);
  expect(disposals).toBe(0);
  setting.client.destroy();
  expect(disposals).toBe(1);
});

/** The database as the server has it for the connection of a client. */
async function databaseOf(client: {
  sendCommand(words: string[]): Promise<unknown>;
}): Promise<number> {
  const info = String(await client.sendCommand(['CLIENT', 'INFO']));
  return Number(/ db=(\d+) /.exec(info)?.[1]);
}

const SELECTS: Readonly<
  Record<string, { select(client: Client): Promise<unknown>; afterReconnect: number }>
> = {
  'select(1)': { select: (client) => client.select(1), afterReconnect: 1 },
  "sendCommand(['SELECT', '1'])": {
    select: (client) => client.sendCommand(['SELECT', '1']),
    afterReconnect: 0,
  },
  'multi().select(1).exec()': {
    select: (client) => client.multi().select(1).exec(),
    afterReconnect: 1,
  },
  'multi().select(1).execAsPipeline()': {
    select: (client) => client.multi().select(1).execAsPipeline(),
    afterReconnect: 1,
  },
  "multi().addCommand(['SELECT', '1'])": {
    select: (client) => client.multi().addCommand(['SELECT', '1']).exec(),
    afterReconnect: 0,
  },
};

for (const [what, { select, afterReconnect }] of Object.entries(SELECTS))
  test(`${what}: options.database stays as it was, a reconnect finds database ${afterReconnect}`, async () => {
    await using setting = await connected({ url: shared.url });
    const { client } = setting;
    expect(client.options.database).toBeUndefined();
    expect(await databaseOf(client)).toBe(0);
    await select(client);
    expect(await databaseOf(client)).toBe(1);
    expect(client.options.database).toBeUndefined();
    await reconnect(client);
    expect(await databaseOf(client)).toBe(afterReconnect);
    expect(client.options.database).toBeUndefined();
  });

test('the database of the options: selected before tracking is asked for; select(0) leaves it for good', async () => {
  await using setting = await connected({ url: shared.url, database: 1 });
  const { client } = setting;
  expect(await databaseOf(client)).toBe(1);
  await client.select(0);
  expect(client.options.database).toBe(1);
  await reconnect(client);
  expect(await databaseOf(client)).toBe(0);
  const copy = client.duplicate();
  copy.on('error', () => {});
  await copy.connect();
  expect(await databaseOf(copy)).toBe(1);
  copy.destroy();
});

test('a database in the URL is that of the options', async () => {
  await using setting = await connected({ url: `${shared.url}/1` });
  expect(setting.client.options.database).toBe(1);
  expect(await databaseOf(setting.client)).toBe(1);
});

test('on a reconnect the database is selected before tracking and before what was queued', async () => {
  await using server = await FakeRedis.start(answerGets);
  await using setting = await connected({
    url: server.url,
    clientSideCache: new BasicPooledClientSideCache(),
  });
  const { client } = setting;
  await client.select(1);
  const reconnecting = heard(client, 'reconnecting');
  server.connections[0]?.reset();
  await reconnecting;
  await client.get('key');
  const [, second] = server.connections;
  const names = server.commands
    .filter(({ connection }) => connection === second)
    .map(({ words }) => words.slice(0, 2).join(' '));
  const order = ['SELECT 1', 'CLIENT TRACKING', 'GET key'];
  expect(names.filter((name) => order.includes(name))).toEqual(order);
});

test('reset() tracks again, but stays in the database selected, and forgets that it is there', async () => {
  const clientSideCache = new BasicPooledClientSideCache();
  await using setting = await connected({ url: shared.url, clientSideCache });
  const { client } = setting;
  await client.select(1);
  await client.reset();
  const info = (await client.sendCommand(['CLIENT', 'TRACKINGINFO'])) as unknown;
  expect(info).toMatchObject({ flags: ['on'] });
  expect(await databaseOf(client)).toBe(1);
  await reconnect(client);
  expect(await databaseOf(client)).toBe(0);
});

test('a pool member that was given back in another database serves later calls from there', async () => {
  using _ = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const pool = createClientPool({ url: shared.url }, { minimum: 1, maximum: 1 });
  pool.on('error', () => {});
  await pool.connect();
  await pool.execute((client) => client.select(1));
  expect(await databaseOf(pool)).toBe(1);
  pool.destroy();
});

// What redcache relies on from single connections and from pools of them, one test a fact.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  BasicClientSideCache,
  createClientPool,
  createCluster,
  createSentinel,
  DisconnectsClientError,
  type RedisClientPoolType,
  type RedisClientType,
} from 'redis';
import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type ProxiedDeployment, proxyEveryNode } from '../../support/proxied.ts';
import type { TcpProxy } from '../../support/proxy.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { RecordingProvider } from '../../support/recording-provider.ts';
import { type Frame, ReplyError } from '../../support/resp.ts';
import { type OpenKindOptions, openKind } from '../core/four-kinds.ts';

const url = inject('redis').standalone;
const port = Number(new URL(url).port);
/** The server all files share, as far as opening a client there goes. */
const shared = { url } as Parameters<typeof openKind>[1];

/** What the keys of this file begin with, and those of no other that runs beside it. */
const PREFIX = 'pool-fact:';
let keys = 0;
const newKey = (): string => {
  keys += 1;
  return `${PREFIX}${process.pid}:${keys}`;
};

const openClient = (cache: RecordingProvider, options: OpenKindOptions = {}) =>
  openKind('client', shared, { cache, ...options });
const openPool = (cache: RecordingProvider, options: OpenKindOptions = {}) =>
  openKind('pool', shared, { cache, ...options });

/** Arrivals as short texts. */
const told = (frames: readonly Frame[]): string[] =>
  frames.map((frame) => {
    if (frame.is === 'push') return `push ${frame.data[0]}`;
    const { value } = frame;
    if (value instanceof ReplyError) return value.message;
    return value !== null && typeof value === 'object' ? 'info' : String(value);
  });

/** A connection with nothing but what is sent on it. */
async function tracked(...tracking: readonly string[]): Promise<RawConnection> {
  const connection = await RawConnection.open({ port });
  await connection.send('CLIENT', 'TRACKING', 'ON', ...tracking);
  connection.takeArrived();
  return connection;
}

const probing = (key: string): string[][] => [
  ['GET', key],
  ['SET', key, '1', 'PX', '1000'],
  ['CLIENT', 'TRACKINGINFO'],
];

test('R17: SWAPDB pushes nothing, though another value is there now', async () => {
  await using server = await startStandalone();
  await using reader = await RawConnection.open(server.node);
  await using other = await RawConnection.open(server.node);
  await other.send('SET', 'key', 'old');
  await other.send('SELECT', '1');
  await other.send('SET', 'key', 'new');
  await reader.send('CLIENT', 'TRACKING', 'ON');
  expect(await reader.send('GET', 'key')).toBe('old');
  await other.send('SWAPDB', '0', '1');
  expect(await reader.pushes()).toEqual([]);
  expect(await reader.send('GET', 'key')).toBe('new');
});

test('N11: a provider that is not for pools is replaced by pool, cluster and sentinel', () => {
  const clientSideCache = new BasicClientSideCache() as never;
  const clients = [
    createClientPool({ url }, { clientSideCache }),
    createCluster({ rootNodes: [{ url }], clientSideCache }),
    createSentinel({
      name: 'any',
      sentinelRootNodes: [{ host: '127.0.0.1', port }],
      clientSideCache,
    }),
  ];
  for (const client of clients) {
    expect(client.clientSideCache).not.toBe(clientSideCache);
    expect(client.clientSideCache).toBeDefined();
  }
});

test('N12: two commands of one tick use two connections of a pool', async () => {
  await using opened = await openPool(new RecordingProvider());
  const ids = await Promise.all([1, 2].map(() => opened.raw.sendCommand(['CLIENT', 'ID'])));
  expect(new Set(ids).size).toBe(2);
});

test('N12: a key read on two connections is invalidated twice, and neither says where', async () => {
  const cache = new RecordingProvider();
  await using opened = await openPool(cache);
  const { raw, writer } = opened;
  const key = newKey();
  await Promise.all([1, 2].map(() => raw.sendCommand(['GET', key])));
  await writer.set(key, 'value');
  await eventually(() => cache.count(`invalidate ${key}`) === 2);
});

test('N12: a pool that shrinks closes a member, and the provider drops what all had', async () => {
  const cache = new RecordingProvider();
  const pool = createClientPool(
    { url },
    { minimum: 1, maximum: 2, cleanupDelay: 50, clientSideCache: cache },
  );
  pool.on('error', () => {});
  await pool.connect();
  await Promise.all([1, 2].map(() => pool.execute((client) => client.ping())));
  expect(pool.totalClients).toBe(2);
  await pool.get(newKey());
  expect(cache.size()).toBe(1);
  cache.take();
  await eventually(() => cache.count('onClose') === 1);
  expect(cache.take()).toEqual(['onClose', 'clear']);
  expect(cache.size()).toBe(0);
  pool.destroy();
});

test('a pool asks trackingOn for each of its members', async () => {
  const cache = new RecordingProvider();
  await using opened = await openPool(cache);
  expect(cache.count('trackingOn')).toBe(opened.raw.totalClients);
  expect(opened.raw.totalClients).toBe(4);
});

for (const kind of ['client', 'pool'] as const)
  test(`${kind}: a plain value from handleCache is what the caller gets`, async () => {
    class Plain extends RecordingProvider {
      override handleCache(): never {
        return 'plain' as never;
      }
    }
    await using opened = await openKind(kind, shared, { cache: new Plain() });
    expect(await opened.client.get(newKey())).toBe('plain');
  });

for (const off of [[['RESET'], ['HELLO', '3']], [['CLIENT', 'TRACKING', 'OFF']]])
  test(`after ${off[0]?.join(' ')} nothing is pushed; turned on again, what was read before is tracked on, but for what changed meanwhile`, async () => {
    await using reader = await tracked();
    await using other = await RawConnection.open({ port });
    const [between, afterwards] = [newKey(), newKey()];
    for (const key of [between, afterwards]) await reader.send('GET', key);
    for (const command of off) await reader.send(...command);
    const info = await reader.send('CLIENT', 'TRACKINGINFO');
    expect(JSON.stringify(info instanceof Map ? [...info] : info)).toContain('"off"');
    await other.send('SET', between, 'value', 'PX', '60000');
    expect(await reader.pushes()).toEqual([]);
    await reader.send('CLIENT', 'TRACKING', 'ON');
    await other.send('SET', between, 'another', 'PX', '60000');
    await other.send('SET', afterwards, 'value', 'PX', '60000');
    expect(await reader.pushes()).toEqual([[afterwards]]);
  });

test('reset() asks trackingOn again and tells the provider nothing else: what it has is served on', async () => {
  const cache = new RecordingProvider();
  await using opened = await openClient(cache);
  const { client, raw } = opened;
  const key = newKey();
  expect(await client.get(key)).toBeNull();
  cache.take();
  const { hitCount } = cache.stats();
  await raw.reset();
  expect(cache.take()).toEqual(['trackingOn']);
  expect(await client.get(key)).toBeNull();
  expect(cache.stats().hitCount).toBe(hitCount + 1);
  expect(await raw.sendCommand(['CLIENT', 'TRACKINGINFO'])).toMatchObject({ flags: ['on'] });
});

test('CLIENT TRACKINGINFO through sendCommand is an object with an array of flags', async () => {
  for (const [tracking, flags, prefixes] of [
    [[], ['on'], []],
    [['OPTIN'], ['on', 'optin'], []],
    [['NOLOOP'], ['on', 'noloop'], []],
    [['BCAST', 'PREFIX', 'a:'], ['on', 'bcast'], ['a:']],
  ] as const) {
    await using opened = await openClient(new RecordingProvider(...tracking));
    const info = await opened.raw.sendCommand(['CLIENT', 'TRACKINGINFO']);
    expect({ ...(info as object) }).toEqual({ flags, redirect: 0, prefixes });
    await opened.raw.sendCommand(['CLIENT', 'TRACKING', 'OFF']);
    expect(await opened.raw.sendCommand(['CLIENT', 'TRACKINGINFO'])).toMatchObject({
      flags: ['off'],
      redirect: -1,
    });
  }
});

for (const [mode, tracking, before] of [
  ['default', [], []],
  ['OPTIN', ['OPTIN'], [['CLIENT', 'CACHING', 'YES']]],
] as const)
  test(`${mode}: the push of an own write comes between its reply and the reply of what was sent with it`, async () => {
    await using reader = await tracked(...tracking);
    for (let i = 0; i < 50; i += 1) {
      const key = newKey();
      await Promise.all(reader.pipeline([...before, ...probing(key)]));
      const arrived = told(await reader.arrivals());
      expect(arrived.slice(before.length)).toEqual(['null', 'OK', `push ${key}`, 'info']);
    }
  });

test('BCAST: the push of an own write comes behind all replies of what was sent with it', async () => {
  await using reader = await tracked('BCAST', 'PREFIX', PREFIX);
  for (let i = 0; i < 50; i += 1) {
    const key = newKey();
    await Promise.all(reader.pipeline(probing(key)));
    expect(told(await reader.arrivals())).toEqual(['null', 'OK', 'info', `push ${key}`]);
  }
});

test('BCAST: the push of an own write comes before the reply of what is sent once that was answered', async () => {
  await using reader = await tracked('BCAST', 'PREFIX', PREFIX);
  for (let i = 0; i < 50; i += 1) {
    const key = newKey();
    await reader.send('SET', key, '1', 'PX', '1000');
    await reader.send('CLIENT', 'TRACKINGINFO');
    expect(told(reader.takeArrived())).toEqual(['OK', `push ${key}`, 'info']);
  }
});

for (const [mode, tracking] of [
  ['default', []],
  ['OPTIN', ['OPTIN']],
] as const)
  test(`${mode}: node-redis hands the provider the push of a probe before the code after its third reply`, async () => {
    const cache = new RecordingProvider(...tracking);
    await using opened = await openClient(cache);
    const { raw } = opened;
    for (let i = 0; i < 50; i += 1) {
      const key = newKey();
      cache.take();
      if (mode === 'OPTIN') void raw.sendCommand(['CLIENT', 'CACHING', 'YES']);
      const replies = probing(key).map((each) => raw.sendCommand(each));
      await replies[2];
      expect(cache.heard).toEqual([`invalidate ${key}`]);
    }
  });

for (const tracking of [[], ['OPTIN']] as const)
  test(`NOLOOP ${tracking}: no push of an own write, nor of an expiry that an own read finds`, async () => {
    await using reader = await tracked(...tracking, 'NOLOOP');
    const read = async (key: string): Promise<unknown> => {
      if (tracking.length > 0) await reader.send('CLIENT', 'CACHING', 'YES');
      return reader.send('GET', key);
    };
    const [written, expiring] = [newKey(), newKey()];
    await read(written);
    await reader.send('SET', written, '1', 'PX', '1000');
    await reader.send('SET', expiring, '1', 'PX', '40');
    await read(expiring);
    reader.takeArrived();
    // The server removes it by itself at some time: then there is a push, for it is nobody's write.
    const others: string[] = [];
    await eventually(async () => {
      const gone = (await read(expiring)) === null;
      others.push(...told(reader.takeArrived()).filter((each) => each.startsWith('push')));
      return gone;
    });
    expect(others.filter((each) => !each.endsWith(expiring))).toEqual([]);
  });

for (const tracking of [[], ['OPTIN']] as const)
  test(`tracking ${tracking} turned on without NOLOOP, probed, then switched to NOLOOP in one go: accepted, and pushes before`, async () => {
    await using reader = await RawConnection.open({ port });
    await using other = await RawConnection.open({ port });
    const [probe, before] = [newKey(), newKey()];
    const on = ['CLIENT', 'TRACKING', 'ON', ...tracking];
    const caching = tracking.length > 0 ? [['CLIENT', 'CACHING', 'YES']] : [];
    const commands = [
      on,
      ...caching,
      ['GET', before],
      ...caching,
      ...probing(probe).slice(0, 2),
      [...on, 'NOLOOP'],
      ['CLIENT', 'TRACKINGINFO'],
    ];
    await Promise.all(reader.pipeline(commands));
    const arrived = told(await reader.arrivals());
    expect(arrived.slice(-4)).toEqual(['OK', `push ${probe}`, 'OK', 'info']);
    // What was tracked before the switch still is, and own writes are silent from now on.
    await other.send('SET', before, 'theirs', 'PX', '60000');
    expect(await reader.pushes()).toEqual([[before]]);
    await Promise.all(
      reader.pipeline([...caching, ['GET', probe], ['SET', probe, '2', 'PX', '1000']]),
    );
    expect(await reader.pushes()).toEqual([]);
  });

test('tracking cannot be switched to or from BCAST, and a prefix cannot be said twice', async () => {
  await using reader = await tracked();
  await expect(reader.send('CLIENT', 'TRACKING', 'ON', 'BCAST')).rejects.toThrow('BCAST mode');
  await using broad = await tracked('BCAST', 'PREFIX', 'a:');
  await expect(broad.send('CLIENT', 'TRACKING', 'ON')).rejects.toThrow('BCAST mode');
  await expect(broad.send('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'a:')).rejects.toThrow(
    'overlap',
  );
});

/** What node-redis does when a client is destroyed and connected in one tick, with work under way. */
async function replaced(
  member: RedisClientType,
  { stall, resume, isSent }: { stall(): void; resume(): void; isSent(): Promise<unknown> },
): Promise<void> {
  const channel = newKey();
  const got: string[] = [];
  await member.subscribe(channel, (message) => got.push(message));
  stall();
  const sent = [
    member.set(newKey(), 'sent', { PX: 60_000 }),
    member.multi().get(newKey()).exec(),
  ].map((each) => expect(each).rejects.toThrow(DisconnectsClientError));
  await isSent();
  const unsent = expect(member.get(newKey())).rejects.toThrow(DisconnectsClientError);
  resume();
  member.destroy();
  const connecting = member.connect();
  // Asked for while it connects: sent as soon as it has.
  const meanwhile = member.ping();
  await Promise.all([...sent, unsent, connecting]);
  expect(await meanwhile).toBe('PONG');
  await using other = await RawConnection.open({ port });
  expect(await other.send('PUBLISH', channel, 'message')).toBe(1);
  await eventually(() => got.length === 1);
}

for (const kind of ['client', 'pool'] as const)
  test(`${kind}: destroy and connect in one tick: sent and unsent are rejected, subscriptions come back`, async () => {
    await using proxied = await proxyShared();
    const cache = new RecordingProvider();
    await using opened = await openKind(kind, shared, { cache, through: proxied });
    const [proxy] = proxied.proxies as [TcpProxy];
    const run = (member: RedisClientType): Promise<void> => {
      const { forwarded } = proxy.bytes('toServer');
      return replaced(member, {
        stall: () => proxy.stall('toClient'),
        resume: () => proxy.resume(),
        isSent: () => eventually(() => proxy.bytes('toServer').forwarded > forwarded + 100),
      });
    };
    if (kind === 'client') await run(opened.raw as RedisClientType);
    else await (opened.raw as RedisClientPoolType).execute((member) => run(member as never));
    expect(cache.count('onClose')).toBe(1);
    expect(await opened.client.set(newKey(), 'value', { PX: 60_000 })).toBe('OK');
  });

test('destroy and connect in one tick while it reconnects: two attempts, and a connection that nobody closes', async () => {
  await using proxied = await proxyShared();
  await using opened = await openClient(new RecordingProvider(), { through: proxied });
  const { raw } = opened;
  const [proxy] = proxied.proxies as [TcpProxy];
  const reconnecting = new Promise((resolve) => raw.once('reconnecting', resolve));
  proxy.cut({ refuse: true });
  await reconnecting;
  raw.destroy();
  const connecting = raw.connect();
  proxy.heal();
  await connecting;
  await eventually(() => proxy.open === 2);
  raw.destroy();
  // The proxy sees one end; the other connection stays until the proxy cuts it.
  await eventually(() => proxy.open === 1);
  expect(raw.isOpen).toBe(false);
});

test('destroy while the handshake hangs and connect when its socket has closed: one connection', async () => {
  await using proxied = await proxyShared();
  await using opened = await openClient(new RecordingProvider(), { through: proxied });
  const { raw } = opened;
  const [proxy] = proxied.proxies as [TcpProxy];
  const sockets: Socket[] = [];
  const note = (message: unknown): void =>
    void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', note);
  const connected = new Promise((resolve) => raw.once('connect', resolve));
  proxy.stall();
  proxy.cut();
  await connected;
  unsubscribe('net.client.socket', note);
  expect([raw.isOpen, raw.isReady]).toEqual([true, false]);
  const hanging = sockets.find(({ remotePort }) => remotePort === proxy.port) as Socket;
  const closed = once(hanging, 'close');
  raw.destroy();
  await closed;
  // What node-redis does about it runs in the tasks that follow.
  await new Promise((resolve) => setImmediate(resolve));
  const connecting = raw.connect();
  proxy.resume();
  await connecting;
  expect(await raw.ping()).toBe('PONG');
  await eventually(() => proxy.open === 1);
  expect(proxy.accepted).toBe(3);
});

/** A proxy in front of the server that all files share. */
const proxyShared = (): Promise<ProxiedDeployment> =>
  proxyEveryNode({ nodes: [{ host: '127.0.0.1', port, role: 'master' }] } as never);

test('an idle member is lent at once, and one that is given back at once goes to the end of the line', async () => {
  await using opened = await openKind('pool', shared, { cache: new RecordingProvider() });
  const { raw } = opened;
  const lent: unknown[] = [];
  const { idleClients } = raw;
  for (let i = 0; i <= idleClients; i += 1) void raw.execute((member) => void lent.push(member));
  expect(lent).toHaveLength(idleClients + 1);
  expect(new Set(lent).size).toBe(idleClients);
  expect(lent.at(-1)).toBe(lent[0]);
});

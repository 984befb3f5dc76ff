import { once } from 'node:events';
import { connect } from 'node:net';
import { createClient } from 'redis';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { RawConnection } from '../../support/raw-connection.ts';

const server = { port: Number(new URL(inject('redis').standalone).port) };

/** Whether the promise is still open after a round trip to the server that does not use the proxy. */
async function isOpenAfterRoundTrips(promise: Promise<unknown>): Promise<boolean> {
  let open = true;
  const close = () => {
    open = false;
  };
  promise.then(close, close);
  await using direct = await RawConnection.open(server);
  for (let i = 0; i < 20; i += 1) await direct.send('PING');
  return open;
}

test('passes commands and replies on, and counts connections and bytes', async () => {
  await using proxy = await TcpProxy.start(server);
  await using connection = await RawConnection.open({ port: proxy.port, protocol: 2 });
  expect(await connection.send('ECHO', 'through')).toBe('through');
  expect([proxy.open, proxy.accepted]).toEqual([1, 1]);
  expect(proxy.bytes('toServer')).toEqual({ received: 27, forwarded: 27 });
  expect(proxy.bytes('toClient')).toEqual({ received: 13, forwarded: 13 });
  connection.close();
  await eventually(
    () => proxy.open,
    (open) => open === 0,
  );
  expect(proxy.accepted).toBe(1);
});

test('passes a megabyte on unchanged', async () => {
  await using proxy = await TcpProxy.start(server);
  await using connection = await RawConnection.open(proxy);
  const value = 'abcdefgh'.repeat(512 * 1024);
  await connection.send('SET', 'proxy:large', value, 'PX', '60000');
  const back = await connection.send('GET', 'proxy:large');
  expect(back === value).toBe(true);
});

test('cut ends every connection and, told to refuse, new ones until it heals', async () => {
  await using proxy = await TcpProxy.start(server);
  await using before = await RawConnection.open(proxy);
  proxy.cut({ refuse: true });
  await expect(before.send('PING')).rejects.toThrow();
  await expect(RawConnection.open(proxy)).rejects.toThrow();
  proxy.heal();
  await using after = await RawConnection.open(proxy);
  expect(await after.send('PING')).toBe('PONG');
});

test('cut alone lets a client come back at once', async () => {
  await using proxy = await TcpProxy.start(server);
  const client = createClient({ url: proxy.url, socket: { reconnectStrategy: 5 } });
  client.on('error', () => {});
  await client.connect();
  const again = new Promise((resolve) => client.once('ready', resolve));
  proxy.cut();
  await again;
  expect(await client.ping()).toBe('PONG');
  expect(proxy.accepted).toBe(2);
  client.destroy();
});

test('redirected, it leads new connections elsewhere and leaves the others where they are', async () => {
  await using first = await TcpProxy.start(server);
  await using second = await TcpProxy.start(server);
  await using proxy = await TcpProxy.start(first);
  await using before = await RawConnection.open(proxy);
  proxy.redirect(second);
  await using after = await RawConnection.open(proxy);
  expect(await before.send('PING')).toBe('PONG');
  expect(await after.send('PING')).toBe('PONG');
  expect([first.accepted, second.accepted]).toEqual([1, 1]);
});

test('stalled to the server, a command is held and arrives when resumed', async () => {
  await using proxy = await TcpProxy.start(server);
  await using connection = await RawConnection.open(proxy);
  await using direct = await RawConnection.open(server);
  await direct.send('DEL', 'proxy:stalled');
  const { forwarded } = proxy.bytes('toServer');
  proxy.stall('toServer');
  const written = connection.send('SET', 'proxy:stalled', 'late', 'PX', '60000');
  await eventually(() => proxy.bytes('toServer').received > forwarded);
  expect(await isOpenAfterRoundTrips(written)).toBe(true);
  expect(await direct.send('GET', 'proxy:stalled')).toBeNull();
  expect(proxy.bytes('toServer').forwarded).toBe(forwarded);
  proxy.resume();
  expect(await written).toBe('OK');
  expect(await direct.send('GET', 'proxy:stalled')).toBe('late');
});

test('stalled to the client, a command is done but not answered until resumed', async () => {
  await using proxy = await TcpProxy.start(server);
  await using connection = await RawConnection.open(proxy);
  await using direct = await RawConnection.open(server);
  await direct.send('DEL', 'proxy:unanswered');
  proxy.stall('toClient');
  const written = connection.send('SET', 'proxy:unanswered', 'done', 'PX', '60000');
  await eventually(
    () => direct.send('GET', 'proxy:unanswered'),
    (value) => value === 'done',
  );
  expect(await isOpenAfterRoundTrips(written)).toBe(true);
  proxy.resume('toClient');
  expect(await written).toBe('OK');
});

test('stalled both ways, a new connection is accepted and hears nothing, and a cut ends it', async () => {
  await using proxy = await TcpProxy.start(server);
  proxy.stall();
  const opening = RawConnection.open(proxy);
  await eventually(() => proxy.bytes('toServer').received > 0);
  expect(await isOpenAfterRoundTrips(opening)).toBe(true);
  proxy.cut();
  await expect(opening).rejects.toThrow();
});

test('a delay holds bytes back that long in its direction, and keeps their order', async () => {
  await using proxy = await TcpProxy.start(server);
  await using connection = await RawConnection.open(proxy);
  const { received } = proxy.bytes('toServer');
  proxy.delay(150, 'toServer');
  const startedAtMs = performance.now();
  const replies = connection.pipeline([
    ['ECHO', '1'],
    ['ECHO', '2'],
  ]);
  await eventually(() => proxy.bytes('toServer').received > received);
  proxy.delay(0);
  replies.push(connection.send('ECHO', '3'));
  expect(await Promise.all(replies)).toEqual(['1', '2', '3']);
  // A lower bound holds on any machine, however busy.
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(149);
});

test('without a server behind it, a connection is reset', async () => {
  const closed = await TcpProxy.start(server);
  const target = { port: closed.port };
  await closed.close();
  await using proxy = await TcpProxy.start(target);
  const socket = connect(proxy.port, '127.0.0.1');
  const [error] = await once(socket, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});

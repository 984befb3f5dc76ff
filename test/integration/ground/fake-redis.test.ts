import { once } from 'node:events';
import { connect } from 'node:net';
import { BasicClientSideCache, createClient } from 'redis';
import { expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { FakeKeyspace } from '../../support/fake-keyspace.ts';
import { FakeRedis, type FakeRedisOptions } from '../../support/fake-redis.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { encode, inPieces, RespReader } from '../../support/resp.ts';

/** A real client with a cache, connected to a fake server; every chunk it reads is noted. */
async function connected(options?: FakeRedisOptions) {
  const server = await FakeRedis.start(options);
  const cache = new BasicClientSideCache();
  const client = createClient({ url: server.url, RESP: 3, clientSideCache: cache });
  client.on('error', () => {});
  await client.connect();
  const [connection] = server.connections;
  if (connection === undefined) throw new Error('no connection');
  return {
    server,
    client,
    cache,
    connection,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await server.close();
    },
  };
}

/** A plain socket that keeps each chunk it is given. */
async function listening(server: FakeRedis) {
  const socket = connect(server.port, '127.0.0.1');
  const chunks: string[] = [];
  socket.on('data', (chunk) => chunks.push(chunk.toString()));
  await once(socket, 'connect');
  socket.write(encode.command('GET', 'key'));
  const { connection } = await server.next('GET');
  return { socket, chunks, connection };
}

test('every piece is a data event of its own', async () => {
  await using server = await FakeRedis.start();
  const { socket, chunks, connection } = await listening(server);
  const bytes = Buffer.concat([encode.bulk('value'), encode.invalidate('key'), encode.flush()]);
  await connection.writePieces(inPieces(bytes));
  expect(chunks).toEqual([...bytes.toString()]);
  socket.destroy();
});

test('cut at every position, two pieces are two data events', async () => {
  await using server = await FakeRedis.start();
  const { socket, chunks, connection } = await listening(server);
  const bytes = Buffer.concat([encode.bulk('value'), encode.invalidate('key')]);
  for (let at = 1; at < bytes.length; at += 1) {
    await connection.writePieces([bytes.subarray(0, at), bytes.subarray(at)]);
    expect(chunks.splice(0)).toEqual([
      bytes.subarray(0, at).toString(),
      bytes.subarray(at).toString(),
    ]);
  }
  socket.destroy();
});

test('a reply and a push written together are one data event', async () => {
  await using server = await FakeRedis.start();
  const { socket, chunks, connection } = await listening(server);
  const bytes = Buffer.concat([encode.bulk('value'), encode.invalidate('key')]);
  await connection.writePieces([bytes]);
  expect(chunks).toEqual([bytes.toString()]);
  socket.destroy();
});

test('node-redis connects with its cache on and reads a reply and a push out of one chunk', async () => {
  await using setting = await connected();
  const { server, client, cache, connection } = setting;
  expect(server.commands.some((command) => command.is('CLIENT TRACKING'))).toBe(true);

  const reading = client.get('key');
  const get = await server.next('GET');
  expect(get.args).toEqual(['key']);
  get.reply(Buffer.concat([encode.bulk('old'), encode.invalidate('key')]));
  expect(await reading).toBe('old');

  const again = client.get('key');
  (await server.next('GET')).reply(encode.bulk('new'));
  expect(await again).toBe('new');
  expect(await client.get('key')).toBe('new');
  expect(cache.stats().hitCount).toBe(1);

  const invalidated = once(cache, 'invalidate');
  await connection.writePieces(inPieces(encode.invalidate('key')));
  await invalidated;
  expect(cache.size()).toBe(0);
});

test('what the server says by itself waits for the answers before it and for the end of a frame', async () => {
  await using setting = await connected();
  const { server, client, connection } = setting;
  const order: string[] = [];
  const reading = client.get('key').then((value) => order.push(`get ${value}`));
  const pinging = client.ping().then((text) => order.push(`ping ${text}`));
  const get = await server.next('GET');
  await connection.writePieces([Buffer.from('$5\r\nva')]);
  await connection.writePieces([Buffer.from('lue\r\n')]);
  await Promise.all([reading, pinging]);
  expect(order).toEqual(['get value', 'ping PONG']);
  expect(() => get.reply(encode.nil())).toThrow(/not the oldest/);
});

test('answers of the test take the place of those of the handshake', async () => {
  await using setting = await connected({
    answers: { 'CLIENT ID': encode.integer(42), ECHO: ({ args }) => encode.bulk(args[0] ?? '') },
  });
  expect(await setting.client.clientId()).toBe(42);
  expect(await setting.client.echo('text')).toBe('text');
});

test('a client that is reset connects anew, on a connection of its own', async () => {
  await using setting = await connected();
  const { client, server, connection } = setting;
  const again = new Promise((resolve) => client.once('ready', resolve));
  connection.reset();
  await again;
  expect(server.connections).toHaveLength(2);
  await connection.closed;
});

test('its keys answer and push as a server does, and delivery is up to the test', async () => {
  const keys = new FakeKeyspace();
  await using setting = await connected({ keys });
  const { server, client, cache, connection } = setting;
  server.writeFromElsewhere('SET', 'key', '1');
  expect(await client.get('key')).toBe('1');

  expect(cache.size()).toBe(1);

  connection.hold();
  const reading = client.get('other');
  const writing = client.set('key', 'mine');
  await eventually(() => connection.outbox.length === 3);
  expect(connection.outbox.map(String)).toEqual(
    [encode.nil(), encode.simple('OK'), encode.invalidate('key')].map(String),
  );
  expect(cache.size()).toBe(2);
  await connection.deliver((bytes) => inPieces(bytes));
  expect([await reading, await writing]).toEqual([null, 'OK']);
  expect(cache.size()).toBe(1);

  server.writeFromElsewhere('SET', 'other', 'theirs');
  expect(connection.outbox.map(String)).toEqual([String(encode.invalidate('other'))]);
  connection.release();
  await eventually(() => cache.size() === 0);
});

test('the keys track reads and absence, forget after one push, and push null for a flush', async () => {
  await using server = await FakeRedis.start({ keys: new FakeKeyspace() });
  await using connection = await RawConnection.open(server);
  await connection.send('CLIENT', 'TRACKING', 'ON');
  expect(await connection.send('GET', 'key')).toBeNull();
  server.writeFromElsewhere('SET', 'key', '1', 'PX', '60000');
  server.writeFromElsewhere('SET', 'key', '2', 'PX', '60000');
  expect(await connection.pushes()).toEqual([['key']]);
  expect(await connection.send('GET', 'key')).toBe('2');
  expect(await connection.send('PTTL', 'key')).toBeGreaterThan(0);
  server.writeFromElsewhere('FLUSHALL');
  expect(await connection.pushes()).toEqual([null]);
  expect(await connection.send('PTTL', 'key')).toBe(-2);
});

test('the reader takes every kind of frame, in pieces of any size', () => {
  const frames = [
    encode.simple('OK'),
    encode.error('ERR no'),
    encode.integer(-7),
    encode.bulk('é\r\n'),
    encode.nil(),
    encode.array(encode.bulk('a'), encode.array()),
    encode.map([encode.bulk('k'), encode.integer(1)]),
    encode.invalidate('x', 'y'),
    encode.flush(),
    Buffer.from(
      '$-1\r\n*-1\r\n#t\r\n,1.5\r\n(12345678901234567890\r\n=7\r\ntxt:abc\r\n~1\r\n:1\r\n',
    ),
  ];
  const bytes = Buffer.concat(frames);
  const whole = new RespReader().push(bytes);
  for (let size = 1; size < bytes.length; size += 1) {
    const reader = new RespReader();
    expect(inPieces(bytes, size).flatMap((piece) => reader.push(piece))).toEqual(whole);
    expect(reader.atBoundary).toBe(true);
  }
  expect(whole.slice(-9)).toEqual([
    { is: 'push', kind: 'invalidate', data: [['x', 'y']] },
    { is: 'push', kind: 'invalidate', data: [null] },
    ...[null, null, true, 1.5, 12345678901234567890n, 'abc', [1]].map((value) => ({
      is: 'reply',
      value,
    })),
  ]);
});

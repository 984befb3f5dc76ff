import { describe, expect, test } from 'vitest';
import { FakeRedis } from '../../support/fake-redis.ts';
import { encode, inPieces } from '../../support/resp.ts';
import { trackedClient, tracking } from './tracked-client.ts';

const GET = encode.bulk('old');
const PTTL = encode.integer(-1);

/** A client that has sent a read of a fresh key, and a server that has not answered it. */
async function setting() {
  const server = await FakeRedis.start();
  const tracked = await trackedClient(server.url);
  const { client, engine } = tracked;
  let reads = 0;
  const sent = async () => {
    reads += 1;
    const key = `key ${reads}`;
    const reading = client.get(key);
    const [{ connection }] = await Promise.all([server.next('GET'), server.next('PTTL')]);
    return { key, reading, connection };
  };
  /** A read that must reach the server, and what it answers is kept. */
  const readsAnew = async (key: string): Promise<void> => {
    const reading = client.get(key);
    (await server.next('GET')).reply(encode.bulk('new'));
    (await server.next('PTTL')).reply(PTTL);
    expect(await reading).toBe('new');
    expect(await client.get(key)).toBe('new');
  };
  return {
    ...tracked,
    server,
    engine,
    sent,
    readsAnew,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await server.close();
    },
  };
}

/** All bytes at once, in two pieces cut at every place, and byte by byte. */
function everyCut(bytes: Buffer): (readonly Buffer[])[] {
  const inTwo = Array.from({ length: bytes.length - 1 }, (_, i) => [
    bytes.subarray(0, i + 1),
    bytes.subarray(i + 1),
  ]);
  return [[bytes], ...inTwo, inPieces(bytes)];
}

const pushes = {
  'a push of the key': (key: string) => encode.invalidate(key),
  'a push of several keys': (key: string) => encode.invalidate('other', key),
  'a flush': () => encode.flush(),
};
const orders = {
  'before the reply': (push: Buffer) => [push, GET, PTTL],
  'between the reply and that of PTTL': (push: Buffer) => [GET, push, PTTL],
  'after both': (push: Buffer) => [GET, PTTL, push],
};

describe.for(Object.keys(pushes) as (keyof typeof pushes)[])('%s', (push) => {
  test.for(Object.keys(orders) as (keyof typeof orders)[])(
    '%s, in one chunk or split at every byte: never a stale entry',
    async (order) => {
      await using it = await setting();
      const cuts = everyCut(Buffer.concat(orders[order](pushes[push]('key 100'))));
      for (const [i] of cuts.entries()) {
        const { key, reading, connection } = await it.sent();
        const bytes = Buffer.concat(orders[order](pushes[push](key)));
        await connection.writePieces(everyCut(bytes)[i] ?? [bytes]);
        expect(await reading).toBe('old');
        expect(it.engine.stats().entries).toBe(0);
      }
      const { key, reading, connection } = await it.sent();
      await connection.writePieces([Buffer.concat(orders[order](pushes[push](key)))]);
      await reading;
      await it.readsAnew(key);
    },
  );
});

test('undisturbed, in one chunk or split at every byte: kept, and not asked for again', async () => {
  await using it = await setting();
  const cuts = everyCut(Buffer.concat([GET, PTTL]));
  for (const pieces of cuts) {
    const { key, reading, connection } = await it.sent();
    await connection.writePieces(pieces);
    expect(await reading).toBe('old');
    const asked = it.server.commands.length;
    expect(await it.client.get(key)).toBe('old');
    expect(it.server.commands).toHaveLength(asked);
  }
  expect(it.engine.stats()).toMatchObject({ entries: cuts.length, hits: cuts.length });
});

test('a push of another key, wherever it comes, leaves the reply to be kept', async () => {
  await using it = await setting();
  for (const order of Object.values(orders)) {
    const { key, reading, connection } = await it.sent();
    await connection.writePieces([Buffer.concat(order(encode.invalidate('other')))]);
    await reading;
    expect(await it.client.get(key)).toBe('old');
  }
  expect(it.engine.stats().hits).toBe(3);
});

test('a connection that is lost at any byte of the replies leaves nothing', async () => {
  await using it = await setting();
  const bytes = Buffer.concat([GET, PTTL]);
  for (let at = 0; at <= bytes.length; at += 1) {
    const { key, reading, connection } = await it.sent();
    const outcome = reading.catch(() => 'rejected');
    const again = new Promise((resolve) => it.client.once('ready', resolve));
    if (at > 0) await connection.writePieces([bytes.subarray(0, at)]);
    // A client may take a reply for complete before the end of its line.
    if (at < GET.length) expect(it.engine.stats().entries).toBe(0);
    if (at === bytes.length) expect(it.engine.stats().entries).toBe(1);
    connection.reset();
    await again;
    await tracking(it.engine);
    if (at === 0) expect(await outcome).toBe('rejected');
    if (at >= GET.length) expect(await outcome).toBe('old');
    await outcome;
    expect(it.engine.stats().entries).toBe(0);
    await it.readsAnew(key);
    it.engine.clear();
  }
});

test('an own write at any byte of the replies leaves nothing', async () => {
  await using it = await setting();
  const bytes = Buffer.concat([GET, PTTL]);
  for (let at = 0; at <= bytes.length; at += 1)
    for (const settles of ['at once', 'after the reply']) {
      const { key, reading, connection } = await it.sent();
      if (at > 0) await connection.writePieces([bytes.subarray(0, at)]);
      const fence = it.engine.fence([key]);
      if (settles === 'at once') fence.settle();
      if (at < bytes.length) await connection.writePieces([bytes.subarray(at)]);
      expect(await reading).toBe('old');
      expect(it.engine.stats().entries).toBe(0);
      fence.settle();
      await it.readsAnew(key);
      it.engine.clear();
    }
});

test('a reply that says nothing of the key’s time is handed out and not kept', async () => {
  await using it = await setting();
  for (const bytes of [
    encode.error('ERR unknown command'),
    encode.integer(-2),
    encode.integer(0),
  ]) {
    const { reading, connection } = await it.sent();
    await connection.writePieces([Buffer.concat([GET, bytes])]);
    expect(await reading).toBe('old');
    expect(it.engine.stats().entries).toBe(0);
  }
});

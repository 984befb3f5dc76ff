import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeRedis } from '../../support/fake-redis.ts';
import { encode } from '../../support/resp.ts';
import { otherClient, type TrackedClientOptions, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

describe('clients that share a cache', () => {
  test('two clients of different databases share a cache and not an answer', async () => {
    await using first = await trackedClient(redis.url);
    await using second = await trackedClient(redis.url, undefined, {
      database: 1,
      cache: first.cache,
    });
    await first.client.set('k', 'in 0');
    await second.client.set('k', 'in 1');
    for (let i = 0; i < 3; i += 1) {
      expect([await first.client.get('k'), await second.client.get('k')]).toEqual(['in 0', 'in 1']);
      expect(await first.client.mGet(['k'])).toEqual(['in 0']);
      expect(await second.client.mGet(['k'])).toEqual(['in 1']);
    }
    expect(first.engine.stats()).toMatchObject({ entries: 2, misses: 2, hits: 10 });
    await second.client.hSet('h', 'field', 'in 1');
    expect(await second.client.hGetAll('h')).toEqual({ field: 'in 1' });
    expect(await first.client.hGetAll('h')).toEqual({});
    expect(await second.client.hGetAll('h')).toEqual({ field: 'in 1' });
  });

  test('the same database, by option or by url, does share', async () => {
    await using first = await trackedClient(redis.url, undefined, { database: 2 });
    await using second = await trackedClient(`${redis.url}/2`, undefined, { cache: first.cache });
    await first.client.set('shared', 'value');
    await first.client.get('shared');
    const { hits } = first.engine.stats();
    expect(await second.client.get('shared')).toBe('value');
    expect(first.engine.stats().hits).toBe(hits + 1);
  });
});

describe('a client that selects a database', () => {
  type Client = Awaited<ReturnType<typeof trackedClient>>['client'];
  const WAYS: Record<string, (client: Client, database: number) => Promise<unknown>> = {
    'select()': (client, database) => client.select(database),
    'a raw SELECT': (client, database) => client.sendCommand(['SELECT', String(database)]),
    'a raw select in small letters': (client, database) =>
      client.sendCommand(['select', String(database)]),
    'multi().select()': (client, database) => client.multi().select(database).exec(),
  };
  for (const [name, select] of Object.entries(WAYS))
    test(`after ${name} nothing of the database before is served, nor is it forgotten where it is`, async () => {
      await using other = await otherClient(redis.url);
      await other.client.set('moved', 'in 0');
      await other.client.select(3);
      await other.client.set('moved', 'in 3');
      await using own = await trackedClient(redis.url);
      const { client } = own;
      expect([await client.get('moved'), await client.get('moved')]).toEqual(['in 0', 'in 0']);
      await select(client, 3);
      expect([await client.get('moved'), await client.get('moved')]).toEqual(['in 3', 'in 3']);
      // Cached again there, and pushed.
      await eventually(async () => {
        expect(await client.get('moved')).toBe('in 3');
        return own.isHit('moved');
      });
      await other.client.set('moved', 'new in 3');
      await client.ping();
      expect(await client.get('moved')).toBe('new in 3');
      await select(client, 0);
      expect(await client.get('moved')).toBe('in 0');
      await other.client.set('moved', 'in 3');
    });

  test('un-awaited: a read behind a SELECT is of the new database, one before it of the old', async () => {
    await using other = await otherClient(redis.url);
    await other.client.set('order', 'in 0');
    await other.client.select(4);
    await other.client.set('order', 'in 4');
    await using own = await trackedClient(redis.url);
    const { client } = own;
    for (let i = 0; i < 50; i += 1) {
      const answers = [client.get('order')];
      void client.select(4);
      answers.push(client.get('order'));
      void client.select(0);
      answers.push(client.get('order'));
      expect(await Promise.all(answers)).toEqual(['in 0', 'in 4', 'in 0']);
    }
    // What was kept of it all is right.
    await eventually(async () => {
      expect(await client.get('order')).toBe('in 0');
      return own.isHit('order');
    });
  });

  test('a SELECT that is refused changes nothing', async () => {
    await using own = await trackedClient(redis.url);
    const { client } = own;
    await client.set('refused', 'value');
    await expect(client.select(99)).rejects.toThrow();
    await eventually(async () => {
      expect(await client.get('refused')).toBe('value');
      return own.isHit('refused');
    });
  });

  test('reset() and a reconnect: whatever database it is in then, that one’s answers come', async () => {
    await using other = await otherClient(redis.url);
    await other.client.set('where', 'in 0');
    await other.client.select(5);
    await other.client.set('where', 'in 5');
    await using own = await trackedClient(redis.url);
    const { client } = own;
    const agrees = async () => {
      const [cached, now] = [await client.get('where'), await client.multi().get('where').exec()];
      expect([cached]).toEqual(now);
      return own.isHit('where');
    };
    await client.select(5);
    await eventually(agrees);
    await client.reset();
    await eventually(agrees);
    await client.select(5);
    await other.client.sendCommand(['CLIENT', 'KILL', 'ID', String(await client.clientId())]);
    await eventually(agrees);
  });
});

/** A key that says in which of the first two databases it was read; the cache of both clients is one. */
async function open({ database }: Pick<TrackedClientOptions, 'database'> = {}) {
  const key = `database:${crypto.randomUUID()}`;
  {
    await using other = await otherClient(redis.url);
    for (const each of [0, 1]) {
      await other.client.select(each);
      await other.client.set(key, `of ${each}`);
    }
  }
  const mover = await trackedClient(redis.url, {}, database === undefined ? {} : { database });
  const stayer = await trackedClient(redis.url, undefined, {
    cache: mover.cache,
    ...(database === undefined ? {} : { database }),
  });
  return {
    key,
    mover,
    stayer,
    [Symbol.asyncDispose]: async () => {
      await mover[Symbol.asyncDispose]();
      await stayer[Symbol.asyncDispose]();
    },
  };
}

/** What each of the two reads, until both are answered from here, is what its database says. */
async function agree(
  { key, mover, stayer }: Awaited<ReturnType<typeof open>>,
  [ofMover, ofStayer]: readonly [string, string],
): Promise<void> {
  await eventually(
    async () => {
      const isHit = [await mover.isHit(key), await stayer.isHit(key)];
      expect([await mover.client.get(key), await stayer.client.get(key)]).toEqual([
        ofMover,
        ofStayer,
      ]);
      return !isHit.includes(false);
    },
    Boolean,
    { what: 'both to be answered from here' },
  );
}

describe('a client that goes to another database, while others stay', () => {
  test('and is destroyed, refused a command and connected again', async () => {
    await using setting = await open();
    const { key, mover } = setting;
    const { client } = mover;
    await agree(setting, ['of 0', 'of 0']);
    await client.select(1);
    await agree(setting, ['of 1', 'of 0']);
    client.destroy();
    await expect(client.get(key)).rejects.toThrow(/closed/);
    await client.connect();
    // node-redis goes back to the one that was selected.
    const [now] = (await client.multi().get(key).exec()) as unknown as [string];
    expect(await client.get(key)).toBe(now);
    await agree(setting, [now, 'of 0']);
  });

  for (const words of [
    ['SELECT', '1'],
    ['select', '1'],
    [Buffer.from('sElEcT'), '1'],
  ])
    test(`by multi().addCommand(): ${words[0]}${Buffer.isBuffer(words[0]) ? ' as a Buffer' : ''}`, async () => {
      await using setting = await open();
      const { key, mover } = setting;
      await agree(setting, ['of 0', 'of 0']);
      await mover.client
        .multi()
        .addCommand(words as string[])
        .exec();
      expect(await mover.client.get(key)).toBe('of 1');
      await agree(setting, ['of 1', 'of 0']);
      await mover.client.multi().addCommand(['select', '0']).execAsPipeline();
      expect(await mover.client.get(key)).toBe('of 0');
      await agree(setting, ['of 0', 'of 0']);
    });

  test('by a raw RESET, from the database of its options', async () => {
    await using setting = await open({ database: 1 });
    const { key, mover } = setting;
    await agree(setting, ['of 1', 'of 1']);
    await mover.client.sendCommand(['RESET']);
    await mover.client.sendCommand(['HELLO', '3']);
    expect(await mover.client.get(key)).toBe('of 0');
    await agree(setting, ['of 0', 'of 1']);
    await using other = await otherClient(redis.url);
    await other.client.set(key, 'new in 0');
    await eventually(async () => (await mover.client.get(key)) === 'new in 0');
    await other.client.set(key, 'of 0');
  });
});

describe('the answer to CLIENT INFO, which tells the database', () => {
  /** In which database the server says that a connection is. */
  const infoOf = (database: number) => encode.bulk(`id=1 name= db=${database} resp=3`);

  test('of before a SELECT is none, although it comes in an earlier chunk than the answer to that', async () => {
    let isLeft = false;
    await using server = await FakeRedis.start({
      answers: {
        SELECT: null,
        GET: ({ args: [key = ''] }) => (key.startsWith('redcache:') ? encode.nil() : null),
        PTTL: encode.integer(-1),
        'CLIENT INFO': () => (isLeft ? null : infoOf(0)),
      },
    });
    await using mover = await trackedClient(server.url);
    await using stayer = await trackedClient(server.url, undefined, { cache: mover.cache });
    const { client } = mover;
    isLeft = true;
    const selecting = client.select(1);
    // Asked with what begins the tracking anew, in front of the SELECT.
    const ofBefore = await server.next('CLIENT INFO');
    const select = await server.next('SELECT');
    expect(ofBefore.connection.oldestUnanswered).toBe(ofBefore);
    await ofBefore.connection.writePieces([infoOf(0)]);
    // Nobody knows where this is read, so it is not kept.
    const read = client.get('k');
    const get = await server.next('GET');
    select.reply(encode.simple('OK'));
    await selecting;
    get.reply(encode.bulk('of 1'));
    expect(await read).toBe('of 1');
    const others = stayer.client.get('k');
    (await server.next('GET')).reply(encode.bulk('of 0'));
    expect(await others).toBe('of 0');
    // From when the server has said it on, it is known.
    (await server.next('CLIENT INFO')).reply(infoOf(1));
    await mover.drained();
    const known = client.get('k');
    (await server.next('GET')).reply(encode.bulk('of 1'));
    expect(await known).toBe('of 1');
    expect(await client.get('k')).toBe('of 1');
    expect(await stayer.client.get('k')).toBe('of 0');
  });
});

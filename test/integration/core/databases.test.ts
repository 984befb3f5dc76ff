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

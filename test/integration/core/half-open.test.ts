import { DisconnectsClientError } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { pause } from '../../support/versions.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind, POOL_MEMBERS } from './four-kinds.ts';
import { openBehindProxies } from './half-open.ts';

const MAX_STALENESS_MS = 800;

/** Tracked connections that a client of that kind opens here. */
const TRACKED: { readonly [Each in Kind]: number } = {
  client: 1,
  pool: POOL_MEMBERS,
  cluster: 3,
  sentinel: 2,
};

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());
const open = (kind: Kind) =>
  openBehindProxies(kind, deployments.of(kind), { maxStaleness: MAX_STALENESS_MS });

/** How each ended: with its value, or with the class of its error. */
async function endsOf(all: readonly Promise<unknown>[]): Promise<unknown[]> {
  const ends = await Promise.allSettled(all);
  return ends.map((end) => (end.status === 'fulfilled' ? end.value : end.reason.constructor));
}

describe.for(KINDS)('%s', (kind) => {
  test('what is under way on a connection that is replaced rejects as in node-redis, and its subscription comes back', async () => {
    await using setting = await open(kind);
    const { client, engine, halfOpen, keyFor, writer } = setting;
    const [key, channel] = [keyFor('read'), keyFor('channel')];
    await setting.member(key, async (member) => {
      const heard: string[] = [];
      await member.subscribe(channel, (message) => void heard.push(message));
      await eventually(() => member.get(key).then(() => engine.stats().hits > 0));
      halfOpen.lose();
      const ends = await endsOf([
        member.set(key, 'value'),
        member.multi().get(key).set(key, 'in a transaction').exec(),
        member.multi().get(key).execAsPipeline(),
        member.hGetAll(keyFor('hash')),
      ]);
      expect(ends).toEqual(ends.map(() => DisconnectsClientError));
      expect(engine.stats().silences).toBeGreaterThanOrEqual(1);
      // From the very next tick on the client can be used: it is connecting.
      expect(await member.set(key, 'after')).toBe('OK');
      await eventually(async () => {
        await (writer as unknown as typeof member).publish(channel, 'message');
        return heard.length > 0;
      });
    });
    expect(await client.get(key)).toBe('after');
    await setting.untilHit(key);
  });

  const ends = kind === 'sentinel' ? 'are sent again' : 'reject with its own error';
  test(`commands of the client's that are under way ${ends}, and it goes on working`, async () => {
    await using setting = await open(kind);
    const { client, engine, halfOpen, keyFor, writer } = setting;
    const key = keyFor('read');
    await setting.untilHit(key);
    await setting.untilHit(keyFor('other'));
    await eventually(() => engine.stats().connections === TRACKED[kind]);
    halfOpen.lose();
    const ended = await endsOf([
      client.set(key, 'value'),
      client.get(keyFor('never read')),
      client.multi().set(key, 'in a transaction').get(key).exec(),
    ]);
    if (kind === 'sentinel') expect(ended).toEqual(['OK', null, ['OK', 'in a transaction']]);
    else expect(ended).toEqual(ended.map(() => DisconnectsClientError));
    // Each member of a pool and each node of a cluster is found out, used or not.
    await eventually(() => engine.stats().silences >= TRACKED[kind]);
    for (let i = 0; i < 10; i += 1) expect(await client.set(key, `after ${i}`)).toBe('OK');
    await setting.untilHit(key);
    await writer.set(key, 'of another');
    await eventually(
      () => client.get(key),
      (value) => value === 'of another',
    );
    expect(engine.stats()).toMatchObject({ state: 'tracking' });
  });

  test('while a blocking command is outstanding hits stop after maxStaleness, and the connection stays', async () => {
    await using setting = await open(kind);
    const { engine, keyFor, writer } = setting;
    // In a cluster the two must live on one node.
    const [key, list] = [`{${keyFor(0)}}:read`, `{${keyFor(0)}}:list`];
    await writer.set(key, 'old');
    await setting.member(key, async (member) => {
      await eventually(() => member.get(key).then(() => engine.stats().hits > 0));
      const id = await member.clientId();
      const popped = member.blPop(list, 0);
      expect(await member.get(key)).toBe('old');
      await pause(MAX_STALENESS_MS * 3);
      const { hits, misses } = engine.stats();
      const read = member.get(key);
      await writer.set(key, 'new');
      expect(engine.stats()).toMatchObject({ hits, misses: misses + 1, silences: 0 });
      await (writer as unknown as typeof member).lPush(list, 'element');
      expect([await popped, await read]).toEqual([{ key: list, element: 'element' }, 'new']);
      expect(await member.clientId()).toBe(id);
      await eventually(() => member.get(key).then(() => engine.stats().hits > hits));
      expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
    });
  });
});

test('members of a pool that were never used are found out with the others', async () => {
  await using setting = await open('pool');
  const { client, engine, halfOpen, keyFor, writer } = setting;
  const key = keyFor('read');
  await eventually(() => engine.stats().connections === 4);
  expect(await client.get(key)).toBe(null);
  halfOpen.lose();
  await writer.set(key, 'new');
  // Nobody reads meanwhile.
  await eventually(() => engine.stats().silences === 4 && engine.stats().connections === 4);
  for (let i = 0; i < 8; i += 1) expect(await client.get(key)).toBe('new');
});

test('new connections that are lost as well are given up one after the other', async () => {
  await using setting = await open('client');
  const { client, engine, halfOpen, keyFor, writer } = setting;
  const key = keyFor('read');
  await setting.untilHit(key);
  const accepted = setting.accepted();
  halfOpen.lose({ more: 1 });
  await writer.set(key, 'new');
  expect(
    await eventually(
      () => client.get(key),
      (value) => value === 'new',
    ),
  ).toBe('new');
  expect(setting.accepted()).toEqual([(accepted[0] as number) + 2]);
  expect(engine.stats().silences).toBe(1);
  await setting.untilHit(key);
});

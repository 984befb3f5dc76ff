import type { ClientSideCacheOptions } from '@redcache/core/node-redis';
import { type createClient, RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { type CachedKind, openCached } from './cached-kind.ts';
import { KINDS, type Kind, openKind, startFor } from './four-kinds.ts';

type SingleClient = ReturnType<typeof createClient>;

/** Reads whose replies can be changed: lists, objects, lists of objects, lists of lists. */
const READS: Readonly<Record<string, (client: SingleClient, key: string) => Promise<unknown>>> = {
  lRange: (client, key) => client.lRange(`${key}:list`, 0, -1),
  'lRange of none': (client, key) => client.lRange(`${key}:none`, 0, -1),
  hGetAll: (client, key) => client.hGetAll(`${key}:hash`),
  'hGetAll of many fields': (client, key) => client.hGetAll(`${key}:big hash`),
  hmGet: (client, key) => client.hmGet(`${key}:hash`, ['a', 'none']),
  sMembers: (client, key) => client.sMembers(`${key}:set`),
  zRangeWithScores: (client, key) => client.zRangeWithScores(`${key}:sorted`, 0, -1),
  xRange: (client, key) => client.xRange(`${key}:stream`, '-', '+'),
  mGet: (client, key) => client.mGet([`${key}:text`, `${key}:none`]),
  'get, which is bytes if so mapped': (client, key) => client.get(`${key}:other text`),
};

/** How the replies are made into values of JavaScript. */
const MAPPINGS = {
  'as node-redis maps them': undefined,
  'with Buffers': { [RESP_TYPES.BLOB_STRING]: Buffer },
  'with Maps and Sets': { [RESP_TYPES.MAP]: Map, [RESP_TYPES.SET]: Set },
  'with Maps of Buffers': {
    [RESP_TYPES.MAP]: Map,
    [RESP_TYPES.SET]: Set,
    [RESP_TYPES.BLOB_STRING]: Buffer,
  },
} as const;

async function write(client: SingleClient, key: string): Promise<void> {
  const many = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`field ${i}`, `${i}`]));
  await Promise.all([
    client.rPush(`${key}:list`, ['a', 'b', 'c']),
    client.hSet(`${key}:hash`, { a: '1', b: '2' }),
    client.hSet(`${key}:big hash`, many),
    client.sAdd(`${key}:set`, ['x', 'y']),
    client.zAdd(`${key}:sorted`, [
      { score: 1.5, value: 'm' },
      { score: 2, value: 'n' },
    ]),
    client.xAdd(`${key}:stream`, '1-1', { field: 'value' }),
    client.mSet({ [`${key}:text`]: 'text', [`${key}:other text`]: 'other' }),
  ]);
}

/** Every part of a value that can be changed, itself included. */
function* partsOf(value: unknown): Generator<object> {
  if (typeof value !== 'object' || value === null) return;
  yield value;
  if (Buffer.isBuffer(value)) return;
  const within =
    value instanceof Map ? [...value].flat() : value instanceof Set ? value : Object.values(value);
  for (const part of within) yield* partsOf(part);
}

/** Changes whatever can be changed in it. */
function ruin(value: unknown): void {
  for (const part of [...partsOf(value)]) {
    if (Buffer.isBuffer(part)) part.fill(0);
    else if (part instanceof Map) part.clear();
    else if (part instanceof Set) part.add('mine').delete('x');
    else if (Array.isArray(part)) part.reverse().push('mine');
    else {
      for (const name of Object.keys(part)) delete (part as Record<string, unknown>)[name];
      Object.assign(part, { mine: true });
    }
  }
}

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    for (const [name, typeMapping] of Object.entries(MAPPINGS)) {
      // Clusters and sentinels do not tell their connections what is mapped how, and node-redis then
      // asks no cache.
      if (typeMapping !== undefined && kind !== 'client' && kind !== 'pool') continue;
      const commands = typeMapping === undefined ? {} : { commandOptions: { typeMapping } };

      test(`${name}: what a caller does to his value nobody else notices, whoever asked first`, async () => {
        await using setting = await open(kind, deployment, commands);
        const { cached, plain, key } = setting;
        for (const [what, read] of Object.entries(READS)) {
          const expected = await read(plain, key);
          cached.counted();
          const parts = new Set<object>();
          let count = 0;
          const ask = async (): Promise<void> => {
            const value = await read(cached.raw as SingleClient, key);
            expect([what, value]).toStrictEqual([what, expected]);
            for (const part of partsOf(value)) {
              parts.add(part);
              count += 1;
            }
            ruin(value);
          };
          await Promise.all(Array.from({ length: 6 }, ask));
          for (let i = 0; i < 3; i += 1) await ask();
          expect([what, parts.size]).toEqual([what, count]);
          // One asked the server, for all of it.
          const { loads, hits, coalesced } = cached.counted();
          expect([what, loads]).toEqual([what, 1]);
          expect(hits + coalesced).toBeGreaterThanOrEqual(8);
        }
      });

      test(`${name}, frozen: all share one that cannot be changed, or have their own`, async () => {
        await using setting = await open(kind, deployment, commands, { values: 'frozen' });
        const { cached, plain, key } = setting;
        for (const [what, read] of Object.entries(READS)) {
          const expected = await read(plain, key);
          const ask = () => read(cached.raw as SingleClient, key);
          const values = await Promise.all(Array.from({ length: 6 }, ask));
          for (let i = 0; i < 3; i += 1) values.push(await ask());
          // Bytes, maps and sets cannot be frozen; the list of an MGET is made for each caller.
          const isShared =
            what !== 'mGet' &&
            ![...partsOf(expected)].some(
              (part) => Buffer.isBuffer(part) || part instanceof Map || part instanceof Set,
            );
          for (const value of values) {
            expect([what, value]).toStrictEqual([what, expected]);
            if (!isShared) {
              ruin(value);
              continue;
            }
            expect([what, value === values[0]]).toEqual([what, true]);
            for (const part of partsOf(value)) {
              expect([what, Object.isFrozen(part)]).toEqual([what, true]);
              expect(() => ruin(part)).toThrow(TypeError);
            }
          }
          expect([what, await ask()]).toStrictEqual([what, expected]);
        }
      });
    }
  });

test('a hash with a field called __proto__ fails no read, with Buffers either', async () => {
  await using deployment = await startFor('client');
  for (const typeMapping of Object.values(MAPPINGS)) {
    const commands = typeMapping === undefined ? {} : { commandOptions: { typeMapping } };
    await using setting = await open('client', deployment, commands);
    const { cached, plain, key } = setting;
    await cached.writer.hSet(`${key}:odd`, { ['__proto__']: 'value', other: 'value' });
    const expected = await plain.hGetAll(`${key}:odd`);
    for (let i = 0; i < 3; i += 1) {
      const value = await (cached.raw as SingleClient).hGetAll(`${key}:odd`);
      expect(value instanceof Map ? value : { ...value }).toEqual(
        expected instanceof Map ? expected : { ...expected },
      );
    }
    expect(cached.counted()).toMatchObject({ loads: 1, hits: 2 });
  }
});

/** A client with a cache and one without, which map replies alike, and keys of the same slot. */
async function open(
  kind: Kind,
  deployment: Deployment,
  commands: object,
  options: ClientSideCacheOptions = {},
) {
  const cached: CachedKind = await openCached(kind, deployment, { options, commands });
  const plain = await openKind(kind, deployment, { commands });
  const key = `{${cached.keyFor('values')}}`;
  await write(cached.writer as unknown as SingleClient, key);
  return {
    cached,
    plain: plain.raw as SingleClient,
    key,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([cached.close(), plain.close()]);
    },
  };
}

import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import type { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { type CachedKind, onMasters, openCached } from './cached-kind.ts';
import { KINDS, type Kind, startFor } from './four-kinds.ts';
import { trackedClient } from './tracked-client.ts';

type SingleClient = ReturnType<typeof createClient>;

/** All keys of these tests begin so; see `keyFor`. */
const PREFIX = `kind:${process.pid}:`;

const MODES: Readonly<Record<string, ClientSideCacheOptions>> = {
  default: {},
  optin: { mode: 'optin' },
  broadcast: { mode: { broadcast: [PREFIX, 'another:'] } },
  'default with noLoop': { noLoop: true },
  'optin with noLoop': { mode: 'optin', noLoop: true },
};

const POLLING = { timeout: 10_000, interval: 5 };

/** A number of `INFO stats`, of all masters together. */
async function figureOf(deployment: Deployment, name: string): Promise<number> {
  const answers = await onMasters(deployment, 'INFO', 'stats');
  return answers.reduce(
    (sum, text) => sum + Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1]),
    0,
  );
}

/** Two of a kind that share a cache. */
async function openTwo(kind: Kind, deployment: Deployment, options: ClientSideCacheOptions) {
  const one = await openCached(kind, deployment, { options });
  const two = await openCached(kind, deployment, { cache: one.cache });
  return {
    one,
    two,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([one.close(), two.close()]);
    },
  };
}

const SET = 'return redis.call("SET", KEYS[1], ARGV[1])';

const WRITES: readonly ((open: CachedKind, key: string, value: string) => Promise<unknown>)[] = [
  ({ client }, key, value) => client.set(key, value),
  ({ client }, key, value) => client.multi().set(key, value).exec(),
  ({ client }, key, value) => client.multi().set(key, value).execAsPipeline(),
  ({ raw }, key, value) => (raw as SingleClient).eval(SET, { keys: [key], arguments: [value] }),
];

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    for (const [mode, options] of Object.entries(MODES)) {
      test(`${mode}: what was read is served from here until somebody else changes it`, async () => {
        await using open = await openCached(kind, deployment, { options });
        const { client, writer, keyFor, invalidated, counted } = open;
        const keys = Array.from({ length: 12 }, (_, i) => keyFor(i));
        const [absent, hash] = [keyFor('absent'), keyFor('hash')];
        await Promise.all(keys.map((key) => writer.set(key, 'old')));
        await writer.hSet(hash, { field: 'old' });
        const readAll = async () => [
          ...(await client.mGet(keys)),
          ...(await Promise.all(keys.map((key) => client.get(key)))),
          await client.get(absent),
          await client.hGet(hash, 'field'),
        ];
        const old = [...Array.from({ length: 24 }, () => 'old'), null, 'old'];
        expect([await readAll(), await readAll()]).toEqual([old, old]);
        counted();
        expect(await readAll()).toEqual(old);
        expect(counted()).toMatchObject({ hits: 26, misses: 0 });
        for (const [key, write] of [
          [keys[5] as string, () => writer.set(keys[5] as string, 'new')],
          [absent, () => writer.set(absent, 'new')],
          [hash, () => writer.hSet(hash, { field: 'new' })],
        ] as const) {
          const gone = invalidated(key);
          await write();
          expect(await gone).toBe('push');
        }
        const changed = old.map((value, i) => ([5, 17, 24, 25].includes(i) ? 'new' : value));
        expect(await readAll()).toEqual(changed);
        expect(counted()).toMatchObject({ hits: 23, misses: 3 });
      });

      test(`${mode}, I6: own writes are read, and those of others are heard afterwards`, async () => {
        await using both = await openTwo(kind, deployment, options);
        const { one, two } = both;
        const keys = Array.from({ length: 5 }, (_, i) => one.keyFor(`own ${i}`));
        for (let n = 0; n < 300; n += 1) {
          const key = keys[n % keys.length] as string;
          const write = WRITES[n % WRITES.length] as (typeof WRITES)[number];
          await one.client.get(key);
          await two.client.get(key);
          await write(n % 3 === 0 ? two : one, key, `own ${n}`);
          expect(await one.client.get(key)).toBe(`own ${n}`);
          expect(await two.client.get(key)).toBe(`own ${n}`);
        }
        for (const key of keys) {
          await one.client.get(key);
          await one.writer.set(key, 'foreign');
          // Pushes of own writes may still be under way; that of this one brings it about.
          for (const { client } of [one, two])
            await expect.poll(() => client.get(key), POLLING).toBe('foreign');
        }
      });
    }
  });

describe('what the server does', () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await startFor('client');
  });
  afterAll(() => deployment.stop());

  const FLAGS: Readonly<Record<string, readonly string[]>> = {
    default: ['on'],
    optin: ['on', 'optin'],
    broadcast: ['on', 'bcast'],
    'default with noLoop': ['on', 'noloop'],
    'optin with noLoop': ['on', 'optin', 'noloop'],
  };
  for (const [mode, options] of Object.entries(MODES))
    test(`${mode}: it tracks the connection so, after a reconnection as well`, async () => {
      await using tracked = await trackedClient(deployment.url, options);
      const { client, engine } = tracked;
      const flags = async () => {
        const info = (await client.sendCommand(['CLIENT', 'TRACKINGINFO'])) as unknown as {
          flags: Iterable<string>;
        };
        return [...info.flags];
      };
      expect(await flags()).toEqual(FLAGS[mode]);
      const id = await client.clientId();
      await onMasters(deployment, 'CLIENT', 'KILL', 'ID', String(id));
      await expect.poll(() => client.clientId(), POLLING).not.toBe(id);
      await expect.poll(() => engine.state, POLLING).toBe('tracking');
      expect(await flags()).toEqual(FLAGS[mode]);
    });

  test('in optin mode it remembers only what goes through the cache, in default mode all that is read', async () => {
    const remembered: Record<string, number[]> = {};
    for (const mode of ['default', 'optin'] as const) {
      await using open = await openCached('client', deployment, { options: { mode } });
      const { client, raw, keyFor, engine } = open;
      const keys = (name: string) => Array.from({ length: 20 }, (_, i) => keyFor(`${name} ${i}`));
      const before = await figureOf(deployment, 'tracking_total_keys');
      const added = async () => (await figureOf(deployment, 'tracking_total_keys')) - before;
      for (const key of keys('in a transaction')) await client.multi().get(key).exec();
      await raw.sendCommand(['MGET', ...keys('raw')]);
      remembered[mode] = [await added()];
      await Promise.all(keys('cached').map((key) => client.get(key)));
      remembered[mode].push(await added());
      expect(engine.stats().entries).toBe(20);
    }
    expect(remembered).toEqual({ default: [40, 60], optin: [0, 20] });
  });

  test('in broadcast mode it remembers no key, and pushes what nobody has read', async () => {
    await using open = await openCached('client', deployment, {
      options: MODES.broadcast as ClientSideCacheOptions,
    });
    const { client, writer, keyFor, engine } = open;
    const before = await figureOf(deployment, 'tracking_total_keys');
    for (let i = 0; i < 20; i += 1) await client.get(keyFor(i));
    expect(engine.stats().entries).toBe(20);
    expect(await figureOf(deployment, 'tracking_total_keys')).toBe(before);
    const { pushes } = engine.stats();
    for (let i = 0; i < 10; i += 1) await writer.set(keyFor(`unread ${i}`), 'value');
    await open.raw.ping();
    expect(engine.stats().pushes).toBe(pushes + 10);
  });

  test('in broadcast mode keys outside the prefixes are read and never kept', async () => {
    await using open = await openCached('client', deployment, {
      options: MODES.broadcast as ClientSideCacheOptions,
    });
    const { client, raw, writer, keyFor, counted, engine } = open;
    const [inside, outside] = [keyFor('inside'), `outside:${keyFor('x')}`];
    await writer.mSet([
      [inside, '1'],
      [outside, '1'],
    ]);
    counted();
    for (let i = 1; i < 4; i += 1) {
      await writer.set(outside, `${i}`);
      expect(await client.get(outside)).toBe(`${i}`);
      expect(await client.mGet([inside, outside])).toEqual(['1', `${i}`]);
    }
    // What is inside is kept key by key all the same.
    expect(counted()).toMatchObject({ hits: 2, misses: 7 });
    await writer.del([inside, outside]);
    await raw.ping();
    for (const [n, other] of [keyFor('another'), outside].entries()) {
      for (let i = 0; i < 2; i += 1) expect(await raw.sInter([inside, other])).toEqual([]);
      expect([n, counted()]).toMatchObject([n, { hits: 1 - n, misses: 1 + n }]);
    }
    for (const { key, keys } of engine.internals.store)
      expect(keys ?? [key]).not.toContain(outside);
  });

  test('with noLoop it pushes no own write, without it each of a key that was read', async () => {
    const pushed: Record<string, number> = {};
    for (const noLoop of [false, true]) {
      await using tracked = await trackedClient(deployment.url, { noLoop });
      const { client, engine, drained } = tracked;
      await drained();
      const { pushes } = engine.stats();
      for (let i = 0; i < 30; i += 1) {
        const key = `${PREFIX}loop ${noLoop} ${i % 7}`;
        await client.get(key);
        await client.set(key, `${i}`);
        expect(await client.get(key)).toBe(`${i}`);
      }
      await drained();
      pushed[String(noLoop)] = engine.stats().pushes - pushes;
    }
    expect(pushed).toEqual({ false: 30, true: 0 });
  });
});

test('R3: a script that writes a key it does not declare is known by its push alone, of which noLoop has none', async () => {
  await using deployment = await startFor('client');
  const lua = 'return redis.call("SET", ARGV[1], "new")';
  const seen: Record<string, unknown> = {};
  for (const noLoop of [false, true]) {
    await using tracked = await trackedClient(deployment.url, { noLoop });
    const { client, engine, drained } = tracked;
    await client.set('undeclared', 'old');
    await client.get('undeclared');
    await client.eval(lua, { keys: [], arguments: ['undeclared'] });
    await drained();
    seen[`noLoop ${noLoop}, not declared`] = await client.get('undeclared');
    engine.clear();
    await client.get('undeclared');
    await client.eval(lua.replace('new', 'newer'), {
      keys: ['undeclared'],
      arguments: ['undeclared'],
    });
    seen[`noLoop ${noLoop}, declared`] = await client.get('undeclared');
  }
  expect(seen).toEqual({
    'noLoop false, not declared': 'new',
    'noLoop false, declared': 'newer',
    'noLoop true, not declared': 'old',
    'noLoop true, declared': 'newer',
  });
});

describe('refused at construction, before anything is sent', () => {
  test.for<[ClientSideCacheOptions, RegExp]>([
    [{ mode: { broadcast: ['user:', 'user:1'] } }, /'user:' and 'user:1' overlap/],
    [{ mode: { broadcast: ['a:', ''] } }, /'' and 'a:' overlap/],
    [{ mode: { broadcast: [] } }, /needs a prefix/],
    [{ mode: { broadcast: ['a:'] }, noLoop: true }, /noLoop cannot be combined with broadcast/],
    [{ noLoop: true, readYourWrites: false }, /noLoop needs readYourWrites/],
    [{ mode: 'optin', noLoop: true, readYourWrites: false }, /noLoop needs readYourWrites/],
    [{ mode: 'optout' as never }, /mode must be/],
  ])('%j', ([options, message]) => {
    expect(() => clientSideCache(options)).toThrow(
      expect.objectContaining({
        code: 'REDCACHE_CONFIG',
        message: expect.stringMatching(message),
      }),
    );
  });
});

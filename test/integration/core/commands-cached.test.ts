import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createClient, defineScript } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Deployment, startStandalone } from '../../support/deployments.ts';
import { type CachedKind, callsOf, openCached } from './cached-kind.ts';
import { KINDS, startFor } from './four-kinds.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

type SingleClient = ReturnType<typeof createClient>;

/** One of the commands that are cached: how it is asked, and every key that its reply depends on. */
interface Read {
  readonly keys: readonly string[];
  ask(client: SingleClient): Promise<unknown>;
}

const NAMES = ['s', 'h', 'l', 'z', 'z2', 'set', 'set2', 'x', 'geo', 'pf'] as const;

/** One key of each type, all in one slot. */
const keysOf = (tag: string): Readonly<Record<(typeof NAMES)[number], string>> =>
  Object.fromEntries(NAMES.map((name) => [name, `{${tag}}:${name}`])) as never;

function readsOf(tag: string): Readonly<Record<string, Read>> {
  const { s, h, l, z, z2, set, set2, x, geo, pf } = keysOf(tag);
  const one = (on: string, ask: Read['ask']): Read => ({ keys: [on], ask });
  const two = (a: string, b: string, ask: Read['ask']): Read => ({ keys: [a, b], ask });
  return {
    GET: one(s, (c) => c.get(s)),
    STRLEN: one(s, (c) => c.strLen(s)),
    GETRANGE: one(s, (c) => c.getRange(s, 0, 1)),
    BITCOUNT: one(s, (c) => c.bitCount(s)),
    TYPE: one(s, (c) => c.type(s)),
    'EXISTS of one': one(s, (c) => c.exists(s)),
    'EXISTS of two': two(s, h, (c) => c.exists([s, h])),
    HGET: one(h, (c) => c.hGet(h, 'a')),
    'HGET of no field': one(h, (c) => c.hGet(h, 'none')),
    HMGET: one(h, (c) => c.hmGet(h, ['a', 'none'])),
    HGETALL: one(h, (c) => c.hGetAll(h)),
    HKEYS: one(h, (c) => c.hKeys(h)),
    HVALS: one(h, (c) => c.hVals(h)),
    HLEN: one(h, (c) => c.hLen(h)),
    HEXISTS: one(h, (c) => c.hExists(h, 'a')),
    LRANGE: one(l, (c) => c.lRange(l, 0, -1)),
    LLEN: one(l, (c) => c.lLen(l)),
    LINDEX: one(l, (c) => c.lIndex(l, 0)),
    LPOS: one(l, (c) => c.lPos(l, 'b')),
    ZRANGE: one(z, (c) => c.zRange(z, 0, -1)),
    'ZRANGE WITHSCORES': one(z, (c) => c.zRangeWithScores(z, 0, -1)),
    ZRANGEBYSCORE: one(z, (c) => c.zRangeByScore(z, 0, 10)),
    ZSCORE: one(z, (c) => c.zScore(z, 'm')),
    ZMSCORE: one(z, (c) => c.zmScore(z, ['m', 'none'])),
    ZRANK: one(z, (c) => c.zRank(z, 'm')),
    ZCARD: one(z, (c) => c.zCard(z)),
    ZUNION: two(z, z2, (c) => c.zUnion([z, z2])),
    ZINTER: two(z, z2, (c) => c.zInter([z, z2])),
    ZDIFF: two(z, z2, (c) => c.zDiff([z, z2])),
    SMEMBERS: one(set, (c) => c.sMembers(set)),
    SISMEMBER: one(set, (c) => c.sIsMember(set, 'm')),
    SCARD: one(set, (c) => c.sCard(set)),
    SINTER: two(set, set2, (c) => c.sInter([set, set2])),
    SUNION: two(set, set2, (c) => c.sUnion([set, set2])),
    SDIFF: two(set, set2, (c) => c.sDiff([set, set2])),
    XRANGE: one(x, (c) => c.xRange(x, '-', '+')),
    XLEN: one(x, (c) => c.xLen(x)),
    GEOPOS: one(geo, (c) => c.geoPos(geo, 'm')),
    GEODIST: one(geo, (c) => c.geoDist(geo, 'm', 'n')),
    PFCOUNT: one(pf, (c) => c.pfCount(pf)),
    'SORT_RO without BY': one(l, (c) => c.sortRo(l, { ALPHA: true })),
  };
}

async function fill(client: SingleClient, tag: string): Promise<void> {
  const { s, h, l, z, z2, set, set2, x, geo, pf } = keysOf(tag);
  await client.del(Object.values(keysOf(tag)));
  await client.set(s, 'text');
  await client.hSet(h, { a: '1', b: '2' });
  await client.rPush(l, ['a', 'b']);
  await client.zAdd(z, [{ score: 1.5, value: 'm' }]);
  await client.zAdd(z2, [
    { score: 2, value: 'm' },
    { score: 3, value: 'n' },
  ]);
  await client.sAdd(set, ['m', 'n']);
  await client.sAdd(set2, ['m']);
  await client.xAdd(x, '1-1', { field: 'value' });
  await client.geoAdd(geo, [
    { longitude: 13.361, latitude: 38.115, member: 'm' },
    { longitude: 15.087, latitude: 37.502, member: 'n' },
  ]);
  await client.pfAdd(pf, ['a', 'b']);
}

/** All kinds have these commands; the types of node-redis say so kind by kind. */
const asSingle = (
  open: { readonly [which in 'raw' | 'writer']: unknown },
  which: 'raw' | 'writer',
) => open[which] as SingleClient;

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    let open: CachedKind;
    beforeAll(async () => {
      deployment = await startFor(kind);
      open = await openCached(kind, deployment);
    });
    afterAll(async () => {
      await open.close();
      await deployment.stop();
    });

    test('reads of one and of several keys are cached, and fall with any of their keys', async () => {
      const [client, writer] = [asSingle(open, 'raw'), asSingle(open, 'writer')];
      const tag = open.keyFor('reads');
      for (const [name, { keys, ask }] of Object.entries(readsOf(tag))) {
        await fill(writer, tag);
        open.cache.clear();
        const first = await ask(client);
        open.counted();
        expect([name, await ask(client)]).toStrictEqual([name, first]);
        expect([name, open.counted()]).toMatchObject([name, { hits: 1, misses: 0 }]);
        for (const key of keys) {
          const gone = open.invalidated(key);
          await writer.del(key);
          await gone;
          open.counted();
          const anew = await ask(client);
          expect([name, key, open.counted()]).toMatchObject([name, key, { hits: 0, misses: 1 }]);
          expect([name, key, anew]).toStrictEqual([name, key, await ask(writer)]);
          // Cached without the key as well, or not at all where only the key could tell.
          expect([name, key, await ask(client)]).toStrictEqual([name, key, anew]);
        }
      }
    });

    test('what depends on more than its keys goes to the server each time', async () => {
      const [client, writer] = [asSingle(open, 'raw'), asSingle(open, 'writer')];
      const tag = open.keyFor('never');
      const key = (name: string): string => `{${tag}}:${name}`;
      await fill(writer, tag);
      const reads: Record<string, readonly [command: string, ask: () => Promise<unknown>]> = {
        'SORT_RO BY': [
          'sort_ro',
          () => client.sortRo(key('l'), { BY: `${key('w')}_*`, ALPHA: true }),
        ],
        'SORT_RO GET': ['sort_ro', () => client.sortRo(key('l'), { GET: '#', ALPHA: true })],
        TTL: ['ttl', () => client.ttl(key('s'))],
        PTTL: ['pttl', () => client.pTTL(key('s'))],
        'OBJECT ENCODING': ['object|encoding', () => client.objectEncoding(key('s'))],
        XREAD: ['xread', () => client.xRead({ key: key('x'), id: '0-0' })],
        SRANDMEMBER: ['srandmember', () => client.sRandMember(key('set'))],
        HRANDFIELD: ['hrandfield', () => client.hRandField(key('h'))],
        HSCAN: ['hscan', () => client.hScan(key('h'), '0')],
        GETEX: ['getex', () => client.getEx(key('s'), { type: 'PERSIST' } as never)],
        EVAL: [
          'eval',
          () => client.eval('return redis.call("GET", KEYS[1])', { keys: [key('s')] }),
        ],
        EVAL_RO: [
          'eval_ro',
          () => client.evalRo('return redis.call("GET", KEYS[1])', { keys: [key('s')] }),
        ],
        TOUCH: ['touch', () => client.touch(key('s'))],
      };
      open.cache.clear();
      for (const [name, [command, ask]] of Object.entries(reads)) {
        // A cluster refuses what may lead to other nodes' keys.
        if (kind === 'cluster' && name.startsWith('SORT_RO')) continue;
        const before = await callsOf(deployment, command);
        for (let i = 0; i < 3; i += 1) await ask();
        expect([name, (await callsOf(deployment, command)) - before]).toEqual([name, 3]);
        expect([name, open.engine.stats().entries]).toEqual([name, 0]);
      }
    });

    test('`cacheable` keeps more out, and one that throws keeps all out and is reported', async () => {
      const seen: string[] = [];
      await using picky = await openCached(kind, deployment, {
        options: {
          cacheable: (command, keys) => {
            seen.push(`${command} ${keys.join()}`);
            if (keys[0]?.endsWith('bad')) throw new Error('from cacheable');
            return command !== 'HGETALL';
          },
        },
      });
      const { client, engine, keyFor } = picky;
      const errors: unknown[] = [];
      const hear = (message: unknown): void => void errors.push(message);
      subscribe('redcache:callback-error', hear);
      try {
        for (let i = 0; i < 2; i += 1) {
          expect(await client.get(keyFor('good'))).toBeNull();
          expect(await client.hGetAll(keyFor('good'))).toEqual({});
          expect(await client.get(keyFor('bad'))).toBeNull();
        }
      } finally {
        unsubscribe('redcache:callback-error', hear);
      }
      expect(engine.stats().entries).toBe(1);
      expect(picky.counted()).toMatchObject({ hits: 1 });
      expect(seen.slice(0, 2)).toEqual([`GET ${keyFor('good')}`, `HGETALL ${keyFor('good')}`]);
      expect(errors).toEqual([
        { callback: 'cacheable', error: new Error('from cacheable') },
        { callback: 'cacheable', error: new Error('from cacheable') },
      ]);
    });
  });

describe('over one connection', () => {
  let redis: Awaited<ReturnType<typeof startStandalone>>;
  beforeAll(async () => {
    redis = await startStandalone();
  });
  afterAll(() => redis.stop());

  test('in a transaction sent command by command nothing QUEUED is kept', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    await other.client.mSet({ a: '1', b: '2' });
    await client.get('a');
    const sent = [
      client.sendCommand(['MULTI']),
      client.get('b'),
      client.sendCommand(['SET', 'c', '3']),
      client.hGetAll('h').catch((error: unknown) => error),
      client.mGet(['a', 'b']).catch((error: unknown) => error),
    ];
    const exec = client.sendCommand(['EXEC']);
    const answers = await Promise.all(sent);
    expect(answers.slice(0, 3)).toEqual(['OK', 'QUEUED', 'QUEUED']);
    // The user's own commands and no other.
    expect(await exec).toEqual(['2', 'OK', expect.anything(), ['1', '2']]);
    expect(engine.stats().entries).toBeLessThanOrEqual(1);
    expect([await client.get('a'), await client.get('b'), await client.get('c')]).toEqual([
      '1',
      '2',
      '3',
    ]);
    const { hits } = engine.stats();
    expect([await client.get('b'), await client.get('c')]).toEqual(['2', '3']);
    expect(engine.stats().hits).toBe(hits + 2);
  });

  test('a read under way when a raw MULTI begins is in nobody’s transaction', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client } = tracked;
    await client.set('before', 'value');
    const read = client.get('before');
    const multi = client.sendCommand(['MULTI']);
    const set = client.set('inside', '1');
    const exec = client.sendCommand(['EXEC']);
    expect(await Promise.all([read, multi, set, exec])).toEqual(['value', 'OK', 'QUEUED', ['OK']]);
    expect(await client.get('before')).toBe('value');
  });

  test('DISCARD, a refused EXEC and a lost connection end the transaction too', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client, engine } = tracked;
    const isCachedAgain = async (key: string) => {
      await client.get(key);
      const { hits } = engine.stats();
      await client.get(key);
      return engine.stats().hits - hits;
    };
    await client.sendCommand(['MULTI']);
    await client.sendCommand(['DISCARD']);
    expect(await isCachedAgain('after discard')).toBe(1);
    await client.sendCommand(['MULTI']);
    await client.sendCommand(['NO-SUCH-COMMAND']).catch(() => {});
    await expect(client.sendCommand(['EXEC'])).rejects.toThrow(/EXECABORT/);
    expect(await isCachedAgain('after a refused exec')).toBe(1);
  });

  test('multi() and execAsPipeline() read past the cache, and their reads do no harm', async () => {
    await using tracked = await trackedClient(redis.url);
    await using other = await otherClient(redis.url);
    const { client } = tracked;
    await other.client.set('m', 'old');
    expect(await client.get('m')).toBe('old');
    expect(await client.multi().get('m').exec()).toEqual(['old']);
    await other.client.set('m', 'new');
    expect(await client.multi().get('m').execAsPipeline()).toEqual(['new']);
    expect(await client.get('m')).toBe('new');
  });

  test('scripts of one’s own are never cached, whatever they are declared to be', async () => {
    const read = defineScript({
      SCRIPT: 'return redis.call("GET", KEYS[1])',
      NUMBER_OF_KEYS: 1,
      IS_READ_ONLY: true,
      CACHEABLE: true,
      parseCommand: (parser: { pushKey(key: string): void }, key: string) => parser.pushKey(key),
      transformReply: undefined as unknown as () => string | null,
    } as never) as never;
    const { clientSideCache, trackingOf } = await import('@redcache/core/node-redis');
    const client = createClient({
      url: redis.url,
      RESP: 3,
      clientSideCache: clientSideCache(),
      scripts: { read },
    }) as unknown as SingleClient & { read(key: string): Promise<string | null> };
    await client.connect();
    for (const value of ['1', '2', '3']) {
      await client.set('scripted', value);
      expect([await client.read('scripted'), await client.read('scripted')]).toEqual([
        value,
        value,
      ]);
    }
    expect(trackingOf(client).stats().entries).toBe(0);
    client.destroy();
  });
});

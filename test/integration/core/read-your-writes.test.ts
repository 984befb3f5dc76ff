import { createHash } from 'node:crypto';
import type { ClientSideCacheOptions } from '@redcache/core/node-redis';
import type { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { proxyEveryNode } from '../../support/proxied.ts';
import { pushFilter } from '../../support/push-filter.ts';
import { type CachedKind, callsOf, onMasters, openCached } from './cached-kind.ts';
import { KINDS, type Kind, startFor } from './four-kinds.ts';

/** Rounds of read, write and read in each of the five set-ups. */
const ROUNDS = Number(process.env.READ_YOUR_WRITES_ROUNDS ?? 10_000);

/** As many of them at the same time, each with its own key. */
const LANES = 8;

type SingleClient = ReturnType<typeof createClient>;

/** All kinds have these commands; the types of node-redis say so kind by kind. */
const asSingle = (open: { readonly raw: unknown }) => open.raw as SingleClient;

/** A command that is not sent by a method of its own, as each kind takes it. */
function sendRaw({ kind, raw }: CachedKind, key: string, args: string[]): Promise<unknown> {
  const send = (raw as unknown as { sendCommand(...args: unknown[]): Promise<unknown> })
    .sendCommand;
  switch (kind) {
    case 'client':
    case 'pool':
      return send.call(raw, args);
    case 'cluster':
      return send.call(raw, key, false, args);
    case 'sentinel':
      return send.call(raw, false, args);
  }
}

interface Write {
  /** What reads show afterwards. */
  readonly expected: (n: number) => unknown;
  readonly read: (client: SingleClient, key: string) => Promise<unknown>;
  readonly write: (open: CachedKind, key: string, n: number) => Promise<unknown>;
}

const get = (client: SingleClient, key: string) => client.get(key);
const text = (n: number) => String(n);

const SET = 'return redis.call("SET", KEYS[1], ARGV[1])';
const SET_DIGEST = createHash('sha1').update(SET).digest('hex');

/** Servers for the kind, which know the script by its digest. */
async function startWithScript(kind: Kind): Promise<Deployment> {
  const deployment = await startFor(kind);
  await onMasters(deployment, 'SCRIPT', 'LOAD', SET);
  return deployment;
}

/** Ways to write; those of a hash and a list have keys of their own. */
const WRITES: Readonly<Record<string, Write>> = {
  set: { expected: text, read: get, write: (o, k, n) => o.client.set(k, text(n)) },
  del: { expected: () => null, read: get, write: (o, k) => o.client.del(k) },
  incr: {
    expected: () => '1',
    read: get,
    // There is none: the write before it was a DEL.
    write: (o, k) => o.client.incr(k),
  },
  mSet: { expected: text, read: get, write: (o, k, n) => o.client.mSet([[k, text(n)]]) },
  'pExpire 0': { expected: () => null, read: get, write: (o, k) => o.client.pExpire(k, 0) },
  'multi().exec()': {
    expected: text,
    read: get,
    write: (o, k, n) => o.client.multi().set(k, text(n)).exec(),
  },
  getDel: { expected: () => null, read: get, write: (o, k) => asSingle(o).getDel(k) },
  'execAsPipeline()': {
    expected: text,
    read: get,
    write: (o, k, n) => o.client.multi().set(k, text(n)).execAsPipeline(),
  },
  append: {
    expected: (n) => `${n - 1}${n}`,
    read: get,
    write: (o, k, n) => asSingle(o).append(k, text(n)),
  },
  'a script with its declared key': {
    expected: text,
    read: get,
    write: (o, k, n) => asSingle(o).eval(SET, { keys: [k], arguments: [text(n)] }),
  },
  sendCommand: {
    expected: text,
    read: get,
    write: (o, k, n) => sendRaw(o, k, ['SET', k, text(n)]),
  },
  'sendCommand in small letters': {
    expected: text,
    read: get,
    write: (o, k, n) => sendRaw(o, k, ['set', k, text(n)]),
  },
  hSet: {
    expected: (n) => ({ field: text(n) }),
    read: async (client, key) => ({ ...(await client.hGetAll(`${key}:hash`)) }),
    write: (o, k, n) => o.client.hSet(`${k}:hash`, { field: text(n) }),
  },
  'lPush and lTrim in one transaction': {
    expected: (n) => [text(n)],
    read: (client, key) => client.lRange(`${key}:list`, 0, -1),
    write: (o, k, n) =>
      (o.raw as unknown as SingleClient)
        .multi()
        .lPush(`${k}:list`, text(n))
        .lTrim(`${k}:list`, 0, 0)
        .exec(),
  },
  'a script by its digest': {
    expected: text,
    read: get,
    write: (o, k, n) => asSingle(o).evalSha(SET_DIGEST, { keys: [k], arguments: [text(n)] }),
  },
  'a move between two keys': {
    expected: text,
    read: get,
    write: async (o, k, n) => {
      await o.client.set(`${k}:from`, text(n));
      await asSingle(o).rename(`${k}:from`, k);
    },
  },
};

/** As many rounds for each way to write and each lane. */
const FEW_ROUNDS = Object.keys(WRITES).length * LANES * 10;

/** What the self-test of a connection writes, and has to be told of. */
const PROBE = 'redcache:probe:';

/** `SET` of a key in another database, by a script, which leaves the connection where it is. */
const IN_DATABASE_1 = [
  'EVAL',
  'redis.call("SELECT", 1) return redis.call("SET", KEYS[1], ARGV[1])',
  '1',
] as const;

interface Outcome {
  readonly rounds: number;
  readonly stale: number;
  /** Reads of keys that nobody wrote, and how many of them went to the server. */
  readonly undisturbed: number;
  readonly undisturbedAsked: number;
  /** Reads right before a write that had been read once since the write before. */
  readonly hits: number;
}

/**
 * Rounds of: read twice, write through one of the `writers`, read again, and read what nobody writes.
 * `writers` share the reader's cache.
 */
async function measure(
  deployment: Deployment,
  reader: CachedKind,
  writers: readonly CachedKind[],
  rounds = ROUNDS,
): Promise<Outcome> {
  const writes = Object.values(WRITES);
  const client = asSingle(reader);
  const asked = await callsOf(deployment, 'lindex');
  let [stale, undisturbed, hits] = [0, 0, 0];
  const run = async (lane: number): Promise<void> => {
    const key = `{${reader.keyFor(`lane ${lane}`)}}`;
    await client.lIndex(`${key}:quiet`, 0);
    for (let n = 0; n < rounds / LANES; n += 1) {
      const { read, write, expected } = writes[n % writes.length] as Write;
      await read(client, key);
      const before = reader.engine.stats().hits;
      await read(client, key);
      if (reader.engine.stats().hits > before) hits += 1;
      await write(writers[n % writers.length] as CachedKind, key, n);
      const shown = await read(client, key);
      if (JSON.stringify(shown) !== JSON.stringify(expected(n))) stale += 1;
      await client.lIndex(`${key}:quiet`, 0);
      undisturbed += 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, lane) => run(lane)));
  return {
    rounds,
    stale,
    undisturbed,
    undisturbedAsked: (await callsOf(deployment, 'lindex')) - asked,
    hits,
  };
}

async function expectNoneStale(
  setUp: string,
  deployment: Deployment,
  reader: CachedKind,
  writers: readonly CachedKind[],
  rounds = ROUNDS,
): Promise<void> {
  const outcome = await measure(deployment, reader, writers, rounds);
  if (process.env.READ_YOUR_WRITES_ROUNDS !== undefined)
    process.stdout.write(`read your writes, ${setUp}: ${JSON.stringify(outcome)}\n`);
  expect(outcome.stale).toBe(0);
  // Each lane asked for its quiet key once, and all else were hits.
  expect([outcome.undisturbed, outcome.undisturbedAsked]).toEqual([rounds, LANES]);
  expect(outcome.hits).toBeGreaterThan(rounds / 2);
}

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startWithScript(kind);
    });
    afterAll(() => deployment.stop());

    /** Two of the kind that share a cache. */
    const openTwo = async (options?: ClientSideCacheOptions) => {
      const one = await openCached(kind, deployment, options && { options });
      const two = await openCached(kind, deployment, { cache: one.cache });
      return {
        one,
        two,
        [Symbol.asyncDispose]: async () => {
          await Promise.all([one.close(), two.close()]);
        },
      };
    };

    if (kind === 'client' || kind === 'pool')
      test(`I6: alone, no read behind a write is stale, of ${ROUNDS}`, {
        timeout: 120_000,
      }, async () => {
        await using one = await openCached(kind, deployment);
        await expectNoneStale(kind === 'client' ? 'one client' : 'pool', deployment, one, [one]);
      });

    if (kind !== 'pool')
      test(`I6: two that share a cache: no read behind a write is stale, of ${ROUNDS}`, {
        timeout: 120_000,
      }, async () => {
        await using both = await openTwo();
        const { one, two } = both;
        const setUp = kind === 'client' ? 'two clients that share the cache' : kind;
        await expectNoneStale(setUp, deployment, one, kind === 'client' ? [two] : [one, two]);
      });

    if (kind === 'client' || kind === 'pool')
      test('I6: nor with noLoop, and what others write afterwards is still heard', {
        timeout: 120_000,
      }, async () => {
        await using one = await openCached(kind, deployment, { options: { noLoop: true } });
        await expectNoneStale(`${kind} with noLoop`, deployment, one, [one]);
        for (let i = 0; i < 50; i += 1) {
          const key = one.keyFor(`noLoop ${i % 5}`);
          await one.client.get(key);
          await one.client.set(key, `own ${i}`);
          expect(await one.client.get(key)).toBe(`own ${i}`);
          const gone = one.invalidated(key);
          await one.writer.set(key, `foreign ${i}`);
          await gone;
          expect(await one.client.get(key)).toBe(`foreign ${i}`);
        }
      });

    for (const all of ['FLUSHALL', 'FLUSHDB'] as const)
      test(`I6: after ${all} through another that shares the cache nothing of before is read`, async () => {
        await using both = await openTwo();
        const { one, two } = both;
        for (let round = 0; round < 20; round += 1) {
          const keys = Array.from({ length: 12 }, (_, i) => one.keyFor(`${all} ${i}`));
          await Promise.all(keys.map((key) => two.client.set(key, 'value')));
          for (let i = 0; i < 2; i += 1)
            expect(await Promise.all(keys.map((key) => one.client.get(key)))).toEqual(
              keys.map(() => 'value'),
            );
          const flushed = flush(two, all);
          const beside = round % 2 === 0 ? [] : keys.map((key) => one.client.get(key));
          await flushed;
          for (let i = 0; i < 2; i += 1) {
            expect(await Promise.all(keys.map((key) => one.client.get(key)))).toEqual(
              keys.map(() => null),
            );
            await Promise.all(beside);
          }
        }
      });

    if (kind !== 'cluster')
      test('R17, I6: after SWAPDB through another that shares the cache, though nothing is pushed', async () => {
        await using both = await openTwo();
        const { one, two } = both;
        const key = one.keyFor('swapped');
        await two.client.set(key, 'in 0');
        await onMasters(deployment, ...IN_DATABASE_1, key, 'in 1');
        for (const expected of ['in 1', 'in 0', 'in 1', 'in 0']) {
          await one.client.get(key);
          one.counted();
          await one.client.get(key);
          expect(one.counted()).toMatchObject({ hits: 1 });
          await (two.raw as unknown as SingleClient).swapDb(0, 1);
          expect(await one.client.get(key)).toBe(expected);
        }
      });

    test('I6: un-awaited: what is read beside a write is not read behind it', async () => {
      await using both = await openTwo();
      const { one, two } = both;
      const writes = Object.values(WRITES);
      const key = `{${one.keyFor('beside')}}`;
      for (let n = 0; n < 600; n += 1) {
        const { read, write, expected } = writes[n % writes.length] as Write;
        await read(asSingle(one), key);
        const written = write(n % 2 === 0 ? one : two, key, n);
        const beside = read(asSingle(one), key);
        await written;
        expect([n, await read(asSingle(one), key)]).toEqual([n, expected(n)]);
        await beside;
        expect([n, await read(asSingle(one), key)]).toEqual([n, expected(n)]);
      }
    });

    describe('without any push', () => {
      /** Two of the kind, each behind proxies that know replies only, but for the first one seen. */
      const openDeaf = async (readYourWrites: boolean) => {
        const proxied = await proxyEveryNode(deployment);
        for (const proxy of proxied.proxies)
          proxy.filter((direction) =>
            direction === 'toServer'
              ? undefined
              : pushFilter((push) => push.includes('invalidate') && !push.includes(PROBE)),
          );
        const one = await openCached(kind, deployment, {
          options: { readYourWrites, negativeTtl: '5m' },
          through: proxied,
        });
        const two = await openCached(kind, deployment, { cache: one.cache, through: proxied });
        return {
          one,
          two,
          [Symbol.asyncDispose]: async () => {
            await Promise.all([one.close(), two.close()]);
            await proxied.close();
          },
        };
      };

      test('I6: no read behind a write is stale either', async () => {
        await using both = await openDeaf(true);
        const { one, two } = both;
        await expectNoneStale(`${kind} without pushes`, deployment, one, [one, two], FEW_ROUNDS);
      });

      test('with `readYourWrites: false` all are, but for those that find what was there at first', async () => {
        await using both = await openDeaf(false);
        const { one, two } = both;
        const { stale } = await measure(deployment, one, [one, two], FEW_ROUNDS);
        const changing = Object.values(WRITES).filter(({ expected }) => expected(1) !== null);
        expect(stale).toBe((FEW_ROUNDS * changing.length) / Object.keys(WRITES).length);
      });
    });

    test('a write that is rejected keeps nothing out of the cache and nothing wrong in it', async () => {
      await using both = await openTwo();
      const { one, two } = both;
      const key = one.keyFor('rejected');
      await one.client.set(key, 'no number');
      for (const write of [
        () => two.client.incr(key),
        () => two.client.hSet(key, { field: 'value' }),
        () => two.client.multi().set(key, 'transaction').incr(key).exec(),
        () => sendRaw(two, key, ['SET', key, 'value', 'NONSENSE']),
      ]) {
        await one.client.get(key);
        await expect(write()).rejects.toThrow();
        const now = await asSingle(one).multi().get(key).exec();
        expect([await one.client.get(key)]).toEqual(now);
        one.counted();
        await one.client.get(key);
        // A push of what did go through may come behind the reply of another connection.
        const { hits, misses } = one.counted();
        expect(hits + misses).toBe(1);
      }
      one.counted();
      await one.client.get(key);
      await one.client.get(key);
      expect(one.counted().hits).toBeGreaterThanOrEqual(1);
    });

    describe('while the pushes are under way', () => {
      /** One behind proxies that hold back whatever the servers send it, and one that is not. */
      const openHeld = async (readYourWrites: boolean) => {
        const proxied = await proxyEveryNode(deployment);
        const held = await openCached(kind, deployment, {
          options: { readYourWrites, maxStaleness: false },
          through: proxied,
        });
        const free = await openCached(kind, deployment, { cache: held.cache });
        const each = (act: 'stall' | 'resume') => () => {
          for (const proxy of proxied.proxies) proxy[act]('toClient');
        };
        return {
          held,
          free,
          hold: each('stall'),
          resume: each('resume'),
          [Symbol.asyncDispose]: async () => {
            each('resume')();
            await Promise.all([held.close(), free.close()]);
            await proxied.close();
          },
        };
      };

      test('I6: a copy is not served once a write of ours has been answered', async () => {
        await using both = await openHeld(true);
        const { held, free, hold, resume } = both;
        const key = held.keyFor('window');
        await held.client.set(key, 'old');
        expect([await held.client.get(key), await held.client.get(key)]).toEqual(['old', 'old']);
        hold();
        await free.client.set(key, 'new');
        const reading = held.client.get(key);
        resume();
        expect(await reading).toBe('new');
      });

      test('with `readYourWrites: false` it is: this is the window', async () => {
        await using both = await openHeld(false);
        const { held, free, hold, resume } = both;
        const key = held.keyFor('window');
        await free.client.set(key, 'old');
        expect([await held.client.get(key), await held.client.get(key)]).toEqual(['old', 'old']);
        hold();
        await free.client.set(key, 'new');
        expect(await held.client.get(key)).toBe('old');
        const gone = held.invalidated(key);
        resume();
        await gone;
        expect(await held.client.get(key)).toBe('new');
      });

      test('I2: nor is a read joined that was sent before the write, nor kept', async () => {
        await using both = await openHeld(true);
        const { held, free, hold, resume } = both;
        const key = held.keyFor('joined');
        await free.client.set(key, 'old');
        const asked = await callsOf(deployment, 'pttl');
        hold();
        const before = held.client.get(key);
        await expect.poll(() => callsOf(deployment, 'pttl')).toBe(asked + 1);
        await free.client.set(key, 'new');
        const after = held.client.get(key);
        resume();
        expect([await before, await after]).toEqual(['old', 'new']);
        expect(await held.client.get(key)).toBe('new');
      });
    });
  });

async function flush({ kind, raw }: CachedKind, how: 'FLUSHALL' | 'FLUSHDB'): Promise<void> {
  const send = (client: unknown) =>
    how === 'FLUSHALL' ? (client as SingleClient).flushAll() : (client as SingleClient).flushDb();
  if (kind !== 'cluster') {
    await send(raw);
    return;
  }
  const cluster = raw as CachedKind<'cluster'>['raw'];
  await Promise.all(cluster.masters.map(async (node) => send(await cluster.nodeClient(node))));
}

describe('one client, un-awaited', () => {
  let deployment: Deployment;
  let open: CachedKind<'client'>;
  beforeAll(async () => {
    deployment = await startWithScript('client');
    open = await openCached('client', deployment);
  });
  afterAll(async () => {
    await open.close();
    await deployment.stop();
  });

  test('I6: a read right behind a write on the same connection sees it', async () => {
    const client = asSingle(open);
    const writes = Object.values(WRITES).filter(
      ({ write }) => write !== WRITES['a move between two keys']?.write,
    );
    for (let n = 0; n < 600; n += 1) {
      const { read, write, expected } = writes[n % writes.length] as Write;
      const key = open.keyFor('behind');
      await read(client, key);
      const written = write(open, key, n);
      const shown = read(client, key);
      await written;
      expect([n, await shown]).toEqual([n, expected(n)]);
    }
  });

  test('I6: so does one behind FLUSHALL, FLUSHDB or SWAPDB', async () => {
    const { raw: client, keyFor } = open;
    const key = keyFor('flushed');
    for (let i = 0; i < 20; i += 1)
      for (const forget of [() => client.flushAll(), () => client.flushDb()]) {
        await client.set(key, 'value');
        await client.get(key);
        void forget();
        expect(await client.get(key)).toBeNull();
      }
    for (let i = 0; i < 20; i += 1) {
      await client.set(key, 'in 0');
      await client.multi().select(1).set(key, 'in 1').select(0).exec();
      expect(await client.get(key)).toBe('in 0');
      await expect.poll(() => client.get(key)).toBe('in 0');
      void client.swapDb(0, 1);
      expect(await client.get(key)).toBe('in 1');
      await client.swapDb(0, 1);
      expect(await client.get(key)).toBe('in 0');
    }
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

const MAX_STALENESS_MS = 400;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

type Client = Awaited<ReturnType<typeof trackedClient>>['client'];

const KEYS = ['a', 'b'];
const READS: Record<string, [read: (client: Client) => Promise<unknown>, answer: unknown]> = {
  get: [(client) => client.get('a'), '1'],
  hGetAll: [(client) => client.hGetAll('h'), { field: 'value' }],
  'mGet of one key': [(client) => client.mGet(['a']), ['1']],
  'mGet of some keys': [(client) => client.mGet(KEYS), ['1', '2']],
  'exists of some keys': [(client) => client.exists(KEYS), 2],
};

/** Two clients that share a cache. The first of them is behind a network of its own. */
async function open() {
  const proxy = await TcpProxy.start(redis.node);
  let isLost = false;
  proxy.filter(
    (_, connection) => (bytes) => (isLost && connection === 1 ? Buffer.alloc(0) : bytes),
  );
  const one = await trackedClient(proxy.url, { maxStaleness: MAX_STALENESS_MS });
  const two = await trackedClient(redis.url, undefined, { cache: one.cache });
  {
    await using other = await otherClient(redis.url);
    await other.client.mSet({ a: '1', b: '2' });
    await other.client.hSet('h', { field: 'value' });
  }
  await one.drained();
  await two.drained();
  return {
    leader: one.client,
    joiner: two.client,
    engine: one.engine,
    hang: () => {
      isLost = true;
    },
    [Symbol.asyncDispose]: async () => {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
      await proxy.close();
    },
  };
}

const failed = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: Error) => error.constructor.name,
  );

describe.for(Object.entries(READS))(
  '%s: a read that has joined another’s is answered',
  ([, [read, answer]]) => {
    test('although the other’s client is destroyed', async () => {
      await using setting = await open();
      const { leader, joiner, engine } = setting;
      const { coalesced } = engine.stats();
      const led = failed(read(leader));
      const joined = read(joiner);
      expect(engine.stats().coalesced).toBeGreaterThan(coalesced);
      leader.destroy();
      expect(await led).toBe('DisconnectsClientError');
      expect(await joined).toEqual(answer);
      await leader.connect();
    });

    test('although the other’s client was closed already', async () => {
      await using setting = await open();
      const { leader, joiner } = setting;
      leader.destroy();
      const led = failed(read(leader));
      const joined = read(joiner);
      expect(await led).toBe('ClientClosedError');
      expect(await joined).toEqual(answer);
      await leader.connect();
    });

    test('although the other’s connection hangs, and is lost in the end', async () => {
      await using setting = await open();
      const { leader, joiner, engine, hang } = setting;
      hang();
      const { coalesced } = engine.stats();
      const led = failed(read(leader));
      const joined = read(joiner);
      expect(engine.stats().coalesced).toBeGreaterThan(coalesced);
      expect(await joined).toEqual(answer);
      expect(await led).toBe('DisconnectsClientError');
      expect(engine.stats().silences).toBe(1);
    });

    test('although the other has lost patience before anything was sent', async () => {
      await using setting = await open();
      const { leader, joiner, engine } = setting;
      const { coalesced } = engine.stats();
      const impatience = new AbortController();
      const led = failed(read(leader.withAbortSignal(impatience.signal) as Client));
      const joined = [read(joiner), read(leader)];
      expect(engine.stats().coalesced).toBeGreaterThan(coalesced);
      impatience.abort();
      expect(await led).toBe('AbortError');
      expect(await Promise.all(joined)).toEqual([answer, answer]);
    });
  },
);

test('an error of the server reaches all who have joined, and is asked for once', async () => {
  await using setting = await open();
  const { leader, joiner, engine } = setting;
  const { loads } = engine.stats();
  const ends = [leader.get('h'), joiner.get('h'), joiner.get('h')].map(failed);
  expect(new Set(await Promise.all(ends)).size).toBe(1);
  expect(await ends[0]).not.toHaveProperty('value');
  expect(engine.stats().loads).toBe(loads + 1);
  await eventually(async () => (await joiner.get('a')) === '1');
});

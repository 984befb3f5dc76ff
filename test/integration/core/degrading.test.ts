import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { pushFilter } from '../../support/push-filter.ts';
import { VersionReader, VersionWriter } from '../../support/versions.ts';
import { attachInProtocol2, type Lossy, listening, openDegraded, permit } from './degrading.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind } from './four-kinds.ts';

/** What a busy machine may add. */
const SLACK_MS = 300;

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterEach(async () => {
  const all = ['resetkeys', '~*', '+client|tracking'];
  await Promise.all(deployments.all.map((each) => permit(each, ...all)));
});
afterAll(() => deployments.stop());

/** Sentinels push as well, what they tell of their masters. */
const isInvalidation = (push: string): boolean => push.includes('invalidate');

/** What is between client and server, and why nothing can be tracked there. */
const OBSTACLES: Record<
  string,
  {
    readonly reason: RegExp;
    readonly prepare: (kind: Kind) => Promise<Lossy | undefined>;
    readonly end: (kind: Kind) => Promise<void>;
  }
> = {};

{
  OBSTACLES['an ACL without CLIENT TRACKING'] = {
    reason: /NOPERM/,
    prepare: async (kind) => {
      await permit(deployments.of(kind), '-client|tracking');
      return undefined;
    },
    end: (kind) => permit(deployments.of(kind), '+client|tracking'),
  };
  let isKnown = true;
  OBSTACLES['a server that does not know CLIENT TRACKING'] = {
    reason: /unknown subcommand/i,
    prepare: async () => {
      isKnown = false;
      const rename = (bytes: Buffer): Buffer =>
        Buffer.from(bytes.toString('latin1').replaceAll('\r\nTRACKING', '\r\nTRAINING'), 'latin1');
      return { toServer: () => (bytes) => (isKnown ? bytes : rename(bytes)) };
    },
    end: async () => {
      isKnown = true;
    },
  };
  let swallows = false;
  OBSTACLES['a proxy that swallows pushes'] = {
    reason: /pushes do not arrive/,
    prepare: async () => {
      swallows = true;
      return { toClient: () => pushFilter((push) => swallows && isInvalidation(push)) };
    },
    end: async () => {
      swallows = false;
    },
  };
}

describe.for(Object.entries(OBSTACLES))('%s', ([, obstacle]) => {
  test.for(KINDS)(
    '%s: connects, keeps nothing, says so once and why; when it ends the cache is used',
    async (kind) => {
      using unsupported = listening('redcache:unsupported');
      const lossy = await obstacle.prepare(kind);
      await using setting = await openDegraded(kind, deployments.of(kind), lossy && { lossy });
      const { client, engine, keyFor, readAll, writer } = setting;
      await readAll();
      await eventually(() => engine.stats().state === 'untracked');
      await readAll();
      const key = keyFor('changed');
      for (let i = 0; i < 5; i += 1) {
        await writer.set(key, `${i}`);
        for (let j = 0; j < 4; j += 1) expect(await client.get(key)).toBe(`${i}`);
      }
      expect(engine.stats()).toMatchObject({ hits: 0, entries: 0, connections: 0 });
      const { reason } = engine.stats();
      expect(String(reason)).toMatch(obstacle.reason);
      expect(unsupported.heard).toHaveLength(1);
      expect(String((unsupported.heard[0] as { reason: unknown }).reason)).toMatch(obstacle.reason);

      await obstacle.end(kind);
      await eventually(async () => {
        const { hits } = engine.stats();
        await client.get(key);
        return engine.stats().hits > hits;
      });
      expect(engine.stats()).toMatchObject({ state: 'tracking' });
      expect(engine.stats()).not.toHaveProperty('reason');
      const invalidated = new Promise((resolve) => {
        engine.onInvalidation(key, (cause) => void (cause === 'push' && resolve(cause)));
      });
      await writer.set(key, 'new');
      await invalidated;
      expect(await client.get(key)).toBe('new');
      expect(unsupported.heard).toHaveLength(1);
    },
  );
});

describe('an ACL that refuses writes to redcache:probe:*', () => {
  test.for(KINDS)(
    '%s: unverified, and with every push swallowed nothing older than maxStaleness',
    async (kind) => {
      const maxStalenessMs = 700;
      await permit(deployments.of(kind), 'resetkeys', '%R~*', '~kind:*');
      using unsupported = listening('redcache:unsupported');
      await using setting = await openDegraded(kind, deployments.of(kind), {
        maxStaleness: maxStalenessMs,
        lossy: { toClient: () => pushFilter(isInvalidation) },
      });
      const { client, engine, keyFor, readAll, writer } = setting;
      await readAll();
      await eventually(() => engine.stats().state === 'unverified');
      expect(String(engine.stats().reason)).toMatch(/NOPERM/);
      const key = keyFor('counted');
      {
        await using versions = new VersionWriter(writer, key);
        await using reader = new VersionReader(client, key);
        await eventually(() => versions.newest > 100 && engine.stats().hits > 200);
        const worstMs = versions.worstMs(reader.reads);
        expect(worstMs).toBeGreaterThan(maxStalenessMs / 4);
        expect(worstMs).toBeLessThan(maxStalenessMs + SLACK_MS);
      }
      expect(engine.stats().evictions.ttl).toBeGreaterThan(0);
      expect(unsupported.heard).toEqual([]);
    },
  );
});

test('an ACL without PING: connected, tracked and cached, as with it', async () => {
  const deployment = deployments.of('client');
  await permit(deployment, '-ping');
  await using setting = await openDegraded('client', deployment);
  const { client, engine, keyFor, writer } = setting;
  const key = keyFor('read');
  await eventually(async () => {
    const { hits } = engine.stats();
    await client.get(key);
    return engine.stats().hits > hits;
  });
  await writer.set(key, 'new');
  await eventually(async () => (await client.get(key)) === 'new');
  expect(engine.stats()).toMatchObject({ state: 'tracking', silences: 0, reconnects: 0 });
});

describe("onUnsupported: 'throw'", () => {
  test.for(KINDS)(
    '%s: connects and writes, but reads that could be cached reject',
    async (kind) => {
      await permit(deployments.of(kind), '-client|tracking');
      await using setting = await openDegraded(kind, deployments.of(kind), {
        onUnsupported: 'throw',
      });
      const { client, engine, keyFor } = setting;
      const key = keyFor('read');
      expect(await client.set(key, 'value')).toBe('OK');
      await eventually(() => engine.stats().state === 'untracked');
      const refused = expect.objectContaining({
        code: 'REDCACHE_CONFIG',
        message: expect.stringContaining('does not track'),
        cause: expect.objectContaining({ message: expect.stringContaining('NOPERM') }),
      });
      await eventually(async () => {
        await expect(client.get(key)).rejects.toEqual(refused);
        return true;
      });
      for (let i = 0; i < 8; i += 1) {
        await expect(client.get(key)).rejects.toEqual(refused);
        await expect(client.mGet([key])).rejects.toEqual(refused);
      }
      expect(await client.set(key, 'other')).toBe('OK');
      await permit(deployments.of(kind), '+client|tracking');
      await eventually(
        () => client.get(key),
        (value) => value === 'other',
      );
    },
  );
});

test('a server without the command CLIENT: reads are right, and nothing is kept', async () => {
  await using redis = await startStandalone({ conf: 'rename-command CLIENT ""\n' });
  const cache = clientSideCache();
  const client = createClient({ url: redis.url, clientSideCache: cache });
  client.on('error', () => {});
  await client.connect();
  for (let i = 0; i < 5; i += 1) {
    await redis.node.ask('SET', 'k', `${i}`);
    expect(await client.get('k')).toBe(`${i}`);
  }
  await eventually(() => cache.engine.state === 'untracked');
  expect(cache.engine.stats()).toMatchObject({ hits: 0, entries: 0 });
  expect(String(cache.engine.stats().reason)).toMatch(/unknown command/i);
  client.destroy();
});

describe('protocol 2', () => {
  test('with node-redis is refused when the client is made, whatever its cache', () => {
    expect(() => createClient({ RESP: 2, clientSideCache: clientSideCache() })).toThrow(/RESP3/);
  });

  test('of a connection of another client is said to be why nothing is kept', async () => {
    using unsupported = listening('redcache:unsupported');
    const { port } = deployments.of('client').nodes[0] as { port: number };
    await using setting = await attachInProtocol2(port);
    const { cache, read } = setting;
    await eventually(() => cache.state === 'untracked');
    for (let i = 0; i < 3; i += 1) expect(await read('protocol 2')).toBe(null);
    expect(cache.stats()).toMatchObject({ hits: 0, entries: 0 });
    expect(String(cache.stats().reason)).toMatch(/pushes do not arrive/);
    expect(unsupported.heard).toEqual([{ reason: cache.stats().reason }]);
  });
});

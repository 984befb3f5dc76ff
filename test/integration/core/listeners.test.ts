import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { listening } from './degrading.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const thrown = new Error('thrown by a listener of the user');
const thrower = (): never => {
  throw thrown;
};

/** A tracked client whose user listens from the start, before anybody else does. */
async function openWith(
  listen: (client: ReturnType<typeof createClient>) => void,
  options: ClientSideCacheOptions,
  url = redis.url,
) {
  const cache = clientSideCache(options);
  const client = createClient({
    url,
    clientSideCache: cache,
    socket: { reconnectStrategy: () => 5 },
  }) as ReturnType<typeof createClient>;
  client.on('error', () => {});
  listen(client);
  await client.connect();
  const { engine } = cache;
  await eventually(() => engine.state === 'tracking');
  const isHit = async (key: string): Promise<boolean> => {
    const { hits } = engine.stats();
    await client.get(key);
    return engine.stats().hits > hits;
  };
  return {
    client,
    cache,
    engine,
    untilHit: (key: string) => eventually(() => isHit(key), Boolean, { what: 'a hit' }),
  };
}

describe('a listener of the user’s that throws', () => {
  test("for 'end': what the client had read is dropped all the same", async () => {
    // Nothing else bounds what is served of a connection that is thought to stand.
    const one = await openWith((client) => client.on('end', thrower), { maxStaleness: false });
    await using two = await trackedClient(redis.url, undefined, { cache: one.cache });
    await using other = await otherClient(redis.url);
    await other.client.set('k', 'old');
    await one.client.get('k');
    expect(await two.isHit('k')).toBe(true);
    expect(() => one.client.destroy()).toThrow(thrown);
    expect(one.engine.stats()).toMatchObject({ entries: 0, connections: 1 });
    await other.client.set('k', 'new');
    expect(await two.client.get('k')).toBe('new');
  });

  test("for 'ready': a connection that comes up again is tracked all the same", async () => {
    let comings = 0;
    const listen = (client: ReturnType<typeof createClient>): void => {
      client.on('ready', () => {
        comings += 1;
        if (comings > 1) thrower();
      });
    };
    const { client, engine, untilHit } = await openWith(listen, {});
    await using other = await otherClient(redis.url);
    await untilHit('k');
    const id = await client.clientId();
    await other.client.sendCommand(['CLIENT', 'KILL', 'ID', String(id)]);
    await eventually(() => comings > 1);
    await untilHit('k');
    expect(engine.state).toBe('tracking');
    await other.client.set('k', 'new');
    await eventually(async () => (await client.get('k')) === 'new');
    client.destroy();
  });

  test("for 'end', while a silent connection is replaced: it is reported, and caching goes on", async () => {
    using errors = listening('redcache:callback-error');
    await using proxy = await TcpProxy.start(redis.node);
    let isLost = false;
    proxy.filter((_, connection) => (bytes) => {
      return isLost && connection === 1 ? Buffer.alloc(0) : bytes;
    });
    const listen = (client: ReturnType<typeof createClient>): void => {
      client.once('end', thrower);
    };
    const { client, engine, untilHit } = await openWith(
      listen,
      { maxStaleness: '400ms' },
      proxy.url,
    );
    await untilHit('k');
    isLost = true;
    await eventually(() => engine.stats().silences === 1);
    await untilHit('k');
    expect(proxy.accepted).toBe(2);
    expect(errors.heard).toEqual([{ callback: 'end', error: thrown }]);
    client.destroy();
  });
});

describe('nothing grows', () => {
  test('with cycles of connect, destroy and a refused command: one set of listeners', async () => {
    await using tracked = await trackedClient(redis.url);
    const { client, engine } = tracked;
    const events = [...client.eventNames()];
    const counts = () => events.map((event) => client.listenerCount(event));
    const before = counts();
    for (let i = 0; i < 8; i += 1) {
      await client.get('k');
      client.destroy();
      await expect(client.get('k')).rejects.toThrow(/closed/);
      await expect(client.set('k', 'v')).rejects.toThrow(/closed/);
      await client.connect();
    }
    await tracked.untilHit('k');
    expect([...client.eventNames()]).toEqual(events);
    expect(counts()).toEqual(before);
    expect(engine.stats()).toMatchObject({ connections: 1 });
  });

  /** Clients that share a cache, have read something there, and have come to their end. */
  const ENDS: Record<string, (client: ReturnType<typeof createClient>) => Promise<void>> = {
    'were destroyed': async (client) => client.destroy(),
    'were closed': (client) => client.close(),
    'were killed, and do not reconnect': async (client) => {
      const gone = new Promise((resolve) => client.once('terminated', resolve));
      await redis.node.ask('CLIENT', 'KILL', 'ID', String(await client.clientId()));
      await gone;
    },
    'were killed and destroyed': async (client) => {
      const gone = new Promise((resolve) => client.once('terminated', resolve));
      await redis.node.ask('CLIENT', 'KILL', 'ID', String(await client.clientId()));
      await gone;
      client.destroy();
    },
    'were refused a command after their end': async (client) => {
      client.destroy();
      await client.get('k').catch(() => {});
    },
  };
  for (const [name, end] of Object.entries(ENDS))
    test(`with clients that ${name}: nothing holds on to them`, async () => {
      await using tracked = await trackedClient(redis.url);
      const { cache } = tracked;
      const one = async (): Promise<WeakRef<object>> => {
        const client = createClient({
          url: redis.url,
          clientSideCache: cache,
          socket: { reconnectStrategy: false },
        });
        client.on('error', () => {});
        await client.connect();
        await client.get('k');
        await end(client as never);
        // What createClient() answers is a view of it.
        return new WeakRef((client as unknown as { _self: object })._self);
      };
      const refs: WeakRef<object>[] = [];
      for (let i = 0; i < 5; i += 1) refs.push(await one());
      // The cache itself remembers whose command came last.
      await tracked.untilHit('k');
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as () => void;
      await eventually(
        () => {
          collect();
          return refs.filter((ref) => ref.deref() !== undefined).length;
        },
        (left) => left === 0,
        { everyMs: 50, deadlineMs: 10_000, what: 'all clients to be collected' },
      );
      expect(tracked.engine.stats()).toMatchObject({ connections: 1 });
    });
});

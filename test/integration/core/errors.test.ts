import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { handlers } from '../../children/listenerless.ts';
import { type Child, startChildren } from '../../support/children.ts';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { openCached } from './cached-kind.ts';
import { listening } from './degrading.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind } from './four-kinds.ts';

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());

let keys = 0;
const newKey = (): string => {
  keys += 1;
  return `errors:${process.pid}:${keys}`;
};

/** A process with a client of that kind without a listener for its errors, that has cached the key. */
async function listenerless(kind: Kind, key: string) {
  const children = await startChildren<typeof handlers>('listenerless.ts');
  const child = children.all[0] as Child<typeof handlers>;
  const roots = deployments.of(kind).nodesOf(kind === 'sentinel' ? 'sentinel' : 'master');
  await child.request(
    'open',
    kind,
    roots.map(({ host, port }) => ({ host, port })),
  );
  await eventually(() => child.request('read', key), Boolean, { what: 'a hit' });
  return { child, [Symbol.asyncDispose]: () => children[Symbol.asyncDispose]() };
}

async function killClients(deployment: Deployment): Promise<void> {
  for (const node of deployment.nodesOf('master'))
    await node.ask('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => {});
}

describe('without an error listener on the client', () => {
  test.for(KINDS)('N10: %s: the cache is cleared all the same when it is cut off', async (kind) => {
    await using setting = await listenerless(kind, newKey());
    const { child } = setting;
    expect(await child.request('now')).toMatchObject({ entries: 1, lost: 0, uncaught: [] });
    await killClients(deployments.of(kind));
    const now = await eventually(
      () => child.request('now'),
      ({ entries }) => entries === 0,
    );
    expect(now.lost).toBe(1);
    // node-redis ends a process that does not listen at all, and so it stays.
    if (kind === 'client' || kind === 'pool')
      expect(now.uncaught[0]).toMatch(/Socket closed unexpectedly|ECONNRESET/);
  });

  test('a silent connection is replaced all the same, though the first attempts fail', async () => {
    const node = deployments.of('client').nodes[0] as { port: number };
    await using proxy = await TcpProxy.start(node);
    const REFUSAL = Buffer.from('-ERR max number of clients reached\r\n');
    let isLost = false;
    proxy.filter((direction, connection) => (bytes) => {
      if (connection === 1) return isLost ? Buffer.alloc(0) : bytes;
      return connection <= 3 && direction === 'toClient' ? REFUSAL : bytes;
    });
    const cache = clientSideCache({ maxStaleness: '400ms' });
    const client = createClient({ url: proxy.url, clientSideCache: cache });
    await client.connect();
    const key = newKey();
    const hit = async (): Promise<boolean> => {
      const { hits } = cache.engine.stats();
      await client.get(key);
      return cache.engine.stats().hits > hits;
    };
    await eventually(hit);
    isLost = true;
    await eventually(() => cache.engine.stats().silences === 1);
    await eventually(hit, undefined, { what: 'hits on the new connection' });
    expect(proxy.accepted).toBeGreaterThanOrEqual(4);
    client.destroy();
  });
});

describe('what is called back and throws', () => {
  const boom = new Error('thrown by the callback');
  const thrower = (): never => {
    throw boom;
  };

  test.for(KINDS)('%s: is reported, and changes nothing', async (kind) => {
    using errors = listening('redcache:callback-error');
    await using setting = await openCached(kind, deployments.of(kind), {
      options: {
        cacheable: (_, [key]) => (String(key).endsWith(':throws') ? thrower() : true),
      },
    });
    const { cache, client, counted, engine, keyFor, writer } = setting;
    const [key, throws] = [keyFor('read'), `${keyFor('read')}:throws`];
    await client.set(throws, 'value');
    counted();
    for (let i = 0; i < 3; i += 1) expect(await client.get(throws)).toBe('value');
    expect(counted()).toMatchObject({ hits: 0, fills: 0 });
    expect(errors.heard).toEqual([1, 2, 3].map(() => ({ callback: 'cacheable', error: boom })));

    errors.heard.length = 0;
    const told: string[] = [];
    engine.onInvalidation(key, thrower);
    engine.onInvalidation(key, (cause) => void told.push(cause));
    cache.on('invalidate', (changed) => String(changed) === key && thrower());
    await eventually(async () => {
      const { hits } = engine.stats();
      await client.get(key);
      return engine.stats().hits > hits;
    });
    await writer.set(key, 'new');
    await eventually(() => told.length > 0);
    expect(await client.get(key)).toBe('new');
    expect(told).toContain('push');
    expect(errors.heard).toContainEqual({ callback: 'onInvalidation', error: boom });
    expect(errors.heard).toContainEqual({ callback: 'invalidate', error: boom });
    // The connection whose pushes were thrown at goes on, with its replies in order.
    const values = Array.from({ length: 20 }, (_, i) => `${i}`);
    await Promise.all(values.map((value) => client.set(keyFor(value), value)));
    expect(await Promise.all(values.map((value) => client.get(keyFor(value))))).toEqual(values);
    expect(engine.stats()).toMatchObject({ state: 'tracking', reconnects: 0 });
  });

  test('a listener of a channel: Node throws it where nobody is under way, and the cache is right', async () => {
    const key = newKey();
    await using setting = await listenerless('client', key);
    const { child } = setting;
    const node = deployments.of('client').nodes[0] as {
      ask(...command: string[]): Promise<unknown>;
    };
    await child.request('throwInChannels');
    await node.ask('SET', key, 'new');
    const thrown = await eventually(
      () => child.request('now'),
      ({ uncaught }) => uncaught.length > 0,
    );
    expect(thrown).toMatchObject({ entries: 0, state: 'tracking' });
    expect(thrown.uncaught).toEqual(['thrown by a listener of redcache:invalidation']);
    await eventually(() => child.request('read', key), Boolean, { what: 'a hit' });
    await node.ask('FLUSHALL');
    await eventually(
      () => child.request('now'),
      ({ entries, uncaught }) => entries === 0 && uncaught.length === 2,
    );
    expect(await child.request('read', key)).toBe(false);
    expect(await child.request('now')).toMatchObject({ state: 'tracking' });
  });
});

import { createClient, RedisClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';

type Adapter = typeof import('@redcache/core/node-redis');
type Send = (this: unknown, ...call: unknown[]) => unknown;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const prototype = RedisClient.prototype as unknown as { sendCommand: Send };
const { sendCommand } = prototype;
afterEach(() => {
  prototype.sendCommand = sendCommand;
});

/** A copy of the package that nobody has yet, with a hook of its own. */
async function newCopy(): Promise<Adapter> {
  vi.resetModules();
  return await import('@redcache/core/node-redis');
}

/** What instrumentation does: notes each command, and passes it on. */
function wrapper(original: Send): { readonly names: unknown[]; readonly wrapped: Send } {
  const names: unknown[] = [];
  return {
    names,
    wrapped: function (...call) {
      names.push((call[0] as unknown[])[0]);
      return original.apply(this, call);
    },
  };
}

interface Wrap {
  /** Before the client is connected. */
  readonly early?: (client: { sendCommand: Send }) => void;
  /** When it is tracked. */
  readonly late?: (client: { sendCommand: Send }) => void;
}

/** Ten keys, since from eight on their times are asked for by a script; and a key that others write. */
async function keepsWhatItReads(adapter: Adapter, { early, late }: Wrap = {}): Promise<void> {
  const cache = adapter.clientSideCache();
  const client = createClient({ url: redis.url, RESP: 3, clientSideCache: cache });
  client.on('error', () => {});
  // What createClient() answers is a view of it.
  const { _self: self } = client as unknown as { _self: { sendCommand: Send } };
  early?.(self);
  await client.connect();
  await client.ping();
  await eventually(() => cache.engine.state === 'tracking');
  late?.(self);
  const id = crypto.randomUUID();
  const keys = Array.from({ length: 10 }, (_, i) => `${id}:${i}`);
  try {
    await client.mGet(keys);
    const { hits } = cache.engine.stats();
    await client.mGet(keys);
    await client.get(keys[0] as string);
    expect(cache.engine.stats().hits - hits).toBe(11);
    expect(await client.set(keys[0] as string, 'own')).toBe('OK');
    expect(await client.get(keys[0] as string)).toBe('own');
    await redis.node.ask('SET', keys[0] as string, 'of another');
    await eventually(async () => (await client.get(keys[0] as string)) === 'of another');
    expect(cache.engine.stats()).toMatchObject({ state: 'tracking', connections: 1 });
    const counts = ['ready', 'end', 'terminated'].map((event) => client.listenerCount(event));
    expect(Math.max(...counts)).toBe(1);
  } finally {
    client.destroy();
  }
  await eventually(() => cache.engine.stats().connections === 0);
}

describe('everything is cached, and nobody is told twice, with', () => {
  test('nobody else', async () => {
    await keepsWhatItReads(await newCopy());
  });

  test('a second copy of the package, through the clients of either', async () => {
    const [first, second] = [await newCopy(), await newCopy()];
    expect(first.clientSideCache).not.toBe(second.clientSideCache);
    for (const adapter of [first, second]) adapter.clientSideCache();
    await keepsWhatItReads(first);
    await keepsWhatItReads(second);
  });

  test('a wrapper that was put on the class before our hook', async () => {
    const { names, wrapped } = wrapper(prototype.sendCommand);
    prototype.sendCommand = wrapped;
    await keepsWhatItReads(await newCopy());
    expect(names).toContain('MGET');
  });

  test('a wrapper that was put on the class after our hook', async () => {
    const adapter = await newCopy();
    adapter.clientSideCache();
    const { names, wrapped } = wrapper(prototype.sendCommand);
    prototype.sendCommand = wrapped;
    await keepsWhatItReads(adapter);
    expect(names).toContain('MGET');
  });

  for (const when of ['early', 'late'] as const)
    test(`a wrapper on the client itself, put there ${when === 'early' ? 'before it connects' : 'when it is tracked'}`, async () => {
      const seen: unknown[][] = [];
      await keepsWhatItReads(await newCopy(), {
        [when]: (client: { sendCommand: Send }) => {
          const { names, wrapped } = wrapper(client.sendCommand);
          client.sendCommand = wrapped;
          seen.push(names);
        },
      });
      expect(seen[0]).toContain('SET');
    });
});

test('a wrapper that sends something of its own in front of each command: the client is known once', async () => {
  const adapter = await newCopy();
  const cache = adapter.clientSideCache();
  const hooked = prototype.sendCommand;
  prototype.sendCommand = function (...call) {
    const traced = hooked.call(this, ['ECHO', 'traced']) as Promise<unknown>;
    traced.catch(() => {});
    return hooked.apply(this, call);
  };
  const client = createClient({ url: redis.url, RESP: 3, clientSideCache: cache });
  client.on('error', () => {});
  await client.connect();
  expect(await client.set('traced', 'value')).toBe('OK');
  expect(await client.get('traced')).toBe('value');
  await eventually(() => cache.engine.state === 'tracking');
  expect(cache.engine.stats().connections).toBe(1);
  expect(['ready', 'end', 'terminated'].map((event) => client.listenerCount(event))).toEqual([
    1, 1, 1,
  ]);
  client.destroy();
});

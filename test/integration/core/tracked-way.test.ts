// The way of whoever keeps copies of his own, over clients of every kind: what he stores under a guard,
// and what takes it from him again.
import type { Entry, SendOptions, TrackingSession } from '@redcache/core';
import {
  type AnyClient,
  type ClientSideCacheOptions,
  clientSideCache,
  portOf,
  type TrackedWay,
  trackedWay,
} from '@redcache/core/node-redis';
import { defineScript, runScript } from '@redcache/core/toolkit';
import { createClientPool, createCluster } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { SentinelDeployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { sentinelFailOver } from '../../support/failover.ts';
import { finishSlotMove, moveKeys, moveSlot, startSlotMove } from '../../support/slots.ts';
import { onMasters } from './cached-kind.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind, type OpenKindOptions, openKind } from './four-kinds.ts';
import { endsOf } from './topology.ts';

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());

/** Reads, writes and reads: what a loader ends with. One push of its own follows. */
const STORE = defineScript({
  lua: `redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1])`,
  keys: 1,
});

async function open<K extends Kind>(
  kind: K,
  options: ClientSideCacheOptions = {},
  others: OpenKindOptions = {},
) {
  const cache = clientSideCache(options);
  const opened = await openKind(kind, deployments.of(kind), { ...others, cache });
  onTestFinished(() => opened.close());
  const way = trackedWay(opened.raw as unknown as AnyClient);
  onTestFinished(() => way.close());
  return { ...opened, way, keys: ['a', 'b', 'c', 'd'].map(opened.keyFor) };
}

/** Reads the key under a guard; answers whether its copy was kept. */
async function read({ port, engine, sessionFor }: TrackedWay, key: string): Promise<boolean> {
  const guard = engine.guard([key], undefined, sessionFor(key));
  try {
    const value = await port.send(['GET', key]);
    return engine.fill(guard, key, value, PRESENT);
  } finally {
    engine.release(guard);
  }
}

const PRESENT = { kind: 'present', remaining: 'none', valueBytes: 1 } as const;

/** Until a connection has proved that it is tracked nothing is served. */
const kept = (way: TrackedWay, key: string): Promise<boolean> =>
  eventually(async () => (await read(way, key)) && copyOf(way, key) !== undefined, Boolean, {
    what: `a copy of ${key}`,
  });

const copyOf = ({ engine }: TrackedWay, key: string): unknown => engine.lookup(key)?.value;

/** Somebody else writes; resolves when the copy is gone. */
async function changed(
  { way, writer }: Pick<Awaited<ReturnType<typeof open>>, 'way' | 'writer'>,
  key: string,
) {
  await writer.set(key, 'changed');
  await eventually(() => way.engine.lookup(key) === undefined, Boolean, { what: `${key} to go` });
}

/** What is tracked, as the servers say it. */
async function trackedConnections(kind: Kind): Promise<number> {
  const lists = await onMasters(deployments.of(kind), 'CLIENT', 'LIST', 'TYPE', 'normal');
  return lists.join('').match(/ flags=\S*t/g)?.length ?? 0;
}

const MODES: Readonly<Record<string, ClientSideCacheOptions>> = {
  default: {},
  optin: { mode: 'optin' },
  broadcast: { mode: { broadcast: [`kind:${process.pid}:`] } },
};

describe.for(KINDS)('%s', (kind) => {
  for (const [mode, options] of Object.entries(MODES)) {
    test(`${mode}: what is read under a guard is kept until somebody else changes it`, async () => {
      const opened = await open(kind, options);
      const { way, keys, writer } = opened;
      for (const key of keys) {
        await writer.set(key, 'value');
        await kept(way, key);
        expect(copyOf(way, key)).toBe('value');
      }
      for (const key of keys) await changed(opened, key);
      expect(await read(way, keys[0] as string)).toBe(true);
    });

    test(`${mode}: what a script wrote is kept behind the echo of its write, but not in broadcast`, async () => {
      const opened = await open(kind, options);
      const { way, keys } = opened;
      const { engine, port } = way;
      for (const key of keys) {
        await kept(way, key);
        const guard = engine.guard([key], undefined, way.sessionFor(key));
        const own = Buffer.from(`own ${key}`);
        const reply = await runScript(port, STORE, [key], [own], { replies: 'buffers' });
        expect(reply).toEqual(own);
        const stored = engine.fill(guard, key, 'own', { ...PRESENT, by: 'own-write' });
        // There the push may come with the reply, and it is not counted.
        if (mode !== 'broadcast') expect(stored).toBe(true);
        // Whatever was pushed before the answer to it has been handled.
        await port.send(['TYPE', key]);
        expect([key, copyOf(way, key)]).toEqual([key, mode === 'broadcast' ? undefined : 'own']);
        await changed(opened, key);
      }
    });
  }

  test('noLoop is refused, and so is a client without a cache of ours', async () => {
    const cache = clientSideCache({ noLoop: true });
    const deployment = deployments.of(kind);
    await using silent = await openKind(kind, deployment, { cache });
    await using plain = await openKind(kind, deployment);
    const isConfigError = expect.objectContaining({ code: 'REDCACHE_CONFIG' });
    for (const { raw } of [silent, plain])
      expect(() => trackedWay(raw as unknown as AnyClient)).toThrow(isConfigError);
  });

  test('broadcast: says which keys are covered, and keeps no others', async () => {
    const { way, keys } = await open(kind, { mode: { broadcast: ['covered:'] } });
    expect(['covered:', 'covered:more:', 'cover', ''].map(way.covers)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    await kept(way, 'covered:key');
    expect(await read(way, keys[0] as string)).toBe(false);
  });

  test('bytes that are no text come and go as they are, beside text', async () => {
    const { way, raw, keys } = await open(kind);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i));
    const asBytes: SendOptions = { replies: 'buffers' };
    for (const port of [way.port, portOf(raw as unknown as AnyClient)])
      for (const key of keys) {
        expect(await port.send(['SET', key, bytes])).toBe('OK');
        const answers = await Promise.all([
          port.send(['GET', key], asBytes),
          port.send(['STRLEN', key]),
          port.send(['GETRANGE', key, '128', '137']),
          port.send(['EVAL', 'return {1, {redis.call("GET", KEYS[1])}}', '1', key], asBytes),
          port.send([Buffer.from('GET'), Buffer.from(key)], asBytes),
        ]);
        expect(answers).toEqual([bytes, 256, '\x7f~}|{zyxwv', [1, [bytes]], bytes]);
      }
  });

  test('a connection that is cut: its copies are suspects, and of no use once it is back', async () => {
    const opened = await open(kind, {}, { node: { socket: { reconnectStrategy: 50 } } });
    const { way, keys, writer } = opened;
    const [key] = keys as [string];
    await writer.set(key, 'before');
    await kept(way, key);
    const seen = new Promise<readonly (Entry | undefined)[]>((resolve) => {
      const stop = way.engine.onInvalidation(key, (cause) => {
        if (cause !== 'disconnect' || way.sessionFor(key).source !== undefined) return;
        stop();
        resolve([way.engine.lookup(key), way.engine.suspect(key)]);
      });
    });
    await onMasters(deployments.of(kind), 'CLIENT', 'KILL', 'TYPE', 'normal');
    expect(await seen).toMatchObject([undefined, { value: 'before' }]);
    await eventually(() => writer.set(key, 'after'));
    await kept(way, key);
    expect(copyOf(way, key)).toBe('after');
    await changed(opened, key);
    expect(way.engine.suspect(key)).toBeUndefined();
  });
});

describe.for(['pool', 'sentinel'] as const)('%s: the connection of our own', (kind) => {
  test('is there for the first command, whoever connects later, and leaves nothing', async () => {
    const before = await trackedConnections(kind);
    const { way, raw, keys, close } = await open(kind);
    await way.port.send(['SET', keys[0] as string, 'x']);
    await kept(way, keys[0] as string);
    expect(way.engine.stats().connections).toBeGreaterThan(0);
    (raw as { destroy(): unknown }).destroy();
    await eventually(
      () => trackedConnections(kind),
      (count) => count === before,
      { what: 'it to go with the client' },
    );
    expect(copyOf(way, keys[0] as string)).toBeUndefined();
    await expect(way.port.send(['PING'])).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    await raw.connect();
    await kept(way, keys[0] as string);
    way.close();
    await expect(way.port.send(['PING'])).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    await close();
    await eventually(
      () => trackedConnections(kind),
      (count) => count === before,
      { what: 'it to go with the way' },
    );
  });

  test('carries all commands, in their order', async () => {
    const { way, keyFor } = await open(kind);
    const ids = await Promise.all(
      Array.from({ length: 50 }, () => way.port.send(['CLIENT', 'ID'])),
    );
    expect(new Set(ids).size).toBe(1);
    const numbers = Array.from({ length: 200 }, (_, i) => `${i}`);
    const list = keyFor('list');
    await Promise.all(numbers.map((number) => way.port.send(['RPUSH', list, number])));
    expect(await way.port.send(['LRANGE', list, '0', '-1'])).toEqual(numbers);
  });
});

test('pool: made before it is connected, and closed while it opens', async () => {
  const deployment = deployments.of('pool');
  const pool = createClientPool(
    { url: deployment.url },
    { clientSideCache: clientSideCache() as never },
  );
  const way = trackedWay(pool as unknown as AnyClient);
  expect(await read(way, 'early').catch((error) => error)).toMatchObject({
    code: 'REDCACHE_UNAVAILABLE',
  });
  await pool.connect();
  onTestFinished(() => pool.destroy());
  expect(await way.port.send(['SET', 'early', 'x'])).toBe('OK');
  await kept(way, 'early');
  const another = trackedWay(pool as unknown as AnyClient);
  const sent = another.port.send(['SET', 'never', 'x']).catch((error) => error);
  another.close();
  expect(await sent).toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  expect(await way.port.send(['GET', 'never'])).toBeNull();
  way.close();
});

test('sentinel: it follows the master, and what was read of the old one is gone', async () => {
  const opened = await open('sentinel');
  const { way, keys, writer } = opened;
  const [key] = keys as [string];
  await writer.set(key, 'old');
  await kept(way, key);
  const promoted = await sentinelFailOver(deployments.of('sentinel') as SentinelDeployment);
  await promoted.ask('SET', key, 'new');
  await eventually(async () => (await read(way, key)) && copyOf(way, key) === 'new');
  expect(way.engine.suspect(key)).toBeUndefined();
  await promoted.ask('SET', key, 'newer');
  await eventually(() => way.engine.lookup(key) === undefined);
});

describe('cluster', () => {
  test('a node that is not connected yet: nothing is kept, and nothing breaks', async () => {
    const deployment = deployments.of('cluster');
    const cluster = createCluster({
      rootNodes: deployment.nodesOf('master').map(({ host, port }) => ({ socket: { host, port } })),
      minimizeConnections: true,
      clientSideCache: clientSideCache() as never,
    });
    await cluster.connect();
    onTestFinished(() => cluster.destroy());
    const way = trackedWay(cluster as unknown as AnyClient);
    expect(await read(way, 'unconnected')).toBe(false);
    await kept(way, 'unconnected');
  });

  test('while a slot moves what another node answers is not kept; nor what the old one said, afterwards', async () => {
    const deployment = deployments.of('cluster');
    const opened = await open('cluster');
    const { way, keyFor, writer } = opened;
    const [key, absent] = ['moving', 'absent'].map((name) => `{${keyFor('slot')}}:${name}`) as [
      string,
      string,
    ];
    await writer.set(key, 'value');
    await kept(way, key);
    const { slot, to } = await endsOf(deployment, key);
    const move = await startSlotMove(deployment, slot, to);
    // It is asked for where the slot is going, and no push of that would be named by this guard.
    for (let i = 0; i < 3; i += 1) expect(await read(way, absent)).toBe(false);
    await moveKeys(move);
    await eventually(() => way.engine.lookup(key) === undefined);
    expect(await read(way, key)).toBe(false);
    await finishSlotMove(move);
    await kept(way, key);
    await changed(opened, key);
  });

  test('a slot that has moved: the read that finds out is not kept, the next is', async () => {
    const deployment = deployments.of('cluster');
    const opened = await open('cluster', { maxStaleness: '10m' });
    const { way, keyFor } = opened;
    const key = keyFor('moved');
    await kept(way, key);
    const { slot, to } = await endsOf(deployment, key);
    await moveSlot(deployment, slot, to);
    const before = way.sessionFor(key);
    expect(await read(way, key)).toBe(false);
    expect(way.sessionFor(key)).not.toBe(before);
    await kept(way, key);
    await changed(opened, key);
  });

  test('a guard that names another connection than its command takes keeps nothing', async () => {
    const { way, keys, keyFor } = await open('cluster');
    for (const key of keys) await kept(way, key);
    const sessions = [...new Set(keys.map(way.sessionFor))];
    expect(sessions.length).toBeGreaterThan(1);
    const { engine, port } = way;
    const together = ['1', '2'].map((name) => `{${keyFor('together')}}:${name}`);
    const readUnder = async (session: TrackingSession) => {
      const guards = together.map((key) => engine.guard([key], undefined, session));
      await port.send(['MGET', ...together]);
      return guards.map((guard, i) => engine.fill(guard, together[i] as string, 'x', PRESENT));
    };
    const own = way.sessionFor(together[0] as string);
    expect(await readUnder(own)).toEqual([true, true]);
    for (const other of sessions.filter((session) => session !== own))
      expect(await readUnder(other)).toEqual([false, false]);
  });
});

// A writer writes the source of truth under the lock of its key, and Redis holds what it answered, or
// what stood there before, or nothing: never anything that was written earlier than something else.
import { ConfigError } from '@redcache/core';
import { clientSideCache } from '@redcache/core/node-redis';
import { AcquireTimeoutError, createLocks, LockLostError } from '@redcache/locks';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually, pause } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { aborted } from '../locks/ground.ts';
import { loader, newKey, openCache, published } from './local-cache.ts';

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

const PATIENT = { timeout: { redis: '10s' } } as const;
const open = () => openCache(server.url, PATIENT);
/** The lock of a key without braces. */
const lockOf = (key: string): string => `{${key}}:redcache:write`;

/** What Redis holds of a key, and when it ends. */
async function state(key: string): Promise<readonly unknown[]> {
  return [await server.node.ask('GET', key), await server.node.ask('PEXPIRETIME', key)];
}

/** Locks of somebody else, who takes what he wants. */
async function openForce() {
  const client = createClient({ url: server.url, clientSideCache: clientSideCache() });
  client.on('error', () => {});
  await client.connect();
  const locks = createLocks({ client, prefix: '' });
  onTestFinished(async () => {
    await locks.close();
    client.destroy();
  });
  return locks;
}

/** A writer that the test settles, run by run. */
function writer() {
  const runs: {
    readonly token: bigint;
    readonly signal: AbortSignal;
    answer(value: unknown): void;
    fail(error: unknown): void;
  }[] = [];
  const write = (_key: string, ctx: { signal: AbortSignal; fencingToken: bigint }) =>
    new Promise<unknown>((answer, fail) =>
      runs.push({ token: ctx.fencingToken, signal: ctx.signal, answer, fail }),
    );
  return { write, runs };
}

test('writers of one key run one after the other across caches, with rising tokens', async () => {
  const caches = [await open(), await open()];
  const key = newKey();
  let [source, running, most] = [0, 0, 0];
  const tokens: bigint[] = [];
  const increase = async (_: string, { fencingToken }: { fencingToken: bigint }) => {
    running += 1;
    most = Math.max(most, running);
    tokens.push(fencingToken);
    const before = source;
    await new Promise(setImmediate);
    source = before + 1;
    running -= 1;
    return source;
  };
  const writes = Array.from({ length: 40 }, (_, i) => caches[i % 2]?.cache.write(key, increase));
  const answered = await Promise.all(writes);
  expect([source, most]).toEqual([40, 1]);
  expect([...answered].sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
  expect(new Set(tokens).size).toBe(40);
  for (const { cache } of caches) expect(await cache.get(key)).toBe(40);
  expect(await server.node.ask('EXISTS', lockOf(key))).toBe(0);
});

test('it answers what every process reads, and stores that with its ttl and tags', async () => {
  const { cache } = await open();
  const key = newKey();
  const date = new Date(0);
  const value = await cache.write(key, (name) => ({ name, date }), { ttl: '1m', tags: ['t'] });
  expect(value).toEqual({ name: key, date: date.toJSON() });
  expect(await cache.get(key)).toEqual(value);
  expect(Number(await server.node.ask('PTTL', key))).toBeLessThanOrEqual(60_000);
  await cache.write(key, (_, ctx) => {
    ctx.ttl('5s');
    return 'short';
  });
  expect(Number(await server.node.ask('PTTL', key))).toBeLessThanOrEqual(5_000);
  await cache.write(key, () => 'tagged', { tags: (of) => [`of ${of}`] });
  await cache.invalidateTag('of tagged');
  expect(await cache.get(key)).toBeUndefined();
  expect(await cache.write(key, () => undefined)).toBeUndefined();
  expect(cache.peek(key).hit).toBe(false);
  expect(await cache.get(key, () => 'not asked')).toBeUndefined();
});

test('a writer that fails leaves the value and its time as they are, and its error as it is', async () => {
  const { cache } = await open();
  const key = newKey();
  await cache.set(key, 'old', { ttl: '1h', tags: ['t'] });
  const before = await state(key);
  const own = new Error('the database said no');
  await expect(cache.write(key, () => Promise.reject(own))).rejects.toBe(own);
  await expect(
    cache.write(key, () => {
      throw own;
    }),
  ).rejects.toBe(own);
  await expect(cache.writeMany([key, newKey()], () => Promise.reject(own))).rejects.toBe(own);
  expect(await state(key)).toEqual(before);
  expect(await cache.get(key)).toBe('old');
  // The lock was given back.
  expect(await server.node.ask('EXISTS', lockOf(key))).toBe(0);
  // A key that held nothing holds nothing.
  const absent = newKey();
  await expect(cache.write(absent, () => Promise.reject(own))).rejects.toBe(own);
  expect(await server.node.ask('EXISTS', absent)).toBe(0);
});

test('what cannot be stored is deleted, since the source of truth has changed', async () => {
  const { cache } = await open();
  const key = newKey();
  await cache.set(key, 'old');
  await expect(cache.write(key, () => 1n)).rejects.toMatchObject({ code: 'REDCACHE_CODEC' });
  expect(await server.node.ask('EXISTS', key)).toBe(0);
  expect(await cache.get(key, () => 'loaded')).toBe('loaded');
  await expect(cache.writeMany([key], (() => 'no map') as never)).rejects.toThrow(ConfigError);
  expect(await server.node.ask('EXISTS', key)).toBe(0);
});

test('what the server refuses is deleted as soon as it lets us', async () => {
  await using small = await startStandalone();
  const { cache } = await openCache(small.url, PATIENT);
  const key = newKey();
  await cache.set(key, 'old');
  await cache.write(newKey(), () => 'so that locks and scripts are known');
  const full = (): Promise<unknown> => small.node.ask('CONFIG', 'SET', 'maxmemory', '1');
  const written = cache.write(key, async () => {
    await full();
    return 'new';
  });
  await expect(written).rejects.toThrow(/OOM/);
  await eventually(async () => (await small.node.ask('EXISTS', key)) === 0);
  await eventually(() => cache.stats().uncertainKeys === 0);
});

test.each([
  ['the lock is deleted', 'deleted'],
  ['somebody else takes it', 'taken'],
] as const)(
  '%s: the writer is told, its value is not stored and the old one goes',
  async (_, reason) => {
    const [{ cache }, other] = [await open(), await open()];
    const force = await openForce();
    const key = newKey();
    const { write, runs } = writer();
    await cache.set(key, 'old');
    const written = cache.write(key, write);
    await eventually(() => runs.length === 1);
    if (reason === 'deleted') await server.node.ask('DEL', lockOf(key));
    else await force.forceAcquire(lockOf(key));
    const told = await aborted(runs[0]?.signal as AbortSignal);
    expect(told).toBeInstanceOf(LockLostError);
    expect(told).toMatchObject({ key, reason });
    // Until it has succeeded nothing is touched.
    expect(await other.cache.get(key)).toBe('old');
    runs[0]?.answer('new');
    await expect(written).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST', key, reason });
    expect(await server.node.ask('EXISTS', key)).toBe(0);
    expect(await cache.get(key, () => 'loaded')).toBe('loaded');
  },
);

test('a writer slower than its lease keeps the lock', async () => {
  const [{ cache }, other] = [await open(), await open()];
  const key = newKey();
  const order: string[] = [];
  const slow = cache.write(
    key,
    async () => {
      order.push('slow begins');
      await pause(700);
      order.push('slow ends');
      return 'slow';
    },
    { lease: '200ms' },
  );
  await eventually(() => order.length === 1);
  const next = other.cache.write(key, () => {
    order.push('next');
    return 'next';
  });
  expect(await Promise.all([slow, next])).toEqual(['slow', 'next']);
  expect(order).toEqual(['slow begins', 'slow ends', 'next']);
  expect(await cache.get(key)).toBe('next');
});

test('a store that is sent, and arrives when somebody else has written, overwrites nothing', async () => {
  await using proxy = await TcpProxy.start(server.node);
  const stalled = await openCache(proxy.url, { timeout: { redis: '10s' } });
  const [{ cache }, force] = [await open(), await openForce()];
  const key = newKey();
  await cache.set(key, 'old');
  const { write, runs } = writer();
  const written = stalled.cache.write(key, write);
  await eventually(() => runs.length === 1);
  // From here on neither its commands arrive nor the pushes that would tell it.
  proxy.stall('toServer');
  proxy.stall('toClient');
  runs[0]?.answer('stalled');
  const sent = proxy.bytes('toServer').received;
  await eventually(() => proxy.bytes('toServer').received > sent);
  await (await force.forceAcquire(lockOf(key))).release();
  await cache.write(key, () => 'later');
  proxy.resume('toServer');
  proxy.resume('toClient');
  await expect(written).rejects.toThrow(LockLostError);
  // Nobody knows which of the two was the last to write the source: so neither is believed.
  expect(await server.node.ask('EXISTS', key)).toBe(0);
  expect(await cache.get(key, () => 'from the source')).toBe('from the source');
});

test('a store that goes unanswered: unknown, and the key is deleted before it is believed again', async () => {
  await using proxy = await TcpProxy.start(server.node);
  const { cache } = await openCache(proxy.url, { timeout: { redis: '1s' } });
  const other = await open();
  const key = newKey();
  await cache.set(key, 'old');
  const { write, runs } = writer();
  const written = cache.write(key, write);
  await eventually(() => runs.length === 1);
  proxy.stall('toClient');
  runs[0]?.answer('new');
  await expect(written).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN', key });
  expect(cache.stats().uncertainKeys).toBe(1);
  // It was carried out; the connection dies with its answer.
  expect(await other.cache.get(key)).toBe('new');
  proxy.cut();
  proxy.resume('toClient');
  await eventually(() => cache.stats().uncertainKeys === 0);
  expect(await server.node.ask('EXISTS', key)).toBe(0);
  // The lock was given back, or ends by itself.
  await server.node.ask('DEL', lockOf(key));
  expect(await cache.write(key, () => 'again')).toBe('again');
});

test.each(['here', 'elsewhere'])(
  'a load that began %s before a write is not stored',
  async (where) => {
    const [{ cache }, other] = [await open(), await open()];
    const loading = where === 'here' ? cache : other.cache;
    const key = newKey();
    const { load, runs } = loader();
    const loaded = loading.get(key, load);
    await eventually(() => runs.length === 1);
    await cache.write(key, () => 'written');
    // Nobody joins it any more.
    expect(await cache.get(key)).toBe('written');
    await eventually(() => runs[0]?.signal.aborted);
    runs[0]?.answer('loaded');
    expect(await loaded).toBe('loaded');
    for (const each of [cache, other.cache]) expect(await each.get(key)).toBe('written');
  },
);

const happenings: [string, (key: string) => Promise<unknown>][] = [
  ['a delete of another process', async (key) => (await open()).cache.delete(key)],
  ['a write without the lock', async (key) => (await open()).cache.set(key, 'newer')],
  ['a delete of another program', (key) => server.node.ask('DEL', key)],
];

test.each(
  happenings.flatMap(([what, happens]) =>
    ['a value', 'nothing', 'an absence', "another program's"].map(
      (before) => [what, before, happens] as const,
    ),
  ),
)('%s while a writer runs, where there was %s: its value is not stored (W5)', async (...given) => {
  const [, before, happens] = given;
  const { cache } = await open();
  const key = newKey();
  if (before === 'a value') await cache.set(key, 'old');
  if (before === 'an absence') await cache.set(key, undefined);
  if (before === "another program's") await server.node.ask('SET', key, '');
  const { write, runs } = writer();
  const writing = cache.write(key, write);
  await eventually(() => runs.length === 1);
  // Whoever does this has changed the source after the writer.
  await happens(key);
  runs[0]?.answer('older');
  expect(await writing).toBe('older');
  expect(await server.node.ask('EXISTS', key)).toBe(0);
  expect(await cache.get(key, () => 'newest')).toBe('newest');
});

test('while a writer runs where there was nothing, readers load, and its failure leaves nothing', async () => {
  const [{ cache }, { cache: other }] = [await open(), await open()];
  const unreadable = published('redcache:cache:unreadable');
  const [read, failed] = [newKey(), newKey()];
  const { write, runs } = writer();
  const writing = [read, failed].map((key) => cache.write(key, write));
  await eventually(() => runs.length === 2);
  expect(await other.get(read)).toBeUndefined();
  expect(await other.touch(read, '1m')).toBe(false);
  expect(await other.get(read, () => 'old')).toBe('old');
  expect(unreadable).toEqual([]);
  runs[0]?.answer('new');
  const error = new Error('the database said no');
  runs[1]?.fail(error);
  expect(await writing[0]).toBe('new');
  await expect(writing[1]).rejects.toBe(error);
  await eventually(async () => (await other.get(read, () => 'new')) === 'new');
  expect(await server.node.ask('EXISTS', failed)).toBe(0);
});

test('a refresh that began before a write is not stored over it', async () => {
  const [{ cache }, other] = [await open(), await open()];
  const key = newKey();
  const { load, runs } = loader();
  const aging = { grace: '1h' } as const;
  await cache.set(key, 'old', aging);
  await cache.expire(key);
  expect(await other.cache.get(key, load, aging)).toBe('old');
  await eventually(() => runs.length === 1);
  const loads = published<{ key: string; stored: boolean }>('redcache:cache:load');
  await cache.write(key, () => 'written');
  runs[0]?.answer('refreshed');
  await eventually(() => loads.some((each) => each.key === key));
  expect(loads.find((each) => each.key === key)?.stored).toBe(false);
  for (const each of [cache, other.cache]) expect(await each.get(key)).toBe('written');
});

test('without Redis no writer is called; lost under way, what was there before is gone when it is back', async () => {
  await using proxy = await TcpProxy.start(server.node);
  const { cache } = await openCache(proxy.url, { timeout: { redis: '1s' } });
  const key = newKey();
  await cache.set(key, 'old');
  const { write, runs } = writer();
  const written = cache.write(key, write);
  await eventually(() => runs.length === 1);
  proxy.cut({ refuse: true });
  runs[0]?.answer('new');
  await expect(written).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN', key });
  const refused = expect(cache.write(newKey(), write)).rejects;
  await refused.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  expect(runs).toHaveLength(1);
  proxy.heal();
  await eventually(() => cache.stats().uncertainKeys === 0);
  // It may have been waiting to be sent, and was stored under the lock that is held yet.
  expect(await cache.get(key, () => 'new')).toBe('new');
});

test('whoever waits for too long, or leaves, does so without writing', async () => {
  const { cache } = await open();
  const key = newKey();
  const { write, runs } = writer();
  const first = cache.write(key, write);
  await eventually(() => runs.length === 1);
  const late = cache.write(key, write, { wait: '50ms' });
  await expect(late).rejects.toThrow(AcquireTimeoutError);
  await expect(late).rejects.toMatchObject({ key });
  const controller = new AbortController();
  const left = cache.write(key, write, { signal: controller.signal });
  controller.abort('left');
  await expect(left).rejects.toBe('left');
  await expect(cache.write(key, write, { signal: controller.signal })).rejects.toBe('left');
  runs[0]?.answer('first');
  expect(await first).toBe('first');
  expect(runs).toHaveLength(1);
});

test('a caller who leaves while his writer runs: it is told, and what it writes all the same is stored', async () => {
  const { cache } = await open();
  const key = newKey();
  const { write, runs } = writer();
  const controller = new AbortController();
  const left = cache.write(key, write, { signal: controller.signal });
  await eventually(() => runs.length === 1);
  controller.abort('left');
  await expect(left).rejects.toBe('left');
  expect(runs[0]?.signal.reason).toBe('left');
  runs[0]?.answer('written');
  await eventually(async () => (await cache.get(key)) === 'written');
  await eventually(async () => (await server.node.ask('EXISTS', lockOf(key))) === 0);
});

test('close() ends writes: those that wait, and those whose writers run', async () => {
  const { cache } = await openCache(server.url);
  const key = newKey();
  const { write, runs } = writer();
  await cache.set(key, 'old');
  const running = cache.write(key, write);
  const waiting = cache.write(key, write);
  await eventually(() => runs.length === 1);
  const closed = { code: 'REDCACHE_CLOSED' };
  const rejections = [running, waiting].map((each) => expect(each).rejects.toMatchObject(closed));
  await Promise.all([...rejections, cache.close()]);
  expect(runs[0]?.signal.reason).toMatchObject(closed);
  // Nobody will store what it writes, so nobody is to read what was there before.
  expect(await server.node.ask('EXISTS', key, lockOf(key))).toBe(0);
  runs[0]?.answer('too late');
  await pause(20);
  expect(await server.node.ask('EXISTS', key)).toBe(0);
  await expect(cache.write(key, write)).rejects.toMatchObject(closed);
  expect(runs).toHaveLength(1);
});

test('bad arguments are refused before anything is sent', async () => {
  const { cache } = await open();
  const value = () => 'v';
  await expect(cache.write('', value)).rejects.toThrow(ConfigError);
  await expect(cache.write('k', undefined as never)).rejects.toThrow(/there must be a writer/);
  await expect(cache.write('k', value, { nope: 1 } as never)).rejects.toThrow(/unknown option/);
  await expect(cache.write('k', value, { lease: 0 })).rejects.toThrow(ConfigError);
  await expect(cache.write('k', value, { wait: -1 })).rejects.toThrow(ConfigError);
  await expect(cache.writeMany('k' as never, () => ({}))).rejects.toThrow(ConfigError);
  expect(await cache.writeMany([], () => expect.fail())).toEqual(new Map());
});

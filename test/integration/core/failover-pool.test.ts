// Connections of a pool that are lost, or given up by the pool itself (I4).
import { clientSideCache } from '@redcache/core/node-redis';
import { createClientPool, type RedisClientPoolType } from 'redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { loadsOf, newKey } from './topology.ts';
import { otherClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const MEMBERS = 4;

type Member = Parameters<Parameters<RedisClientPoolType['execute']>[0]>[0];

/** A pool that has as many members as it may have, and does not give them up unless told to. */
async function open({ minimum = MEMBERS, cleanupDelay = 600_000 } = {}) {
  const cache = clientSideCache();
  const pool = createClientPool({ url: redis.url, socket: { reconnectStrategy: 5 } }, {
    minimum,
    maximum: MEMBERS,
    cleanupDelay,
    clientSideCache: cache,
  } as never) as unknown as RedisClientPoolType;
  pool.on('error', () => {});
  await pool.connect();
  return { pool, engine: cache.engine, [Symbol.asyncDispose]: async () => pool.destroy() };
}

/** Runs it on every member at the same time, so that no member gets it twice. */
async function onEach<T>(
  pool: RedisClientPoolType,
  run: (member: Member, i: number) => Promise<T>,
): Promise<T[]> {
  let here = 0;
  let all: () => void;
  const together = new Promise<void>((resolve) => {
    all = resolve;
  });
  return await Promise.all(
    Array.from({ length: MEMBERS }, (_, i) =>
      pool.execute(async (member) => {
        here += 1;
        if (here === MEMBERS) all();
        await together;
        return run(member, i);
      }),
    ),
  );
}

interface Share {
  readonly id: number;
  readonly keys: readonly string[];
}

/** What each member has read: keys that no other has. */
async function sharesOf({ pool, engine }: Awaited<ReturnType<typeof open>>): Promise<Share[]> {
  await onEach(pool, (member) => member.ping());
  await eventually(
    () => engine.stats(),
    ({ state, connections }) => state === 'tracking' && connections === MEMBERS,
  );
  return await onEach(pool, async (member, i) => {
    const id = await member.clientId();
    const keys = Array.from({ length: i + 2 }, newKey);
    for (const key of keys) await member.get(key);
    // Of each member, that its pushes arrive has been seen: what it has read is served.
    for (const key of keys)
      await eventually(async () => (await loadsOf(engine, [() => member.get(key)])) === 0);
    return { id, keys };
  });
}

test('a member whose connection is killed takes with it what it had read, and nothing else', async () => {
  await using opened = await open();
  await using other = await otherClient(redis.url);
  const { pool, engine } = opened;
  const shares = await sharesOf(opened);
  const total = shares.reduce((sum, { keys }) => sum + keys.length, 0);
  expect(engine.stats()).toMatchObject({ entries: total, evictions: { disconnect: 0 } });
  let gone = 0;
  for (const [i, { id, keys }] of shares.slice(0, 3).entries()) {
    await other.client.sendCommand(['CLIENT', 'KILL', 'ID', `${id}`]);
    gone += keys.length;
    await eventually(() => engine.stats().evictions.disconnect === gone);
    expect(engine.stats().entries).toBe(total - gone);
    const others = shares.slice(i + 1).flatMap((share) => share.keys);
    expect(
      await loadsOf(
        engine,
        others.map((key) => () => pool.get(key)),
      ),
    ).toBe(0);
  }
  expect(engine.stats().evictions).toEqual({
    size: 0,
    bytes: 0,
    ttl: 0,
    invalidation: 0,
    flush: 0,
    disconnect: gone,
    'own-write': 0,
  });
  const lost = shares.slice(0, 3).flatMap((share) => share.keys);
  expect(
    await loadsOf(
      engine,
      lost.map((key) => () => pool.get(key)),
    ),
  ).toBe(lost.length);
});

test('all of them at once, behind one load: nothing is served of before, and it caches again', async () => {
  await using opened = await open();
  await using other = await otherClient(redis.url);
  const { pool, engine } = opened;
  const shares = await sharesOf(opened);
  const keys = shares.flatMap((share) => share.keys);
  await other.client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'YES']);
  for (const key of keys) await other.client.set(key, 'new');
  await eventually(() => engine.stats().evictions.disconnect === keys.length);
  for (const key of keys) expect(await pool.get(key)).toBe('new');
  await eventually(
    async () =>
      (await loadsOf(
        engine,
        keys.map((key) => () => pool.get(key)),
      )) === 0,
  );
});

test('members that the pool gives up take with them what they had read, and nothing else', async () => {
  await using opened = await open({ minimum: 1, cleanupDelay: 200 });
  await using other = await otherClient(redis.url);
  const { pool, engine } = opened;
  // As many as it may have are asked for at once, and all but one are given up again.
  const shares = await sharesOf(opened);
  const total = shares.reduce((sum, { keys }) => sum + keys.length, 0);
  await eventually(() => pool.totalClients === 1);
  const id = await pool.execute((member) => member.clientId());
  const { keys } = shares.find((share) => share.id === id) as Share;
  await eventually(() => engine.stats().connections === 1);
  expect(engine.stats()).toMatchObject({
    entries: keys.length,
    evictions: { disconnect: total - keys.length },
  });
  expect(
    await loadsOf(
      engine,
      keys.map((key) => () => pool.get(key)),
    ),
  ).toBe(0);
  const lost = shares.filter((share) => share.id !== id).flatMap((share) => share.keys);
  for (const key of lost) await other.client.set(key, 'new');
  for (const key of lost) expect(await pool.get(key)).toBe('new');
});

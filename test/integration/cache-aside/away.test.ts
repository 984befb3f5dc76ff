// While Redis is away, stopped or killed: every call settles without it, a bounded number of loaders runs,
// whoever waits may leave, and a server that does not answer is soon not asked any more.
import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { expect, inject, onTestFinished, test } from 'vitest';
import { startCluster, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { ownerOf, slotOf } from '../../support/slots.ts';
import { openKind } from '../core/four-kinds.ts';
import { type LocalCache, loader, newKey, openCache, published } from './local-cache.ts';

const { by } = inject('redis');
const away = test.runIf(by === 'binary').each(['kill', 'pause'] as const);
type Options = Parameters<typeof openCache>[1];

async function ground(options: Options) {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const local = await openCache(server.url, options);
  // Scripts and epochs are known.
  await local.cache.get(newKey(), () => 'v', { tags: ['x'] });
  const back = { kill: () => server.node.restart(), pause: () => server.node.resume() };
  return { ...local, server, back };
}

const keptAgain = ({ cache }: Pick<LocalCache, 'cache'>): Promise<unknown> =>
  eventually(async () => {
    const key = newKey();
    await cache.get(key, () => 'v');
    return cache.peek(key).hit;
  });

away('%s: so many loaders run at a time, the others in the order of their callers', async (how) => {
  const { cache, server, back } = await ground({
    maxLoadsWithoutRedis: 2,
    timeout: { redis: '200ms', hard: '1h' },
  });
  await server.node[how]();
  const { load, runs } = loader();
  const keys = Array.from({ length: 6 }, newKey);
  const leaving = new AbortController();
  const calls: Promise<unknown>[] = [];
  for (const [i, key] of keys.entries()) {
    calls.push(cache.get(key, load, i === 3 ? { signal: leaving.signal } : {}));
    // Each has found out that Redis is away before the next one comes.
    await eventually(() => cache.stats().unavailable > i);
  }
  const settled = Promise.allSettled(calls);
  expect(runs.map(({ key }) => key)).toEqual(keys.slice(0, 2));
  // Who asks for the same joins, and who leaves is told at once.
  const joined = cache.get(keys[4] as string, load);
  leaving.abort('left');
  await expect(calls[3]).rejects.toBe('left');
  for (const at of [0, 1, 2, 3, 4]) {
    await eventually(() => runs.length > at);
    expect(runs.length - at).toBeLessThanOrEqual(2);
    runs[at]?.answer('v');
  }
  expect(runs.map(({ key }) => key)).toEqual(keys.filter((_, i) => i !== 3));
  expect((await settled).map(({ status }) => status)).toEqual(
    keys.map((_, i) => (i === 3 ? 'rejected' : 'fulfilled')),
  );
  expect(await joined).toBe('v');
  expect(cache.stats().loads).toBe(1 + 5);
  // With Redis the bound does not count.
  await back[how]();
  await keptAgain({ cache });
  const before = runs.length;
  const many = Array.from({ length: 4 }, () => cache.get(newKey(), load));
  await eventually(() => runs.length === before + 4);
  for (const { answer } of runs) answer('v');
  await Promise.all(many);
});

away('%s: whoever waits for loaders that never end is told after timeout.hard', async (how) => {
  const { cache, server, back } = await ground({
    maxLoadsWithoutRedis: 1,
    timeout: { redis: '200ms', hard: '1h' },
  });
  await server.node[how]();
  const { load, runs } = loader();
  const first = cache.get(newKey(), load);
  await eventually(() => runs.length === 1);
  const options = { timeout: { hard: '300ms' } } as const;
  for (let i = 0; i < 2; i += 1)
    await expect(cache.get(newKey(), load, options)).rejects.toMatchObject({
      code: 'REDCACHE_LOAD_TIMEOUT',
    });
  expect(runs).toHaveLength(1);
  runs[0]?.answer('v');
  expect(await first).toBe('v');
  // Their turns were not lost with them.
  const next = cache.get(newKey(), load);
  await eventually(() => runs.length === 2);
  runs[1]?.answer('v');
  expect(await next).toBe('v');
  await back[how]();
});

away('%s: every call settles as documented while it lasts', async (how) => {
  const { cache, server, back } = await ground({ timeout: { redis: '200ms', hard: '2s' } });
  const keys = Array.from({ length: 3 }, newKey) as [string, string, string];
  await server.node[how]();
  const unknown = { status: 'rejected', reason: { code: 'REDCACHE_OUTCOME_UNKNOWN' } };
  const each = { status: 'rejected', reason: { code: 'REDCACHE_BATCH', failed: keys } };
  const answered = (value: unknown) => ({ status: 'fulfilled', value });
  const loadMany = (missing: string[]) => new Map(missing.map((key) => [key, 'v']));
  const outcomes: readonly [Promise<unknown>, unknown][] = [
    [cache.get(newKey(), () => 'v'), answered('v')],
    [cache.get(newKey()), answered(undefined)],
    [cache.get(newKey(), () => 'v', { refresh: true, tags: ['y'] }), answered('v')],
    [
      cache.get(newKey(), () => 'v', { onUnavailable: 'throw' }),
      { status: 'rejected', reason: { code: 'REDCACHE_UNAVAILABLE' } },
    ],
    [cache.getMany(keys, loadMany), answered(loadMany(keys))],
    [cache.getEntry(newKey(), () => 'v'), answered(expect.objectContaining({ value: 'v' }))],
    [cache.warm([newKey()], loadMany), { status: 'rejected', reason: { code: 'REDCACHE_BATCH' } }],
    [cache.set(newKey(), 'v'), unknown],
    [cache.set(newKey(), 'v', { tags: ['y'] }), unknown],
    [cache.delete(newKey()), unknown],
    [cache.touch(newKey(), '1h'), unknown],
    [cache.expire(newKey()), unknown],
    [cache.invalidateTag('x'), unknown],
    [cache.clear(), unknown],
    [cache.setMany(keys.map((key) => [key, 'v'])), each],
    [cache.deleteMany(keys), each],
    [cache.touchMany(keys, '1h'), each],
    [
      cache.write(newKey(), () => 'v', { wait: '1s' }),
      {
        status: 'rejected',
        reason: {
          code: expect.stringMatching(/^REDCACHE_(UNAVAILABLE|ACQUIRE_TIMEOUT|OUTCOME_UNKNOWN)$/),
        },
      },
    ],
  ];
  const settled = await Promise.allSettled(outcomes.map(([call]) => call));
  for (const [i, outcome] of settled.entries())
    expect(outcome, `call ${i}`).toMatchObject(outcomes[i]?.[1] as object);
  await back[how]();
  await eventually(() => cache.stats().uncertainKeys === 0);
  await keptAgain({ cache });
  await cache.invalidateTag('x');
});

test.runIf(by === 'binary')(
  'a server that hangs is asked five times, then now and then, and at once again when it is back',
  async () => {
    const { cache, server, client } = await ground({ timeout: { redis: '100ms' } });
    const told = published<{ error: Error }>('redcache:cache:unavailable');
    const ofBreaker = (): number =>
      told.filter(({ error }) => error.message.includes('not asked')).length;
    await server.node.pause();
    for (let i = 0; ofBreaker() === 0; i += 1) {
      expect(await cache.get(newKey(), () => i)).toBe(i);
      expect(told.length).toBeLessThanOrEqual(6);
    }
    expect(told.length - ofBreaker()).toBe(5);
    const [before, asked] = [ofBreaker(), told.length];
    await Promise.all(Array.from({ length: 200 }, () => cache.get(newKey(), () => 'v')));
    // One of them may have been let through, to see.
    expect(told.length - asked).toBe(200);
    expect(ofBreaker() - before).toBeGreaterThanOrEqual(198);
    await server.node.resume();
    await keptAgain({ cache });
    const unavailable = told.length;
    for (let i = 0; i < 20; i += 1) await cache.get(newKey(), () => 'v');
    expect(told.length).toBe(unavailable);
    expect(client.isReady).toBe(true);
  },
);

test.runIf(by === 'binary')(
  'one node of a cluster hangs: what the others hold is read and stored as ever',
  async () => {
    const cluster = await startCluster();
    onTestFinished(() => cluster.stop());
    const opened = await openKind('cluster', cluster, { cache: clientSideCache() as never });
    const cache = createCache({ client: opened.raw as never, timeout: { redis: '200ms' } });
    onTestFinished(async () => {
      await cache.close();
      await opened.close();
    });
    // Not one that knows of tags and of `clear`, without whom nobody can say what is current.
    const needed = new Set<unknown>();
    for (const epoch of ['redcache:epoch', 'redcache:cleared'])
      needed.add(await ownerOf(cluster, await slotOf(cluster, epoch)));
    const hung = cluster.nodesOf('master').find((node) => !needed.has(node));
    if (hung === undefined) throw new Error('every node is needed');
    const there: string[] = [];
    const away: string[] = [];
    while (there.length < 30 || away.length < 30) {
      const key = newKey();
      const isAway = (await ownerOf(cluster, await slotOf(cluster, key))) === hung;
      (isAway ? away : there).push(key);
    }
    const all = [...there, ...away];
    await cache.setMany(all.map((key) => [key, 'set']));
    await hung.pause();
    const load = (missing: string[]) => new Map(missing.map((key) => [key, 'loaded']));
    const expected = new Map(all.map((key) => [key, there.includes(key) ? 'set' : 'loaded']));
    expect(await cache.getMany(all, load)).toEqual(expected);
    // Though many of the other one were just found not to answer.
    const cold = there.map((key) => `{${key}}cold`);
    expect(await cache.getMany([...cold, ...away], load)).toEqual(
      new Map([...cold, ...away].map((key) => [key, 'loaded'])),
    );
    expect(cold.filter((key) => !cache.peek(key).hit)).toEqual([]);
    await hung.resume();
    await eventually(async () => {
      await cache.getMany(all, load);
      return all.every((key) => cache.peek(key).hit);
    });
  },
);

// Slots of a cluster on their way from one node to another: keys here and there, scripts of two keys
// refused (TRYAGAIN). Callers see nothing of it but that less is stored.
import { type Cache, type CacheOptions, createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { finishSlotMove, moveKeys, startSlotMove } from '../../support/slots.ts';
import { openKind } from '../core/four-kinds.ts';
import { endsOf, newKey } from '../core/topology.ts';
import { loader, published } from './local-cache.ts';

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

async function open(options: Omit<CacheOptions, 'client'> = {}) {
  const opened = await openKind('cluster', cluster, { cache: clientSideCache() as never });
  const cache = createCache({
    client: opened.raw as never,
    ...{ ttl: '1h', grace: '1h', timeout: { redis: '10s' } },
    ...options,
  });
  onTestFinished(async () => {
    await cache.close();
    await opened.close();
  });
  return { cache, writer: opened.writer };
}

/** Two caches, and a slot that will begin to move. */
async function ground() {
  const [one, two] = [await open(), await open()];
  const tag = newKey();
  const { slot, to } = await endsOf(cluster, tag);
  const key = (name: string): string => `{${tag}}${name}`;
  return { one, two, key, begin: () => startSlotMove(cluster, slot, to) };
}

const keptHere = (cache: Cache, keys: readonly string[]): Promise<unknown> =>
  eventually(async () => {
    await cache.getMany(keys);
    return keys.every((key) => cache.peek(key).hit);
  });

test('half way, everything is read, loaded once, written, deleted and made stale as ever', async () => {
  const { one, two, key, begin } = await ground();
  const [stays, moved, cold, many, gone] = ['stays', 'moved', 'cold', 'many', 'gone'].map(key) as [
    string,
    string,
    string,
    string,
    string,
  ];
  for (const each of [stays, moved, gone]) await one.cache.set(each, `old ${each}`);
  await two.cache.getMany([stays, moved, gone]);
  const move = await begin();
  await moveKeys(move, [moved, gone]);

  for (const { cache } of [one, two])
    expect(await cache.getMany([stays, moved])).toEqual(
      new Map([stays, moved].map((each) => [each, `old ${each}`])),
    );
  // A cold key belongs to the new owner by now, with its lease.
  const { load, runs } = loader();
  const loading = [one.cache.get(cold, load), two.cache.get(cold, load)];
  await eventually(() => runs.length === 1);
  await eventually(() => one.cache.stats().waits + two.cache.stats().waits > 0);
  runs[0]?.answer('loaded');
  // Nobody is told by push of what was read behind ASK: who waits is woken by his own timer at the latest.
  expect(await loading[0]).toBe('loaded');
  expect(await two.cache.getMany([cold, many], () => ({ [many]: 'many' }))).toEqual(
    new Map([
      [cold, 'loaded'],
      [many, 'many'],
    ]),
  );
  // Nothing outdated is served after a change, wherever the key is.
  for (const [i, each] of [stays, moved, cold].entries()) {
    await one.cache.set(each, `new ${i}`);
    expect(await one.cache.get(each)).toBe(`new ${i}`);
    await eventually(async () => (await two.cache.get(each)) === `new ${i}`);
    expect(await two.cache.touch(each, '2h')).toBe(true);
  }
  await one.cache.deleteMany([gone, many]);
  for (const { cache } of [one, two])
    await eventually(async () => (await cache.getMany([gone, many])).size === 0);

  await moveKeys(move);
  await finishSlotMove(move);
  for (const { cache } of [one, two]) await keptHere(cache, [stays, moved, cold]);
  await two.cache.set(cold, 'last');
  await eventually(async () => (await one.cache.get(cold)) === 'last');
});

test('half way, what has aged is served and not loaded anew behind; whoever insists gets the new value', async () => {
  const { one, two, key, begin } = await ground();
  const unavailable = published<{ error: Error }>('redcache:cache:unavailable');
  const keys = [key('stays'), key('moved')];
  for (const each of keys) {
    await one.cache.get(each, () => 'old');
    await one.cache.expire(each);
  }
  const move = await begin();
  await moveKeys(move, keys.slice(1));
  let runs = 0;
  const load = (): string => {
    runs += 1;
    return 'new';
  };
  for (const { cache } of [one, two])
    for (const each of keys) expect(await cache.get(each, load)).toBe('old');
  await eventually(() => unavailable.some(({ error }) => error.message.includes('TRYAGAIN')));
  expect(runs).toBe(0);
  for (const each of keys) expect(await one.cache.get(each, load, { refresh: true })).toBe('new');
  expect(runs).toBe(2);
  await moveKeys(move);
  await finishSlotMove(move);
  for (const each of keys)
    await eventually(async () => (await two.cache.get(each, load)) === 'new');
});

test('a slot that begins to move during a refresh or a load: its callers have the value', async () => {
  const { one, two, key, begin } = await ground();
  const [aged, cold] = [key('aged'), key('cold')];
  await one.cache.get(aged, () => 'old');
  await one.cache.expire(aged);
  const { load, runs } = loader();
  expect(await one.cache.get(aged, load)).toBe('old');
  const loading = one.cache.get(cold, load);
  const renewing = two.cache.get(key('other'), load, { refresh: true });
  await eventually(() => runs.length === 3);
  const move = await begin();
  // The data keys, but not the lease beside one of them.
  await moveKeys(move, [aged, cold]);
  for (const { answer } of runs) answer('new');
  expect([await loading, await renewing]).toEqual(['new', 'new']);
  for (const { cache } of [one, two])
    for (const each of [aged, cold])
      expect(['old', 'new']).toContain(await cache.get(each, () => 'new'));
  await moveKeys(move);
  await finishSlotMove(move);
  for (const { cache } of [one, two])
    for (const each of [aged, cold])
      await eventually(async () => (await cache.get(each, () => 'new')) === 'new');
});

test('a slot that begins to move while a writer runs: his value is answered, and the old one is gone', async () => {
  const { one, two, key, begin } = await ground();
  const [stays, moved] = [key('stays'), key('moved')];
  await one.cache.setMany([
    [stays, 'old'],
    [moved, 'old'],
  ]);
  let finish = (): void => {};
  const both = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let running = 0;
  const writer = async (): Promise<string> => {
    running += 1;
    await both;
    return 'new';
  };
  const writes = [stays, moved].map((each) => one.cache.write(each, writer));
  await eventually(() => running === 2);
  const move = await begin();
  await moveKeys(move, [moved]);
  finish();
  expect(await Promise.all(writes)).toEqual(['new', 'new']);
  for (const { cache } of [one, two])
    for (const each of [stays, moved])
      await eventually(async () => (await cache.get(each, () => 'new')) === 'new');
  // One that begins now is not told of TRYAGAIN either: it waits for its lock.
  const late = two.cache.write(stays, () => 'late').catch((error: { code?: string }) => error.code);
  await moveKeys(move);
  await finishSlotMove(move);
  expect(await late).toBe('late');
  await eventually(async () => (await one.cache.get(stays)) === 'late');
});

test('tags and clear work while the slots of their epochs move', async () => {
  const namespace = newKey();
  const [one, two] = [await open({ namespace }), await open({ namespace })];
  const value = { tags: ['x'] };
  await one.cache.set('a', 'a', value);
  await keptHere(two.cache, ['a']);
  for (const epoch of [`${namespace}:redcache:tag:x`, `${namespace}:redcache:epoch`]) {
    const { slot, to } = await endsOf(cluster, epoch);
    const move = await startSlotMove(cluster, slot, to);
    await moveKeys(move);
    expect(await two.cache.get('a')).toBe('a');
    await one.cache.invalidateTag('x');
    expect(await one.cache.get('a')).toBeUndefined();
    await eventually(async () => (await two.cache.get('a')) === undefined);
    expect(await two.cache.get('a', () => 'a', value)).toBe('a');
    await finishSlotMove(move);
    await keptHere(one.cache, ['a']);
    await keptHere(two.cache, ['a']);
  }
  await two.cache.clear();
  await eventually(async () => (await one.cache.get('a')) === undefined);
});

// What other caches show of values that age, and of timeouts and tags, shown of ours; see
// docs/cache-aside-cases.md.
import { setImmediate as turn } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { type LocalCache, loader, newKey, openCache, published } from './local-cache.ts';

const { standalone: url } = inject('redis');
const AGEING = { ttl: '1h', grace: '1h' } as const;
const SOFT = { redis: '10s', soft: '20ms' } as const;
const open = (options = {}): Promise<LocalCache> =>
  openCache(url, { ...AGEING, timeout: { redis: '10s' }, ...options });

/** A key whose value has aged. */
async function aged({ cache }: LocalCache): Promise<string> {
  const key = newKey();
  await cache.get(key, () => 'old');
  await cache.expire(key);
  return key;
}

test('without an option for it nothing is loaded anew before its end', async () => {
  const one = await open();
  const key = newKey();
  await one.cache.get(key, () => 'v');
  await one.client.sendCommand(['PEXPIRE', key, String(3_600_000 + 1_000)]);
  const unasked = (): never => expect.fail('it is fresh');
  for (let i = 0; i < 20; i++) expect(await one.cache.get(key, unasked)).toBe('v');
  expect(one.cache.stats()).toMatchObject({ loads: 1, refreshes: { grace: 0, early: 0, hot: 0 } });
});

test('grace is what the call says: without it what has aged is served nobody, and stands', async () => {
  const one = await open();
  const key = await aged(one);
  expect(await one.cache.get(key, undefined, { grace: false })).toBeUndefined();
  expect(await one.cache.get(key)).toBe('old');
  expect(await one.cache.get(key, () => 'new', { grace: false })).toBe('new');
  expect(await one.cache.get(key)).toBe('new');
  // A key that holds nothing has no grace either.
  expect(await one.cache.get(newKey())).toBeUndefined();
});

test('a hundred callers in waves get the old value after timeout.soft, of one load', async () => {
  const one = await open({ timeout: SOFT });
  const key = await aged(one);
  const { load, runs } = loader();
  for (let wave = 0; wave < 2; wave++) {
    const served = await Promise.all(Array.from({ length: 50 }, () => one.cache.get(key, load)));
    expect(new Set(served)).toEqual(new Set(['old']));
    await eventually(() => runs.length > 0);
  }
  expect(runs).toHaveLength(1);
  runs[0]?.answer('new');
  await eventually(async () => (await one.cache.get(key, load)) === 'new');
  expect(runs).toHaveLength(1);
});

test('timeout.soft ends no wait for what is nowhere', async () => {
  const one = await open({ timeout: SOFT });
  const [key, { load, runs }] = [newKey(), loader()];
  let isDone = false;
  const read = one.cache.get(key, load).finally(() => {
    isDone = true;
  });
  await eventually(() => runs.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isDone).toBe(false);
  runs[0]?.answer('v');
  expect(await read).toBe('v');
});

test('a load that fails when its callers have been served is told, and the next one begins anew', async () => {
  const one = await open({ timeout: SOFT });
  const told = published<{ key: string; error: unknown }>('redcache:cache:refresh-failed');
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  try {
    const [key, { load, runs }] = [await aged(one), loader()];
    expect(await one.cache.get(key, load)).toBe('old');
    await eventually(() => runs.length === 1);
    const error = new Error('no database');
    runs[0]?.fail(error);
    await eventually(() => told.some((each) => each.key === key && each.error === error));
    expect(await one.cache.get(key)).toBe('old');
    await eventually(async () => (await one.cache.get(key, () => 'new')) === 'new');
    await turn();
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
});

test('a refresh whose loader throws at once is told with its key, and others go on', async () => {
  const one = await open();
  const told = published<{ key: string }>('redcache:cache:refresh-failed');
  const [bad, good] = [await aged(one), await aged(one)];
  const throwing = (): never => {
    throw new Error('a mistake');
  };
  expect(await one.cache.get(bad, throwing)).toBe('old');
  await eventually(() => told.some(({ key }) => key === bad));
  expect(await one.cache.get(good, () => 'new')).toBe('old');
  await eventually(async () => (await one.cache.get(good)) === 'new');
});

test('a refresh is not stored over a load that took its key meanwhile', async () => {
  const one = await open();
  const [key, { load, runs }] = [await aged(one), loader()];
  const ends = published<{ key: string; stored: boolean }>('redcache:cache:load');
  expect(await one.cache.get(key, load)).toBe('old');
  await eventually(() => runs.length === 1);
  const theirs = 'rc1 l theirs\n';
  await one.client.sendCommand(['SET', key, theirs, 'PX', '3600000']);
  runs[0]?.answer('new');
  await eventually(() => ends.some((each) => each.key === key && !each.stored));
  expect(await one.client.sendCommand(['GET', key])).toBe(theirs);
});

test('values of many that have aged are served together, and each is loaded anew once', async () => {
  const [one, other] = [await open(), await open()];
  const keys = await Promise.all([aged(one), aged(one), aged(one)]);
  const asked: string[] = [];
  const load = (names: string[]): Map<string, string> => {
    asked.push(...names);
    return new Map(names.map((name) => [name, 'new']));
  };
  for (const { cache } of [one, other])
    expect(new Set((await cache.getMany(keys, load)).values())).toContain('old');
  for (const { cache } of [one, other])
    await eventually(async () => {
      const found = await cache.getMany(keys, load);
      return [...found.values()].every((value) => value === 'new');
    });
  expect(asked.toSorted()).toEqual(keys.toSorted());
});

test('a loader sees the value that has aged, and how old it is', async () => {
  const one = await open({ grace: false, staleIfError: '1h' });
  const key = await aged(one);
  const seen: unknown[] = [];
  const load = (
    _: string,
    { stale }: { stale?: { value: unknown; ageMs: number } | undefined },
  ) => {
    seen.push(stale?.value, (stale?.ageMs ?? 0) >= 3_600_000);
    return `newer than ${stale?.value}`;
  };
  expect(await one.cache.get(key, load)).toBe('newer than old');
  expect(await one.cache.get(newKey(), load)).toBe('newer than undefined');
  expect(seen).toEqual(['old', true, undefined, false]);
});

test('a loader that skips is believed by its callers, and what has aged stands', async () => {
  const one = await open({ grace: false, staleIfError: '1h' });
  const key = await aged(one);
  const skips = (_: string, { skip }: { skip(): void }): void => skip();
  expect(await one.cache.get(key, skips)).toBeUndefined();
  const failing = (): Promise<never> => Promise.reject(new Error('no database'));
  expect(await one.cache.get(key, failing)).toBe('old');
});

test('refresh: true is never answered with what there was, and leaves it if its loader fails', async () => {
  const one = await open({ staleIfError: '1h', timeout: SOFT });
  const [fresh, old] = [newKey(), await aged(one)];
  await one.cache.set(fresh, 'old');
  const error = new Error('no database');
  for (const key of [fresh, old]) {
    const { load, runs } = loader();
    const insisted = one.cache.get(key, load, { refresh: true });
    await eventually(() => runs.length === 1);
    // Longer than timeout.soft.
    await new Promise((resolve) => setTimeout(resolve, 100));
    runs[0]?.fail(error);
    await expect(insisted).rejects.toBe(error);
    expect(await one.cache.get(key)).toBe('old');
    expect(await one.cache.get(key, () => 'new', { refresh: true })).toBe('new');
    expect(await one.cache.get(key)).toBe('new');
  }
});

test('a value that is given more time keeps its tags for as long', async () => {
  const [one, prefix] = [
    await open({ namespace: `touched-${process.pid}` }),
    `touched-${process.pid}:`,
  ];
  // Many, whose header is longer than one look into a value.
  const tags = Array.from({ length: 40 }, (_, i) => `a tag, number ${i}`);
  await one.cache.set('k', 'v', { ttl: '1m', tags });
  await one.cache.set('absent', undefined, { ttl: '1m' });
  expect(await one.cache.touchMany(['k', 'absent'], '100d')).toEqual(new Set(['k', 'absent']));
  const endsMs = Number(await one.client.pTTL(`${prefix}k`));
  expect(endsMs).toBeGreaterThan(8_000_000_000);
  for (const tag of tags)
    expect(Number(await one.client.pTTL(`${prefix}redcache:tag:${tag}`))).toBeGreaterThan(endsMs);
  expect(await one.cache.get('k')).toBe('v');
  await one.cache.invalidateTag(tags.at(-1) as string);
  expect(await one.cache.get('k')).toBeUndefined();
  // One that Redis lost may have been invalidated: more time makes no value current again.
  await one.cache.set('k', 'v', { tags });
  await one.client.del(`${prefix}redcache:tag:${tags[0]}`);
  expect(await one.cache.touch('k', '1h')).toBe(true);
  expect(await one.cache.get('k')).toBeUndefined();
});

test('a value has the tags that it was written with last', async () => {
  const one = await open({ namespace: `retagged-${process.pid}` });
  await one.cache.set('k', 'v', { tags: ['x'] });
  await one.cache.set('k', 'v2');
  await one.cache.invalidateTag('x');
  expect(await one.cache.get('k')).toBe('v2');
});

test('a tag is its namespace’s own, and one that nothing carries is no error', async () => {
  const [users, posts] = [
    await open({ namespace: `users-${process.pid}` }),
    await open({ namespace: `posts-${process.pid}` }),
  ];
  for (const { cache } of [users, posts]) await cache.set('k', 'v', { tags: ['x', 'y'] });
  await posts.cache.invalidateTag('x');
  await posts.cache.invalidateTag('nothing carries it');
  expect(await posts.cache.get('k')).toBeUndefined();
  expect(await users.cache.get('k')).toBe('v');
  await users.cache.invalidateTag('y');
  expect(await users.cache.get('k')).toBeUndefined();
  // What is written afterwards is of the time after.
  for (const { cache } of [users, posts]) {
    await cache.set('k', 'v2', { tags: ['x', 'y'] });
    expect(await cache.get('k')).toBe('v2');
  }
});

// What has aged, across processes: who serves it, and that one of all loads it anew.
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { handlers as cacheUser } from '../../children/cache-user.ts';
import { type Child, type Children, startChildren } from '../../support/children.ts';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { newKey } from './local-cache.ts';

const { standalone: url, by } = inject('redis');
type User = Child<typeof cacheUser>;
type Options = Parameters<(typeof cacheUser)['open']>[1];

const COUNT = 3;
let fleet: Children<typeof cacheUser>;
let redis: RawConnection;
/** Whose loaders have begun, in that order. */
let begun: User[] = [];

beforeAll(async () => {
  redis = await RawConnection.open({ port: Number(new URL(url).port) });
  fleet = await startChildren<typeof cacheUser>('cache-user.ts', { count: COUNT });
  for (const child of fleet.all) child.onEvent('load', () => begun.push(child));
});
beforeEach(() => {
  begun = [];
});
afterAll(async () => {
  redis.close();
  await fleet.stop();
});

/** A key whose value `old` all know; nothing that the tests do not do makes it stale. */
async function known(options: Options, server = url): Promise<string> {
  const defaults = { ttl: '1h', timeout: { redis: '5s' } } as const;
  await fleet.requestAll('open', server, { ...defaults, ...options });
  const key = newKey();
  // Not at once, which would have been a load of no time.
  const first = fleet.all[0]?.request('get', key);
  await eventually(() => begun.length === 1);
  await fleet.all[0]?.request('answer', 'old');
  expect(await first).toBe('old');
  expect(await fleet.requestAll('getNow', key, 'not asked')).toEqual(Array(COUNT).fill('old'));
  begun = [];
  return key;
}

/** As if it had been written so long ago. */
async function age(key: string, byMs: number): Promise<void> {
  const leftMs = Number(await redis.send('PTTL', key));
  await redis.send('PEXPIRE', key, String(leftMs - byMs));
  for (const child of fleet.all)
    await eventually(async () => !((await child.request('peek', key)) as { hit: boolean }).hit);
}

const crowds = async (key: string): Promise<unknown[]> => {
  const all = fleet.requestAll('crowd', key, 20);
  await fleet.release();
  return (await all).flat();
};

const everybodyReads = (key: string, value: unknown): Promise<unknown> =>
  eventually(async () =>
    (await fleet.requestAll('getNow', key, 'not asked')).every((each) => each === value),
  );

async function refreshes(): Promise<{ grace: number; early: number; hot: number; loads: number }> {
  const sum = { grace: 0, early: 0, hot: 0, loads: 0 };
  for (const stats of await fleet.requestAll('stats')) {
    for (const cause of ['grace', 'early', 'hot'] as const) sum[cause] += stats.refreshes[cause];
    sum.loads += stats.loads;
  }
  return sum;
}

test('grace: all serve the old value, and one of all loads it anew', async () => {
  const key = await known({ grace: '1h' });
  await fleet.all[0]?.request('expire', key);
  for (let round = 0; round < 3; round += 1)
    expect(new Set(await crowds(key))).toEqual(new Set(['old']));
  await eventually(() => begun.length > 0);
  expect(await begun[0]?.request('answer', 'new')).toBe(1);
  await everybodyReads(key, 'new');
  expect(begun).toHaveLength(1);
  expect((await refreshes()).loads).toBe(2);
});

test.each([
  ['earlyRefresh', { earlyRefresh: { after: 0.5, beta: Number.MAX_SAFE_INTEGER } }, 'early'],
  ['hotKeys', { hotKeys: { threshold: 5, window: '1h' } }, 'hot'],
] as const)('%s: one of all loads anew what is near its end', async (_, options, cause) => {
  const key = await known(options);
  expect(new Set(await crowds(key))).toEqual(new Set(['old']));
  expect((await refreshes())[cause]).toBe(0);
  await age(key, 3_300_000);
  for (let round = 0; round < 2; round += 1)
    expect(new Set(await crowds(key))).toEqual(new Set(['old']));
  await eventually(() => begun.length > 0);
  expect(await begun[0]?.request('answer', 'new')).toBe(1);
  await everybodyReads(key, 'new');
  expect(begun).toHaveLength(1);
  expect((await refreshes())[cause]).toBeGreaterThan(0);
});

test.each([
  ['delete', 'fresh'],
  ['set', 'written'],
] as const)(
  'a %s elsewhere during a refresh: nobody is served stale, nothing outdated is stored',
  async (how, expected) => {
    const key = await known({ grace: '1h' });
    const [refreshing, other, changing] = fleet.all as [User, User, User];
    await refreshing.request('expire', key);
    expect(await refreshing.request('get', key)).toBe('old');
    await eventually(() => begun.length === 1);
    if (how === 'delete') await changing.request('delete', key);
    else await changing.request('set', key, 'written');
    // What is sent after it is answered after its push.
    for (const child of fleet.all)
      await eventually(async () => !((await child.request('peek', key)) as { hit: boolean }).hit);
    for (const child of [other, refreshing])
      expect(await child.request('getNow', key, 'fresh')).toBe(expected);
    await refreshing.request('answer', 'outdated');
    await eventually(async () => (await refreshing.request('stats')).lostLeases === 1);
    expect(await fleet.requestAll('getNow', key, 'not asked')).toEqual(Array(COUNT).fill(expected));
    expect(await redis.send('GET', key)).toContain(`"${expected}"`);
  },
);

test('staleIfError: while the source is broken all are served the old value, and the new one afterwards', async () => {
  const key = await known({ staleIfError: '1h' });
  await fleet.all[0]?.request('expire', key);
  for (let round = 0; round < 2; round += 1)
    expect(await fleet.requestAll('getBroken', key)).toEqual(Array(COUNT).fill('old'));
  expect(await fleet.all[1]?.request('getNow', key, 'new')).toBe('new');
  await everybodyReads(key, 'new');
  // Deleted is not aged.
  await fleet.all[2]?.request('delete', key);
  for (const child of fleet.all)
    await eventually(async () => {
      await expect(child.request('getBroken', key)).rejects.toMatchObject({ code: 'NO_DATABASE' });
      return true;
    });
});

test.runIf(by === 'binary').each(['kill', 'pause'] as const)(
  'staleIfError: while Redis is away too (%s) each is served what it knew itself',
  async (how) => {
    const server = await startStandalone();
    await using _ = server;
    const key = await known({ staleIfError: '1h', timeout: { redis: '500ms' } }, server.url);
    const [deleting, knowing, knowingNothing] = fleet.all as [User, User, User];
    const gone = await knowingNothing.request('getNow', 'gone', 'old');
    expect(gone).toBe('old');
    expect(await knowing.request('getNow', 'gone', 'not asked')).toBe('old');
    await deleting.request('delete', 'gone');
    await eventually(
      async () => !((await knowing.request('peek', 'gone')) as { hit: boolean }).hit,
    );
    await server.node[how]();
    // One that hangs is found out by its silence; until then what is known is served as it is.
    for (const child of fleet.all) expect(await child.request('getBroken', key)).toBe('old');
    await expect(knowing.request('getBroken', 'gone')).rejects.toMatchObject({
      code: 'NO_DATABASE',
    });
    await expect(knowing.request('getBroken', 'never')).rejects.toMatchObject({
      code: 'NO_DATABASE',
    });
    if (how === 'pause') await server.node.resume();
    else await server.node.restart();
    await eventually(async () => (await knowing.request('getNow', 'again', 'v')) === 'v');
  },
);

test('a process killed during a refresh: all are served on, and another one follows after its lease', async () => {
  const key = await known({ grace: '1h', lease: '1s' });
  await fleet.all[0]?.request('expire', key);
  expect(new Set(await crowds(key))).toEqual(new Set(['old']));
  await eventually(() => begun.length === 1);
  const [killed] = begun as [User];
  await killed.kill();
  const others = fleet.all.filter((child) => child !== killed);
  await eventually(async () => {
    for (const child of others) expect(await child.request('get', key)).toBe('old');
    return begun.length === 2;
  });
  expect(await begun[1]?.request('answer', 'new')).toBe(1);
  for (const child of others)
    await eventually(async () => (await child.request('getNow', key, 'not asked')) === 'new');
  expect(begun).toHaveLength(2);
});

// One loader per key across all processes (I7), also when one of them dies in the middle.
import { expect, inject, test } from 'vitest';
import type { handlers as cacheUser } from '../../children/cache-user.ts';
import { type Child, startChildren } from '../../support/children.ts';
import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { newKey } from './local-cache.ts';

const { standalone: url } = inject('redis');
const port = Number(new URL(url).port);
type User = Child<typeof cacheUser>;

/** The children whose loader began, in that order, each with when the parent heard of it. */
function loads(children: readonly User[]) {
  const begun: { child: User; atMs: number }[] = [];
  for (const child of children)
    void (async () => {
      for (;;) {
        await child.event('load');
        begun.push({ child, atMs: performance.now() });
      }
    })().catch(() => {});
  return begun;
}

test('8 processes with 50 callers each ask for a cold key: one load, all get its value', async () => {
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 8 });
  await children.requestAll('open', url);
  for (let round = 0; round < 5; round++) {
    const key = newKey();
    const begun = loads(children.all);
    const crowd = children.requestAll('crowd', key, 50);
    await children.release();
    await eventually(() => begun.length > 0);
    // Everybody else waits by now, or finds the placeholder when he comes.
    await begun[0]?.child.request('answer', `value ${round}`);
    const values = (await crowd).flat();
    expect(values).toHaveLength(400);
    expect(new Set(values)).toEqual(new Set([`value ${round}`]));
    expect(begun).toHaveLength(1);
  }
  const stats = await children.requestAll('stats');
  expect(stats.reduce((sum, { loads: count }) => sum + count, 0)).toBe(5);
});

test('a process killed while it loads is followed by one other, right after its lease', async () => {
  const leaseMs = 3_000;
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 8 });
  await children.requestAll('open', url, { lease: leaseMs });
  const key = newKey();
  const begun = loads(children.all);
  const callers = children.all.map((child) => child.request('crowd', key, 50));
  for (const caller of callers) caller.catch(() => {});
  await children.release();
  await eventually(() => begun.length > 0);
  const killed = begun[0]?.child as User;
  const others = children.all.filter((child) => child !== killed);
  await eventually(
    () => Promise.all(others.map((child) => child.request('stats'))),
    (stats) => stats.every(({ waits }) => waits > 0),
    { what: 'the others to wait' },
  );
  await killed.kill();
  await using redis = await RawConnection.open({ port });
  const leftMs = Number(await redis.send('PTTL', key));
  const killedAtMs = performance.now();
  expect(leftMs).toBeGreaterThan(0);
  await eventually(() => begun.length > 1);
  const second = begun[1] as { child: User; atMs: number };
  // Not before the lease has ended, which a look at the server's own clock told; then at once.
  expect(second.atMs - killedAtMs).toBeGreaterThanOrEqual(leftMs - 50);
  expect(second.atMs - killedAtMs).toBeLessThan(leftMs + 10 * 250);
  expect((await second.child.request('woken')).at(-1)).toMatch(/^(timer|push)$/);
  await second.child.request('answer', 'second');
  const values = await Promise.all(callers.filter((_, i) => children.all[i] !== killed));
  expect(values.flat()).toHaveLength(350);
  expect(new Set(values.flat())).toEqual(new Set(['second']));
  const stats = await Promise.all(others.map((child) => child.request('stats')));
  expect(stats.reduce((sum, { loads: count }) => sum + count, 0)).toBe(1);
});

test("a loader's error is its own process's: the next process loads at once", async () => {
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 2 });
  await children.requestAll('open', url, { lease: '1h' });
  const [one, two] = children.all as [User, User];
  const key = newKey();
  const begun = loads(children.all);
  const failing = one.request('get', key);
  await eventually(() => begun.length === 1);
  const waiting = two.request('get', key);
  await eventually(async () => (await two.request('stats')).waits > 0);
  // What cannot be stored fails the load there.
  await one.request('answer', 1n);
  await expect(failing).rejects.toMatchObject({ code: 'REDCACHE_CODEC' });
  await eventually(() => begun.length === 2);
  await two.request('answer', 'good');
  expect(await waiting).toBe('good');
  expect(await two.request('woken')).toEqual(['push']);
});

test('a delete by another process during a load: the value is returned and not stored', async () => {
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 2 });
  await children.requestAll('open', url);
  const [loading, deleting] = children.all as [User, User];
  const key = newKey();
  const begun = loads(children.all);
  const old = loading.request('get', key);
  await eventually(() => begun.length === 1);
  await deleting.request('delete', key);
  // In the process of the old load as well, a new caller begins a new one while it still runs.
  const anew = loading.request('get', key);
  await eventually(() => begun.length === 2);
  expect(begun.map(({ child }) => child.index)).toEqual([loading.index, loading.index]);
  expect(await loading.request('answer', 'both')).toBe(2);
  expect([await old, await anew]).toEqual(['both', 'both']);
  expect(await loading.request('stats')).toMatchObject({ loads: 2, lostLeases: 1 });
});

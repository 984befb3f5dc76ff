// One loader per key across all processes (I7), also when one of them dies in the middle.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, inject, test } from 'vitest';
import type { handlers as cacheUser } from '../../children/cache-user.ts';
import { type Child, startChildren } from '../../support/children.ts';
import { startStandalone } from '../../support/deployments.ts';
import { eventually, pause } from '../../support/eventually.ts';
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

test('a loader three times slower than its lease runs once, and its value is stored', async () => {
  const leaseMs = 400;
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 2 });
  await children.requestAll('open', url, { lease: leaseMs, timeout: { redis: '5s' } });
  const key = newKey();
  const begun = loads(children.all);
  const callers = children.all.map((child) => child.request('crowd', key, 10));
  await children.release();
  await eventually(() => begun.length > 0);
  await pause(3 * leaseMs);
  expect(await begun[0]?.child.request('answer', 'slow')).toBe(1);
  expect(new Set((await Promise.all(callers)).flat())).toEqual(new Set(['slow']));
  expect(begun).toHaveLength(1);
  const stats = await children.requestAll('stats');
  expect(stats.map(({ lostLeases }) => lostLeases)).toEqual([0, 0]);
  await using redis = await RawConnection.open({ port });
  expect(await redis.send('GET', key)).toMatch(/^rc1 v .*\n"slow"$/);
});

test('a loader that never settles ends with timeout.hard, and the next process loads at once', async () => {
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 2 });
  const [one, two] = children.all as [User, User];
  await one.request('open', url, { lease: '1h', timeout: { hard: '1s' } });
  await two.request('open', url, { lease: '1h', timeout: { hard: '1h' } });
  const key = newKey();
  const begun = loads(children.all);
  const hanging = one.request('get', key);
  await eventually(() => begun.length === 1);
  const waiting = two.request('get', key);
  await eventually(async () => (await two.request('stats')).waits > 0);
  await expect(hanging).rejects.toMatchObject({ code: 'REDCACHE_LOAD_TIMEOUT' });
  await eventually(() => begun.length === 2);
  await two.request('answer', 'second');
  expect(await waiting).toBe('second');
  // What it answers in the end is nobody's.
  await one.request('answer', 'late');
  expect(await one.request('get', key)).toBe('second');
  expect(begun.map(({ child }) => child.index)).toEqual([one.index, two.index]);
});

test.each([
  ['FLUSHALL', 'loads'],
  ['DEL', 'loads'],
  ['set', 'is told'],
] as const)(
  '%s while a process loads, and another waits: that one %s; what was loaded is not stored',
  async (what, then) => {
    await using server = await startStandalone();
    await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 3 });
    await children.requestAll('open', server.url, { lease: '1h' });
    const [loading, waiting, other] = children.all as [User, User, User];
    const begun = loads(children.all);
    const old = loading.request('get', 'k');
    await eventually(() => begun.length === 1);
    const waited = waiting.request('get', 'k');
    await eventually(async () => (await waiting.request('stats')).waits === 1);
    if (what === 'set') await other.request('set', 'k', 'current');
    else await server.node.ask(what, ...(what === 'DEL' ? ['k'] : []));
    if (then === 'loads') {
      await eventually(() => begun.length === 2);
      expect(begun[1]?.child).toBe(waiting);
      await waiting.request('answer', 'current');
    }
    expect(await waited).toBe('current');
    await loading.request('answer', 'outdated');
    expect(await old).toBe('outdated');
    for (const child of children.all)
      expect(await child.request('getNow', 'k', 'not asked')).toBe('current');
    expect((await loading.request('stats')).lostLeases).toBe(1);
    expect(begun).toHaveLength(then === 'loads' ? 2 : 1);
  },
);

test('20 000 volatile keys, of whose end nobody is told in time: waiters go on 250 ms after the lease of a killed process', async () => {
  await using server = await startStandalone();
  await server.node.ask(
    'EVAL',
    "for i = 1, 20000 do redis.call('SET', 'volatile:' .. i, 'v', 'PX', 3600000 + i) end",
    '0',
  );
  await using children = await startChildren<typeof cacheUser>('cache-user.ts', { count: 4 });
  const [killed, ...others] = children.all as [User, ...User[]];
  const hourMs = 3_600_000;
  const patient = { timeout: { redis: '5s' } } as const;
  await killed.request('open', server.url, { ...patient, lease: '3s' });
  for (const child of others) await child.request('open', server.url, { ...patient, lease: '1h' });
  const begun = loads(children.all);
  killed.request('get', 'k').catch(() => {});
  await eventually(() => begun.length === 1);
  const callers = others.map((child) => child.request('get', 'k'));
  await eventually(
    () => Promise.all(others.map((child) => child.request('stats'))),
    (stats) => stats.every(({ waits }) => waits > 0),
  );
  await killed.kill();
  // By the server's own clock: when the lease ends, and when somebody else had his granted.
  const endsAtMs = Number(await server.node.ask('PEXPIRETIME', 'k'));
  expect(endsAtMs).toBeGreaterThan(0);
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  stalls.enable();
  await eventually(() => begun.length === 2);
  stalls.disable();
  const grantedAtMs = Number(await server.node.ask('PEXPIRETIME', 'k')) - hourMs;
  expect(grantedAtMs).toBeGreaterThanOrEqual(endsAtMs);
  // More only if this machine had something else to do.
  expect(grantedAtMs - endsAtMs).toBeLessThanOrEqual(250 + stalls.max / 1e6);
  await begun[1]?.child.request('answer', 'second');
  expect(await Promise.all(callers)).toEqual(['second', 'second', 'second']);
  expect(begun).toHaveLength(2);
});

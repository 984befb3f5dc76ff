import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { assertStoreValid, ManualClock, settled } from '@redcache/core/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { placeholder } from '../src/envelope.ts';
import type { CacheOptions, LoadContext } from '../src/index.ts';
import { fill } from '../src/scripts/fill.ts';
import { type ModelProcess, quiet, startProcess } from './model/model-process.ts';
import { ModelRedis } from './model/model-redis.ts';
import { loader, watch } from './support/callers.ts';
import { storedJson } from './support/stored.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

let clock: ManualClock;
let redis: ModelRedis;
let processes: ModelProcess[];
let woken: unknown[];
const onWoken = (message: unknown): void => void woken.push((message as { cause: string }).cause);

beforeEach(() => {
  clock = new ManualClock();
  redis = new ModelRedis(clock);
  processes = [];
  woken = [];
  subscribe('redcache:cache:woken', onWoken);
});

/** Whatever a test did: closed, nothing is left. */
afterEach(async () => {
  unsubscribe('redcache:cache:woken', onWoken);
  for (const { engine } of processes) assertStoreValid(engine);
  const closing = Promise.all(processes.map(({ cache }) => cache.close()));
  await idle();
  clock.advance(1_000);
  await closing;
  for (const each of processes) each.assertNothingLeft();
  expect(clock.timers).toBe(0);
  expect(unhandled.splice(0)).toEqual([]);
});

const start = async (options: Partial<CacheOptions> = {}): Promise<ModelProcess> => {
  const started = await startProcess(redis, options);
  processes.push(started);
  return started;
};
const idle = (): Promise<void> => quiet(...processes.map(({ connection }) => connection));
const pass = async (ms: number): Promise<void> => {
  clock.advance(ms);
  await idle();
};

const names = (log: readonly string[], from = 0): string[] =>
  log.slice(from).map((line) => line.split(' ')[0] as string);

describe('commands', () => {
  test('a cold key costs a look, an acquire and a fill; the next read nothing', async () => {
    const { cache, connection } = await start();
    await Promise.all([cache.get('warm-up', () => 1), idle()]);
    const from = connection.log.length;
    await Promise.all([cache.get('k', () => 'v'), idle()]);
    expect(names(connection.log, from)).toEqual(['GET', 'PTTL', 'EVALSHA', 'EVALSHA']);
    expect(await cache.get('k', () => 'other')).toBe('v');
    expect(connection.log.length - from).toBe(4);
    expect(cache.stats()).toMatchObject({ localHits: 1, loads: 2 });
  });

  test('fifty callers cost what one does, and the loader runs once', async () => {
    const { cache, connection } = await start();
    await Promise.all([cache.get('warm-up', () => 1), idle()]);
    const from = connection.log.length;
    const { load, runs } = loader();
    const callers = Array.from({ length: 50 }, () => cache.get('k', load));
    await idle();
    const late = cache.get('k', load);
    await idle();
    expect(runs).toHaveLength(1);
    runs[0]?.answer('v');
    await idle();
    expect(new Set(await Promise.all([...callers, late]))).toEqual(new Set(['v']));
    expect(connection.log.length - from).toBe(4);
    expect(cache.stats().coalesced).toBe(50);
  });

  test('without a loader a key is looked at once and loaded by nobody', async () => {
    const { cache, connection } = await start();
    await Promise.all([cache.get('warm-up', () => 1), idle()]);
    const from = connection.log.length;
    const [value] = await Promise.all([cache.get('k'), cache.get('k'), idle()]);
    expect(value).toBeUndefined();
    expect(names(connection.log, from)).toEqual(['GET', 'PTTL']);
  });
});

describe('while another process loads', () => {
  test('one waits, is woken by the push of the fill, and reads that', async () => {
    const [one, two] = [await start(), await start()];
    const { load, runs } = loader();
    const first = one.cache.get('k', load);
    await idle();
    const second = watch(two.cache.get('k', load));
    await idle();
    expect(second.done).toBe(false);
    runs[0]?.answer('v');
    await idle();
    expect(await first).toBe('v');
    expect(second.value).toBe('v');
    expect(runs).toHaveLength(1);
    expect(woken).toEqual(['push']);
  });

  test('that dies, one goes on right after the lease it saw, and not before', async () => {
    const [one, two] = [await start({ lease: 1_000 }), await start({ lease: 1_000 })];
    const { load, runs } = loader();
    watch(one.cache.get('k', load));
    await idle();
    one.connection.become('down');
    const second = watch(two.cache.get('k', load));
    await idle();
    const leftMs = redis.peek('k')?.leftMs ?? 0;
    await pass(leftMs);
    expect(runs).toHaveLength(1);
    await pass(10);
    expect(runs).toHaveLength(2);
    expect(woken).toEqual(['timer']);
    runs[1]?.answer('second');
    await idle();
    expect(second.value).toBe('second');
  });

  test('a loader slower than its lease keeps it and is stored; nobody else loads', async () => {
    const [one, two] = [await start({ lease: 1_000 }), await start({ lease: 1_000 })];
    const { load, runs } = loader();
    const first = one.cache.get('k', load);
    await idle();
    const second = watch(two.cache.get('k', load));
    for (let i = 0; i < 50; i++) await pass(100);
    expect(runs).toHaveLength(1);
    runs[0]?.answer('slow');
    await idle();
    expect(await first).toBe('slow');
    expect(second.value).toBe('slow');
    expect(redis.peek('k')?.text).toContain('"slow"');
    expect(new Set(woken)).toEqual(new Set(['push']));
  });

  test('a load that began after a long wait keeps its lease for as long as it may run', async () => {
    const options = { lease: 1_000, timeout: { hard: 4_000 } } as const;
    const [one, two] = [await start(options), await start(options)];
    const { load, runs } = loader();
    const failing = watch(one.cache.get('k', load));
    await idle();
    const second = two.cache.get('k', load);
    for (let i = 0; i < 30; i++) await pass(100);
    runs[0]?.fail(new Error('no database'));
    await idle();
    expect(failing.error).toMatchObject({ message: 'no database' });
    expect(runs).toHaveLength(2);
    for (let i = 0; i < 35; i++) await pass(100);
    runs[1]?.answer('late');
    await idle();
    expect(await second).toBe('late');
    expect(redis.peek('k')?.text).toContain('"late"');
  });

  test('longer than the hard timeout, one loads by himself and stores nothing', async () => {
    const { cache, engine } = await start({ timeout: { hard: 2_000 } });
    redis.by('SET', 'k', placeholder('theirs'), 'PX', '60000');
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    await idle();
    await pass(1_999);
    expect(runs).toHaveLength(0);
    await pass(1);
    expect(runs).toHaveLength(1);
    runs[0]?.answer('mine');
    await idle();
    expect(caller.value).toBe('mine');
    expect(redis.peek('k')?.text).toBe(placeholder('theirs'));
    expect(engine.lookup('k')).toBeUndefined();
  });

  test('an invalidation during such a load lets the next caller begin anew (I1)', async () => {
    const { cache } = await start({ timeout: { hard: 2_000 } });
    redis.by('SET', 'k', placeholder('theirs'), 'PX', '60000');
    const { load, runs } = loader();
    const old = watch(cache.get('k', load));
    await idle();
    await pass(2_000);
    expect(runs).toHaveLength(1);
    redis.by('DEL', 'k');
    await idle();
    const anew = watch(cache.get('k', load));
    await idle();
    expect(runs).toHaveLength(2);
    runs[1]?.answer('new');
    await idle();
    expect(anew.value).toBe('new');
    runs[0]?.answer('old');
    await idle();
    expect(old.value).toBe('old');
    expect(cache.peek('k')).toEqual({ hit: true, value: 'new' });
  });

  test('a look without loader does not wait, also when the load ends with its answer', async () => {
    const { cache, connection } = await start({ timeout: { redis: 1_000, hard: 100 } });
    redis.by('SET', 'k', placeholder('theirs'), 'PX', '60000');
    const look = watch(cache.get('k'));
    connection.execute();
    redis.by('DEL', 'k');
    clock.advance(150);
    connection.deliver();
    await idle();
    expect(look).toEqual({ done: true, value: undefined });
  });
});

test('a load whose lease was lost as it began is not joined after the next change (I1)', async () => {
  const { cache, connection } = await start();
  await Promise.all([cache.get('warm-up', () => 1), idle()]);
  const { load, runs } = loader();
  const old = watch(cache.get('k', load));
  connection.execute();
  connection.deliver();
  await settled();
  // Acquired, and gone: the reply and both pushes come in one piece.
  connection.execute();
  redis.by('DEL', 'k');
  connection.deliver();
  await idle();
  expect(runs).toHaveLength(1);
  expect(runs[0]?.context.signal.aborted).toBe(true);
  redis.by('SET', 'k', storedJson('"new"'), 'PX', '60000');
  await idle();
  const anew = watch(cache.get('k', load));
  await idle();
  expect(anew.value).toBe('new');
  runs[0]?.answer('old');
  await idle();
  expect(old.value).toBe('old');
});

test('a placeholder without an end belongs to nobody, and is taken over at once', async () => {
  const { cache } = await start();
  redis.by('SET', 'k', placeholder('nobody'));
  const [value] = await Promise.all([cache.get('k', () => 'v'), idle()]);
  expect(value).toBe('v');
  expect(redis.peek('k')?.text).toMatch(/^rc1 v \S+ json \d+ 0 0 e\d+\n"v"$/);
});

describe('a delete while a loader runs', () => {
  test.each([
    ['in this process', 0],
    ['in another one', 1],
  ])('%s: its value reaches its caller and nobody else', async (_, by) => {
    const both = [await start(), await start()] as const;
    const [{ cache, engine }] = both;
    const { load, runs } = loader();
    const old = watch(cache.get('k', load));
    await idle();
    await Promise.all([both[by]?.cache.delete('k'), idle()]);
    const anew = watch(cache.get('k', load));
    await idle();
    expect(runs).toHaveLength(2);
    expect(runs[0]?.context.signal.aborted).toBe(true);
    runs[0]?.answer('old');
    await idle();
    expect(old.value).toBe('old');
    expect(anew.done).toBe(false);
    expect(engine.lookup('k')).toBeUndefined();
    expect(redis.peek('k')?.text).toMatch(/^rc1 l /);
    runs[1]?.answer('new');
    await idle();
    expect(anew.value).toBe('new');
    expect(redis.peek('k')?.text).toContain('"new"');
    expect(cache.stats().lostLeases).toBe(1);
  });

  test('a loader that gives up because it was told so is run anew for its callers', async () => {
    const { cache } = await start();
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    await idle();
    await Promise.all([cache.delete('k'), idle()]);
    // As fetch does, when it was given the signal.
    runs[0]?.fail(runs[0].context.signal.reason);
    await idle();
    expect(runs).toHaveLength(2);
    runs[1]?.answer('new');
    await idle();
    expect(caller).toEqual({ done: true, value: 'new' });
    expect(cache.peek('k')).toEqual({ hit: false });
  });

  test('a loader that has given up is not told again, however often the key changes', async () => {
    const { cache } = await start();
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    await idle();
    redis.by('DEL', 'k');
    await idle();
    runs[0]?.fail(new Error('given up', { cause: runs[0].context.signal.reason }));
    await idle();
    await Promise.all([cache.delete('k'), idle()]);
    const anew = watch(cache.get('k', load));
    await idle();
    expect(runs).toHaveLength(3);
    expect(runs[1]?.context.signal.aborted).toBe(false);
    runs[1]?.answer('second');
    await idle();
    expect(caller.value).toBe('second');
    expect(anew.done).toBe(false);
    runs[2]?.answer('third');
    await idle();
    expect(anew.value).toBe('third');
    expect(cache.peek('k')).toEqual({ hit: true, value: 'third' });
  });

  test('an error of its own reaches its callers as it is, also after the lease was lost', async () => {
    const { cache } = await start();
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    await idle();
    await Promise.all([cache.delete('k'), idle()]);
    const error = new Error('no database');
    runs[0]?.fail(error);
    await idle();
    expect(caller.error).toBe(error);
    expect(runs).toHaveLength(1);
  });

  test('a set during a load wins, and is what is read afterwards', async () => {
    const { cache } = await start();
    const { load, runs } = loader();
    const old = watch(cache.get('k', load));
    await idle();
    await Promise.all([cache.set('k', 'set'), idle()]);
    runs[0]?.answer('loaded');
    await idle();
    expect(old.value).toBe('loaded');
    const [value] = await Promise.all([cache.get('k', load), idle()]);
    expect(value).toBe('set');
    expect(runs).toHaveLength(1);
  });
});

test('a value that Redis refuses frees the key at once, and reaches its caller', async () => {
  const { cache, connection } = await start();
  const send = connection.send.bind(connection);
  connection.send = (args) =>
    args.includes(fill.sha1) || args.includes(fill.lua)
      ? Promise.reject(new Error("OOM command not allowed when used memory > 'maxmemory'."))
      : send(args);
  const [value] = await Promise.all([cache.get('k', () => 'v'), idle()]);
  expect(value).toBe('v');
  await idle();
  expect(redis.peek('k')).toBeUndefined();
  expect(cache.peek('k')).toEqual({ hit: false });
});

test('what was written a moment before is read, also by who did not wait for it', async () => {
  const { cache } = await start();
  await Promise.all([cache.set('k', 'old'), idle()]);
  const writing = cache.set('k', 'new');
  const reading = cache.get('k');
  await idle();
  await writing;
  expect(await reading).toBe('new');
});

test('a load that nobody waits for any more when it is granted counts as none', async () => {
  const { cache, connection } = await start();
  const { load, runs } = loader();
  const abort = new AbortController();
  const caller = watch(cache.get('k', load, { signal: abort.signal }));
  connection.execute(2);
  connection.deliver();
  await settled();
  abort.abort('bored');
  await idle();
  expect(caller.error).toBe('bored');
  expect(runs).toHaveLength(0);
  expect(redis.peek('k')).toBeUndefined();
  expect(cache.stats()).toMatchObject({ loads: 0, loadFailures: 0 });
});

describe('Redis that does not answer', () => {
  test('a key is loaded after the budget, once for all who ask, and kept nowhere', async () => {
    const { cache, connection, engine } = await start({ timeout: { redis: 250 } });
    const { load, runs } = loader();
    const callers = Array.from({ length: 50 }, () => watch(cache.get('k', load)));
    clock.advance(250);
    await settled();
    expect(runs).toHaveLength(1);
    const late = watch(cache.get('k', load));
    runs[0]?.answer('v');
    await settled();
    for (const caller of [...callers, late]) expect(caller.value).toBe('v');
    expect(engine.lookup('k')).toBeUndefined();
    connection.become('down');
    expect(redis.peek('k')).toBeUndefined();
  });

  test('after the loader ran: its callers have the value within the budget, and no lease is lost', async () => {
    const { cache, connection } = await start({ timeout: { redis: 250 } });
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    await idle();
    runs[0]?.answer('v');
    await settled();
    clock.advance(250);
    await settled();
    expect(caller.value).toBe('v');
    expect(cache.stats()).toMatchObject({ unavailable: 1, lostLeases: 0 });
    connection.become('down');
  });

  test('between look and acquire: what it grants late is given back', async () => {
    const { cache, connection } = await start({ timeout: { redis: 250 } });
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    connection.execute(2);
    connection.deliver();
    await settled();
    clock.advance(250);
    await settled();
    expect(runs).toHaveLength(1);
    await idle();
    expect(redis.peek('k')).toBeUndefined();
    runs[0]?.answer('v');
    await idle();
    expect(caller.value).toBe('v');
    expect(redis.peek('k')).toBeUndefined();
  });

  test("with onUnavailable 'throw' nobody loads", async () => {
    const { cache, connection } = await start({ onUnavailable: 'throw' });
    connection.become('down');
    clock.advance(1_000);
    const { load, runs } = loader();
    await expect(cache.get('k', load)).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    await expect(cache.get('k')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
    expect(runs).toHaveLength(0);
    expect(await cache.get('k', () => 'v', { onUnavailable: 'load' })).toBe('v');
  });
});

test('two processes that begin a namespace at once make nothing stale of each other', async () => {
  const [one, other] = [await start(), await start()];
  // It has found that nobody has begun it, and will do that itself.
  void other.cache.get('b', () => 'b');
  other.connection.execute();
  other.connection.deliver();
  clock.advance(1);
  const loading = watch(one.cache.get('a', () => 'a'));
  await quiet(one.connection);
  expect(loading.value).toBe('a');
  clock.advance(1);
  await idle();
  for (const { cache } of [one, other]) {
    const read = watch(cache.get('a'));
    await idle();
    expect(read.value).toBe('a');
  }
});

describe('an invalidation of a group while a loader runs', () => {
  test.each([
    ['clear here', 0, (cache: ModelProcess['cache']) => cache.clear()],
    ['invalidateTag here', 0, (cache: ModelProcess['cache']) => cache.invalidateTag('x')],
    ['clear elsewhere', 1, (cache: ModelProcess['cache']) => cache.clear()],
    ['invalidateTag elsewhere', 1, (cache: ModelProcess['cache']) => cache.invalidateTag('x')],
  ])('%s: whoever asks afterwards does not join it (I1)', async (_, where, invalidate) => {
    const { cache } = await start();
    await start();
    const { load, runs } = loader();
    const options = { tags: ['x'] };
    const before = watch(cache.get('k', load, options));
    await idle();
    const invalidated = watch(invalidate((processes[where] as ModelProcess).cache));
    await idle();
    expect(invalidated.done).toBe(true);
    const after = watch(cache.get('k', load, options));
    await idle();
    runs[0]?.answer('old');
    await idle();
    expect(before.value).toBe('old');
    expect(after.done).toBe(false);
    expect(runs).toHaveLength(2);
    runs[1]?.answer('new');
    await idle();
    expect(after.value).toBe('new');
    expect(cache.stats().coalesced).toBe(0);
  });
});

test('a look that a push has overtaken is not joined any more (I1)', async () => {
  const { cache, connection } = await start();
  await Promise.all([cache.get('warm-up', () => 1), idle()]);
  redis.by('SET', 'k', storedJson('"old"'), 'PX', '60000');
  const before = watch(cache.get('k', () => 'new'));
  connection.execute(1);
  redis.by('DEL', 'k');
  connection.execute(1);
  // The value and the push that it is over; what it has left to live is still on the way.
  connection.deliver(2);
  await settled();
  const after = watch(cache.get('k', () => 'new'));
  await idle();
  expect(before.value).toBe('old');
  expect(after.value).toBe('new');
  expect(cache.peek('k')).toEqual({ hit: true, value: 'new' });
});

test('a delete that has resolved is seen here while its own push is still on the way (I6)', async () => {
  const { cache, connection } = await start();
  await Promise.all([cache.get('k', () => 'old'), idle()]);
  const deleted = watch(cache.delete('k'));
  await settled();
  connection.execute();
  connection.deliver(1);
  await settled();
  expect(deleted.done).toBe(true);
  expect(connection.toDeliver).toBe(1);
  expect(cache.peek('k')).toEqual({ hit: false });
  const [value] = await Promise.all([cache.get('k', () => 'new'), idle()]);
  expect(value).toBe('new');
});

test('a key whose delete went unanswered is not read from Redis before it has been deleted', async () => {
  const { cache, connection } = await start({ timeout: { redis: 100 } });
  await Promise.all([cache.set('k', 'old'), idle()]);
  const deleted = watch(cache.delete('k'));
  await settled();
  clock.advance(100);
  await settled();
  expect(deleted.error).toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
  // What has not left yet when the connection is lost goes first on the next one.
  const one = watch(cache.get('k', () => 'new'));
  const many = watch(cache.getMany(['k', 'other'], () => ({ k: 'new' })));
  connection.become('down', 5);
  await settled();
  connection.become('up');
  await idle();
  expect(one.value).toBe('new');
  expect(many.value).toEqual(new Map([['k', 'new']]));
  expect(redis.peek('k')).toBeUndefined();
  expect(cache.stats().uncertainKeys).toBe(0);
  await Promise.all([cache.get('k', () => 'new'), idle()]);
  expect(cache.peek('k')).toEqual({ hit: true, value: 'new' });
});

describe('callers who leave', () => {
  test('one of two: the other gets the value', async () => {
    const { cache } = await start();
    const { load, runs } = loader();
    const abort = new AbortController();
    const leaves = watch(cache.get('k', load, { signal: abort.signal }));
    const stays = watch(cache.get('k', load));
    await idle();
    abort.abort('bored');
    await idle();
    expect(leaves.error).toBe('bored');
    expect(runs[0]?.context.signal.aborted).toBe(false);
    runs[0]?.answer('v');
    await idle();
    expect(stays.value).toBe('v');
  });

  test('all: the loader is told, and the key is free for others at once', async () => {
    const [one, two] = [await start(), await start()];
    const { load, runs } = loader();
    const abort = new AbortController();
    const leaves = watch(one.cache.get('k', load, { signal: abort.signal }));
    await idle();
    abort.abort('bored');
    await idle();
    expect(leaves.error).toBe('bored');
    expect(runs[0]?.context.signal.reason).toBe('bored');
    expect(redis.peek('k')).toBeUndefined();
    runs[0]?.fail(new Error('aborted'));
    const [value] = await Promise.all([two.cache.get('k', () => 'v'), idle()]);
    expect(value).toBe('v');
  });

  test('with a signal that is aborted already: nothing is sent', async () => {
    const { cache, connection } = await start();
    const from = connection.log.length;
    const signal = AbortSignal.abort('before');
    await expect(cache.get('k', () => 1, { signal })).rejects.toBe('before');
    expect(connection.log.length).toBe(from);
  });
});

describe('a loader that', () => {
  test('throws frees the key at once, and everybody here gets the same error', async () => {
    const [one, two] = [await start(), await start()];
    const { load, runs } = loader();
    const error = new Error('no database');
    const callers = [watch(one.cache.get('k', load)), watch(one.cache.get('k', load))];
    await idle();
    runs[0]?.fail(error);
    await idle();
    for (const caller of callers) expect(caller.error).toBe(error);
    expect(redis.peek('k')).toBeUndefined();
    const [value] = await Promise.all([two.cache.get('k', () => 'v'), idle()]);
    expect(value).toBe('v');
    expect(one.cache.stats()).toMatchObject({ loads: 1, loadFailures: 1 });
  });

  test('never settles ends at the hard timeout and frees the key', async () => {
    const { cache } = await start({ timeout: { hard: 5_000 }, lease: 1_000 });
    const { load, runs } = loader();
    const caller = watch(cache.get('k', load));
    await idle();
    for (let i = 0; i < 49; i++) await pass(100);
    expect(caller.done).toBe(false);
    await pass(100);
    expect(caller.error).toMatchObject({ code: 'REDCACHE_LOAD_TIMEOUT' });
    expect(runs[0]?.context.signal.aborted).toBe(true);
    expect(redis.peek('k')).toBeUndefined();
  });

  test('answers what cannot be stored rejects with the path and frees the key', async () => {
    const { cache } = await start();
    const caller = watch(cache.get('k', () => ({ total: 1n })));
    await idle();
    expect(caller.error).toMatchObject({ code: 'REDCACHE_CODEC', key: 'k' });
    expect((caller.error as Error).message).toContain('$.total');
    expect(redis.peek('k')).toBeUndefined();
  });

  test('skips is not stored anywhere', async () => {
    const { cache, engine } = await start();
    const [value] = await Promise.all([
      cache.get('k', (_, context) => {
        context.skip();
        return 'v';
      }),
      idle(),
    ]);
    expect(value).toBe('v');
    expect(redis.peek('k')).toBeUndefined();
    expect(engine.lookup('k')).toBeUndefined();
  });

  test('sets a TTL is stored for that long, here and in Redis', async () => {
    const { cache, engine } = await start({ ttl: '1h', localTtl: '1h' });
    const load = (_: string, context: LoadContext): string => {
      context.ttl('2s');
      return 'v';
    };
    await Promise.all([cache.get('k', load), idle()]);
    expect(redis.peek('k')?.leftMs).toBe(2_000);
    clock.advance(1_999);
    expect(engine.lookup('k')).toBeDefined();
    clock.advance(1);
    expect(engine.lookup('k')).toBeUndefined();
  });

  test('is run in the context of the caller who began it', async () => {
    const { cache } = await start();
    const context = new AsyncLocalStorage<string>();
    const load = (): string | undefined => context.getStore();
    const [value] = await Promise.all([context.run('mine', () => cache.get('k', load)), idle()]);
    expect(value).toBe('mine');
  });

  test('had to wait for another process is still run in its own context', async () => {
    const { cache } = await start();
    redis.by('SET', 'k', placeholder('theirs'), 'PX', '60000');
    const context = new AsyncLocalStorage<string>();
    const load = (): string | undefined => context.getStore();
    const caller = watch(context.run('mine', () => cache.get('k', load)));
    await idle();
    context.run('not mine', () => redis.by('DEL', 'k'));
    await idle();
    expect(caller.value).toBe('mine');
  });
});

describe('close', () => {
  test('ends loads, waits and looks with ClosedError, aborts loaders, frees leases', async () => {
    const started = await start();
    const { cache, connection } = started;
    const { load, runs } = loader();
    redis.by('SET', 'waited', placeholder('theirs'), 'PX', '60000');
    const callers = [watch(cache.get('loaded', load)), watch(cache.get('waited', load))];
    await idle();
    callers.push(watch(cache.get('looked', load)), watch(cache.getMany(['a', 'b'])) as never);
    const closing = cache.close();
    await idle();
    await closing;
    for (const caller of callers) expect(caller.error).toMatchObject({ code: 'REDCACHE_CLOSED' });
    expect(runs).toHaveLength(1);
    expect(runs[0]?.context.signal.aborted).toBe(true);
    expect(redis.peek('loaded')).toBeUndefined();
    expect(redis.peek('waited')?.text).toBe(placeholder('theirs'));
    expect(connection.state).toBe('up');
    expect(clock.timers).toBe(0);
    started.assertNothingLeft();
  });

  test('is done within the budget when Redis does not answer', async () => {
    const { cache } = await start({ timeout: { redis: 250 } });
    const caller = watch(cache.get('k', () => 1));
    const closed = watch(cache.close());
    await settled();
    expect(caller.error).toMatchObject({ code: 'REDCACHE_CLOSED' });
    clock.advance(250);
    await settled();
    expect(closed.done).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('with a delete under way leaves no key out of use', async () => {
    const { cache, engine } = await start({ timeout: { redis: 250 } });
    const deleted = watch(cache.delete('k'));
    const closed = watch(cache.close());
    await settled();
    clock.advance(250);
    await settled();
    expect(closed.done).toBe(true);
    expect(deleted.error).toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
    expect(engine.internals.guards.fencedKeys).toBe(0);
  });

  test('a loader that asks the cache when it is told to stop gets ClosedError too', async () => {
    const { cache } = await start();
    const asked: { error?: unknown }[] = [];
    watch(
      cache.get('k', (_, { signal }) => {
        signal.addEventListener('abort', () => asked.push(watch(cache.get('other', () => 1))));
        return new Promise(() => {});
      }),
    );
    await idle();
    const closed = watch(cache.close());
    await idle();
    expect(asked).toMatchObject([{ error: { code: 'REDCACHE_CLOSED' } }]);
    expect(closed.done).toBe(true);
  });

  test('is idempotent, and whatever is called afterwards rejects with ClosedError', async () => {
    const { cache } = await start();
    expect(cache.close()).toBe(cache.close());
    await cache.close();
    const closed = { code: 'REDCACHE_CLOSED' };
    await expect(cache.get('k')).rejects.toMatchObject(closed);
    await expect(cache.getMany(['k'])).rejects.toMatchObject(closed);
    await expect(cache.set('k', 1)).rejects.toMatchObject(closed);
    await expect(cache.delete('k')).rejects.toMatchObject(closed);
    await expect(cache.deleteMany(['k'])).rejects.toMatchObject(closed);
    expect(() => cache.peek('k')).toThrow(expect.objectContaining(closed));
  });
});

describe('bad input is refused before anything is sent or loaded', () => {
  const config = { code: 'REDCACHE_CONFIG' };

  test.each(['', 7, null, undefined])('a key that is %o', async (key) => {
    const { cache, connection } = await start({ namespace: 'ns' });
    const from = connection.log.length;
    const bad = key as string;
    await expect(cache.get(bad, () => 1)).rejects.toMatchObject(config);
    await expect(cache.getMany(['good', bad])).rejects.toMatchObject(config);
    await expect(cache.set(bad, 1)).rejects.toMatchObject(config);
    await expect(cache.delete(bad)).rejects.toMatchObject(config);
    await expect(cache.deleteMany(['good', bad])).rejects.toMatchObject(config);
    expect(() => cache.peek(bad)).toThrow(expect.objectContaining(config));
    expect(connection.log.length).toBe(from);
  });

  test('keys that are no array, loaders that are no function, unknown options', async () => {
    const { cache, connection } = await start();
    const from = connection.log.length;
    await expect(cache.getMany('k' as never)).rejects.toMatchObject(config);
    await expect(cache.get('k', 7 as never)).rejects.toMatchObject(config);
    await expect(cache.getMany(['k'], {} as never)).rejects.toMatchObject(config);
    await expect(cache.get('k', () => 1, { tll: 1 } as never)).rejects.toMatchObject(config);
    await expect(cache.set('k', 1, { ttl: 0 })).rejects.toMatchObject(config);
    await expect(cache.set('k', 1n)).rejects.toMatchObject({ code: 'REDCACHE_CODEC' });
    expect(connection.log.length).toBe(from);
  });

  test('very many keys are no bad input', async () => {
    const { cache } = await start();
    const keys = Array.from({ length: 200_000 }, () => 'k');
    const [found] = await Promise.all([cache.getMany(keys, () => ({ k: 1 })), idle()]);
    expect(found).toEqual(new Map([['k', 1]]));
    await Promise.all([cache.deleteMany(keys), idle()]);
    expect(redis.peek('k')).toBeUndefined();
  });
});

test('a refresh that failed is tried again after a pause, however many reads there are', async () => {
  const { cache } = await start({ ttl: '1m', grace: '1h' });
  await Promise.all([cache.get('k', () => 'old'), idle()]);
  await pass(60_001);
  const { load, runs } = loader();
  const read = async (): Promise<void> => {
    const value = watch(cache.get('k', load));
    await idle();
    expect(value.value).toBe('old');
  };
  for (let pause = 1; pause <= 3; pause += 1) {
    for (let i = 0; i < 5; i += 1) await read();
    expect(runs).toHaveLength(pause);
    runs.at(-1)?.fail(new Error('no database'));
    await idle();
    for (let i = 0; i < 5; i += 1) await read();
    expect(runs).toHaveLength(pause);
    await pass(1_000);
  }
  await read();
  runs.at(-1)?.answer('new');
  await idle();
  expect(await cache.get('k')).toBe('new');
  expect(cache.stats()).toMatchObject({ loads: 5, loadFailures: 3, refreshes: { grace: 4 } });
});

test('what failed behind a value is tried again at once when somebody has written the key', async () => {
  const { cache } = await start({ ttl: '1m', grace: '1h' });
  await Promise.all([cache.get('k', () => 'old'), idle()]);
  await pass(60_001);
  const { load, runs } = loader();
  await Promise.all([cache.get('k', load), idle()]);
  runs[0]?.fail(new Error('no database'));
  await idle();
  await Promise.all([cache.set('k', 'set', { ttl: 500 }), idle()]);
  await pass(501);
  await Promise.all([cache.get('k', load), idle()]);
  expect(runs).toHaveLength(2);
  runs[1]?.answer('new');
  await idle();
});

import { ManualClock } from '@redcache/core/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepEpoch } from '../../src/scripts/keep-epoch.ts';
import { type ModelProcess, quiet, startProcess } from '../model/model-process.ts';
import { ModelRedis } from '../model/model-redis.ts';

let redis: ModelRedis;
let one: ModelProcess;
let two: ModelProcess;

beforeEach(async () => {
  redis = new ModelRedis(new ManualClock());
  [one, two] = [await startProcess(redis), await startProcess(redis)];
});

afterEach(async () => {
  await idle(Promise.all([one.cache.close(), two.cache.close()]));
  for (const each of [one, two]) each.assertNothingLeft();
  expect(redis.clock.timers).toBe(0);
});

/** What a call comes to once all has been done. */
async function idle<T>(call: Promise<T>): Promise<T> {
  call.catch(() => {});
  await quiet(one.connection, two.connection);
  return call;
}

/** How often a script was sent, with these first words of its keys and arguments. */
function sent({ connection }: ModelProcess, { sha1 }: typeof keepEpoch): string[][] {
  return connection.log
    .filter((line) => line.startsWith(`EVALSHA ${sha1}`))
    .map((line) => line.split(' ').slice(-4));
}

const EPOCHS = ['redcache:epoch', 'redcache:cleared'];
const epochs = (): string[] => redis.keys().filter((key) => EPOCHS.includes(key));

test('who only reads writes nothing, whatever there is', async () => {
  redis.by('SET', 'old', 'rc1 v id json 60000 0 0 e5\n"of a namespace that was forgotten"');
  const before = redis.keys();
  expect(await idle(one.cache.get('k'))).toBeUndefined();
  expect(await idle(one.cache.get('old'))).toBeUndefined();
  expect(await idle(one.cache.getMany(['k', 'old']))).toEqual(new Map());
  expect(redis.keys()).toEqual(before);
  expect(one.connection.log.filter((line) => line.startsWith('EVAL'))).toEqual([]);
});

test('the first load begins the namespace, once for all keys and processes', async () => {
  const load = async (keys: string[]): Promise<Map<string, string>> =>
    new Map(keys.map((key) => [key, key]));
  const mine = one.cache.getMany(['a', 'b', 'c'], load);
  const theirs = two.cache.getMany(['d', 'e'], load);
  await idle(Promise.all([mine, theirs]));
  expect(epochs().sort()).toEqual([...EPOCHS].sort());
  const read = one.cache.getMany(['a', 'b', 'c', 'd', 'e'], load);
  expect((await idle(read)).size).toBe(5);
  // None is outdated by what the other process has begun.
  expect(one.cache.stats().loads + two.cache.stats().loads).toBe(5);
  const [from, next] = [one.connection.log.length, await idle(one.cache.get('f', () => 'f'))];
  expect(next).toBe('f');
  expect(one.connection.log.slice(from)).toHaveLength(4);
});

test('a clearing that Redis has forgotten brings nothing back', async () => {
  await idle(one.cache.set('k', 'old'));
  await idle(one.cache.clear());
  redis.by('DEL', 'redcache:cleared');
  expect(await idle(two.cache.get('k'))).toBeUndefined();
  expect(await idle(two.cache.get('k', () => 'new'))).toBe('new');
  await idle(Promise.resolve());
  expect(await idle(one.cache.get('k'))).toBe('new');
  // Nor does one that both keys have forgotten.
  await idle(one.cache.set('other', 'old'));
  await idle(one.cache.clear());
  redis.by('DEL', ...EPOCHS);
  redis.clock.advance(5);
  expect(await idle(two.cache.get('k', () => 'newer'))).toBe('newer');
  expect(await idle(one.cache.get('other'))).toBeUndefined();
});

test('rubbish where the epoch of the namespace should stand is replaced by the next load', async () => {
  redis.by('SET', 'redcache:cleared', 'rubbish');
  expect(await idle(one.cache.get('k', () => 'v'))).toBe('v');
  expect(await idle(two.cache.get('k'))).toBe('v');
});

test('tags of many values are kept by one command each', async () => {
  await idle(one.cache.get('warm-up', () => 1));
  const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
  const setting = one.cache.setMany(
    keys.map((key, i) => [key, i] as const),
    { tags: (value: number) => (value < 25 ? ['all', 'small'] : ['all']), ttl: '1h' },
  );
  await idle(setting);
  const kept = sent(one, keepEpoch);
  expect(kept.map(([key]) => key).filter((key) => key === 'redcache:tag:all')).toHaveLength(1);
  expect(new Set(kept.map(([key]) => key))).toEqual(
    new Set(['redcache:tag:all', 'redcache:tag:small']),
  );
  expect((await idle(two.cache.getMany(keys))).size).toBe(50);
  await idle(two.cache.invalidateTag('small'));
  expect((await idle(one.cache.getMany(keys))).size).toBe(25);
});

test('what is loaded together keeps its tags together, for as long as the longest lives', async () => {
  await idle(one.cache.get('warm-up', () => 1));
  const load = async (names: string[]): Promise<Map<string, string>> =>
    new Map(names.map((name) => [name, name]));
  const long = one.cache.getMany(['a', 'b'], load, { tags: ['t'], ttl: '2h' });
  await idle(Promise.all([long, one.cache.set('c', 1, { tags: ['t'], ttl: '1m' })]));
  expect(sent(one, keepEpoch).length).toBeLessThanOrEqual(2);
  const { leftMs = 0 } = redis.peek('redcache:tag:t') ?? {};
  expect(leftMs).toBeGreaterThan(2 * 3_600_000);
});

test('a value of before is outdated by what is known here of its tag since', async () => {
  const tagged = { tags: ['t'] };
  await idle(one.cache.set('a', 'old', tagged));
  await idle(one.cache.invalidateTag('t'));
  await idle(one.cache.set('b', 'new', tagged));
  expect(await idle(two.cache.get('b'))).toBe('new');
  expect(await idle(two.cache.get('a'))).toBeUndefined();
});

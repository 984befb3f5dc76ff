import { describe, expect, test } from 'vitest';
import { LfuPolicy } from '../../../src/store/policies/lfu.ts';
import { type Filed, filed } from './filed.ts';
import { Replay, randomOf, scan, zipf } from './trace.ts';

const CAPACITY = 1_000;

/** A store in which `count` names have each been used `times` times after they were filed. */
function usedOften(count: number, times: number) {
  const replay = new Replay('lfu', CAPACITY);
  const hot = scan(count, 'hot ');
  for (let i = 0; i <= times; i += 1) replay.readAll(hot);
  return { replay, hot, kept: () => hot.filter((name) => replay.has(name)).length };
}

test.for([0, 1_000])('the least often used leaves first, after a clear of %d', (cleared) => {
  const policy = new LfuPolicy<Filed>();
  for (const entry of filed(...scan(cleared, 'cleared '))) policy.add(entry);
  policy.clear();
  const entries = filed('often', 'seldom', 'sometimes', 'new');
  for (const entry of entries) policy.add(entry);
  const [often, seldom, sometimes] = entries as [Filed, Filed, Filed];
  for (const entry of [often, often, often, seldom, sometimes, sometimes]) policy.touch(entry);
  const order = [];
  for (let next = policy.victim(); next !== undefined; next = policy.victim()) {
    order.push(next.name);
    policy.remove(next);
  }
  expect(order).toEqual(['seldom', 'sometimes', 'often', 'new']);
});

test('a scan of ten times the capacity pushes out nothing that is used again and again', () => {
  const { replay, kept } = usedOften(CAPACITY * 0.8, 10);
  replay.readAll(scan(10 * CAPACITY, 'once '));
  expect(kept()).toBe(CAPACITY * 0.8);
});

test('what was hot leaves when other things are used, however often it was used', () => {
  const { replay, kept } = usedOften(CAPACITY, 100);
  const today = scan(CAPACITY / 2, 'today ');
  for (let i = 0; i < 100; i += 1) replay.readAll(today);
  expect(today.every((name) => replay.has(name))).toBe(true);
  replay.readAll(scan(CAPACITY / 2, 'once '));
  expect(kept()).toBe(0);
});

test('what was hot leaves even if nothing new is used twice', () => {
  const { replay, kept } = usedOften(CAPACITY, 100);
  replay.readAll(scan(100 * CAPACITY, 'once '));
  expect(kept()).toBe(0);
});

test('a new entry stays for a tenth of the capacity, though all others are used more', () => {
  const { replay } = usedOften(CAPACITY, 10);
  replay.read('new');
  replay.readAll(scan(CAPACITY / 10 - 1, 'newer '));
  expect(replay.has('new')).toBe(true);
  expect(replay.read('new')).toBe(true);
});

test('what was dropped while it was new takes no room among the new', () => {
  const { replay } = usedOften(CAPACITY, 10);
  for (const name of scan(2 * CAPACITY, 'dropped ')) {
    replay.read(name);
    replay.drop(name);
  }
  replay.readAll(scan(CAPACITY / 10, 'new '));
  expect(scan(CAPACITY / 10, 'new ').every((name) => replay.has(name))).toBe(true);
});

test('a use counts as one, however long ago the last one was', () => {
  for (let halvings = 4; halvings <= 70; halvings += 1) {
    const policy = new LfuPolicy<Filed>();
    const [idle, busy, newest] = filed('idle', 'busy', 'newest') as [Filed, Filed, Filed];
    for (const entry of [idle, busy, newest]) policy.add(entry);
    for (let i = 0; i < 15; i += 1) policy.touch(idle);
    for (let i = 0; i < 30 * (halvings + 1); i += 1) policy.touch(busy);
    policy.touch(idle);
    expect(idle.uses).toBe(1);
    expect(policy.victim()).toBe(idle);
  }
});

test('what is used while it is new stays, where a scan without a use passes through', () => {
  const { replay } = usedOften(CAPACITY / 2, 2);
  replay.read('new');
  for (let i = 0; i < 5; i += 1) replay.read('new');
  replay.readAll(scan(5 * CAPACITY, 'once '));
  expect(replay.has('new')).toBe(true);
});

test('the newest is never the one to leave, unless it is alone', () => {
  const policy = new LfuPolicy<Filed>();
  const [one, other] = filed('one', 'other') as [Filed, Filed];
  policy.add(one);
  expect(policy.victim()).toBe(one);
  for (let i = 0; i < 20; i += 1) policy.touch(one);
  policy.add(other);
  expect(policy.victim()).toBe(one);
});

describe('hit ratio against lru', () => {
  const ratios = (names: readonly string[]) => ({
    lfu: new Replay('lfu', CAPACITY).readAll(names),
    lru: new Replay('lru', CAPACITY).readAll(names),
  });
  const draw = (seed: number, length: number, prefix = 'zipf ') =>
    zipf({ population: 20_000, skew: 0.9, length, random: randomOf(seed), prefix });

  test('better on a Zipf distribution', () => {
    const { lfu, lru } = ratios(draw(1, 200_000));
    expect(lfu).toBeGreaterThan(lru + 0.03);
  });

  test('far better when scans run through it', () => {
    const names = Array.from({ length: 20 }, (_, i) => [
      ...draw(i, 5_000),
      ...scan(2 * CAPACITY, `scan ${i} `),
    ]).flat();
    const { lfu, lru } = ratios(names);
    expect(lfu).toBeGreaterThan(lru * 1.2);
  });

  test('not much worse when what is hot changes now and then', () => {
    const names = Array.from({ length: 10 }, (_, i) => draw(i, 20_000, `day ${i} `)).flat();
    const { lfu, lru } = ratios(names);
    expect(lfu).toBeGreaterThan(lru * 0.95);
  });

  test('the same for a recency of which nothing is hot', () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `near ${i - (i % 7)}`);
    const { lfu, lru } = ratios(names);
    expect(lfu).toBeCloseTo(lru, 5);
  });
});

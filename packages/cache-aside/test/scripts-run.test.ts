// What scripts do, as they stand, over a Redis inside the process that runs their text.

import { ManualClock } from '@redcache/core/testing';
import type { Script } from '@redcache/core/toolkit';
import { beforeEach, describe, expect, test } from 'vitest';
import { expire } from '../src/scripts/expire.ts';
import { extend } from '../src/scripts/extend.ts';
import { fill } from '../src/scripts/fill.ts';
import { keepEpoch } from '../src/scripts/keep-epoch.ts';
import { nextEpoch } from '../src/scripts/next-epoch.ts';
import { raiseEpoch } from '../src/scripts/raise-epoch.ts';
import { readEpoch } from '../src/scripts/read-epoch.ts';
import { refreshAcquire } from '../src/scripts/refresh-acquire.ts';
import { refreshExtend } from '../src/scripts/refresh-extend.ts';
import { refreshFill } from '../src/scripts/refresh-fill.ts';
import { release } from '../src/scripts/release.ts';
import { storeHeld } from '../src/scripts/store-held.ts';
import { touch } from '../src/scripts/touch.ts';
import { RedisInProcess } from '../src/testing/redis-in-process.ts';

const MINE = 'rc1 l mine\n';
const THEIRS = 'rc1 l theirs\n';
const VALUE = 'rc1 v id json 1000 500 0\n1';
const OTHER = 'rc1 v other json 1000 500 0\n2';

let clock: ManualClock;
let redis: RedisInProcess;
beforeEach(() => {
  clock = new ManualClock();
  redis = new RedisInProcess(clock);
});

function run({ lua }: Script, keys: readonly string[], ...args: readonly string[]): unknown {
  return redis.by('EVAL', lua, String(keys.length), ...keys, ...args);
}

describe.for([
  ['somebody else loads it', THEIRS],
  ['somebody has written it', VALUE],
] as const)('a load that was lost since %s', ([, there]) => {
  beforeEach(() => void redis.by('SET', 'k', there, 'PX', '1000'));

  test.for([
    ['extended', extend, ['9000'], -1],
    ['stored', fill, [OTHER, '9000'], 0],
    ['given up', release, [], 0],
  ] as const)('is not %s', ([, script, args, answer]) => {
    expect(run(script, ['k'], MINE, ...args)).toBe(answer);
    expect(redis.peek('k')).toEqual({ text: there, leftMs: 1_000 });
  });
});

test.for([
  ['extended', extend, ['9000'], 0],
  ['stored', fill, [OTHER, '9000'], 0],
  ['given up', release, [], 0],
] as const)('a load whose key was deleted is not %s', ([, script, args, answer]) => {
  expect(run(script, ['k'], MINE, ...args)).toBe(answer);
  expect(redis.keys()).toEqual([]);
});

describe('the right to load a value anew', () => {
  const keys = ['k', 'lease'];

  test.for([
    ['it is another value by now', OTHER, 'mine', -1],
    ['the value is gone', undefined, 'mine', -1],
    ['somebody else has it', VALUE, 'theirs', -1],
    ['nobody has it', VALUE, undefined, 0],
  ] as const)('is not extended if %s', ([, value, holder, answer]) => {
    if (value !== undefined) redis.by('SET', 'k', value);
    if (holder !== undefined) redis.by('SET', 'lease', holder, 'PX', '1000');
    expect(run(refreshExtend, keys, 'mine', '9000', 'id')).toBe(answer);
    expect(redis.peek('lease')?.leftMs).toBe(holder && 1_000);
  });

  test.for([OTHER, 'rc1 l mine\n', 'rubbish', undefined])('is not taken for %j', (value) => {
    if (value !== undefined) redis.by('SET', 'k', value);
    expect(run(refreshAcquire, keys, 'mine', '9000', 'id')).toEqual([-1]);
    expect(redis.peek('lease')).toBeUndefined();
  });

  test('is taken once, and from whoever left it without an end', () => {
    redis.by('SET', 'k', VALUE);
    expect(run(refreshAcquire, keys, 'mine', '9000', 'id')).toEqual([1]);
    expect(run(refreshAcquire, keys, 'theirs', '9000', 'id')).toEqual([0, 9_000]);
    redis.by('SET', 'lease', 'dead');
    expect(run(refreshAcquire, keys, 'theirs', '9000', 'id')).toEqual([1]);
  });

  test.for([
    ['it is another value by now', OTHER, 'mine', undefined],
    ['the value is gone', undefined, 'mine', undefined],
    ['somebody else has it', VALUE, 'theirs', 'theirs'],
  ] as const)('stores nothing if %s', ([, value, holder, left]) => {
    if (value !== undefined) redis.by('SET', 'k', value);
    redis.by('SET', 'lease', holder);
    expect(run(refreshFill, keys, 'mine', 'id', 'rc1 v new json 1 0 0\n3', '9000')).toBe(0);
    expect(redis.peek('k')?.text).toBe(value);
    expect(redis.peek('lease')?.text).toBe(left);
  });
});

test.for([
  ['nobody has it', undefined, 0],
  ['somebody else has it', 'theirs:7', -1],
] as const)('what a writer answers deletes the key if the lock is lost: %s', ([, held, answer]) => {
  redis.by('SET', 'k', VALUE);
  if (held !== undefined) redis.by('SET', 'lock', held);
  expect(run(storeHeld, ['k', 'lock'], 'mine', OTHER, '9000')).toBe(answer);
  expect(redis.peek('k')).toBeUndefined();
});

test('freshness is what is left without the tail: it is touched with it, and expires to it', () => {
  redis.by('SET', 'k', VALUE, 'PX', '1500');
  expect(run(touch, ['k'], '2000')).toEqual([1, 'rc1 v id json 1000 500 0\n']);
  expect(redis.peek('k')?.leftMs).toBe(2_500);
  expect(run(expire, ['k'])).toBe(1);
  expect(redis.peek('k')?.leftMs).toBe(500);
  clock.advance(300);
  // What ends sooner is not prolonged.
  expect(run(expire, ['k'])).toBe(1);
  expect(redis.peek('k')?.leftMs).toBe(200);
  redis.by('SET', 'k', 'rc1 n id 1000 0 0\n', 'PX', '1000');
  expect(run(expire, ['k'])).toBe(1);
  expect(redis.peek('k')).toBeUndefined();
  for (const other of [MINE, 'rubbish', 'rc1 v id json 1 x 0\n1']) {
    redis.by('SET', 'k', other, 'PX', '1000');
    expect([run(touch, ['k'], '9000'), run(expire, ['k'])]).toEqual([[0], 0]);
    expect(redis.peek('k')).toEqual({ text: other, leftMs: 1_000 });
  }
});

test('epochs rise, whatever the clock of the server says', () => {
  expect(run(nextEpoch, ['now'])).toBe('1000000');
  expect(run(nextEpoch, ['now'])).toBe('1000001');
  clock.advance(1);
  expect(run(nextEpoch, ['now'])).toBe('1001000');
  redis.by('SET', 'now', '9000000000');
  expect(run(nextEpoch, ['now'])).toBe('9000000001');
  expect(run(readEpoch, ['now'])).toEqual(['9000000001', 0]);
  expect(run(readEpoch, ['none'], '5')).toEqual(['5', 1]);
  expect(run(readEpoch, ['none'], '6')).toEqual(['5', 0]);
  expect(run(readEpoch, ['clock'])).toEqual(['1001000', 1]);
});

test('a later epoch is not lowered, and is kept for as long as it is needed', () => {
  expect(run(raiseEpoch, ['tag'], '10', '1000')).toBe(1);
  expect(run(raiseEpoch, ['tag'], '9', '9000')).toBe(0);
  expect(redis.peek('tag')).toEqual({ text: '10', leftMs: 1_000 });
  expect(run(keepEpoch, ['tag'], '20', '500', '9000')).toBe(0);
  expect(redis.peek('tag')).toEqual({ text: '10', leftMs: 1_000 });
  expect(run(keepEpoch, ['tag'], '20', '2000', '9000')).toBe(0);
  expect(redis.peek('tag')).toEqual({ text: '10', leftMs: 9_000 });
  expect(run(keepEpoch, ['new'], '20', '2000', '9000')).toBe(1);
  expect(redis.peek('new')).toEqual({ text: '20', leftMs: 9_000 });
});

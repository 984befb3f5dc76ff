// The judge by itself: what it sees in histories of a few lines, and what it excuses.
import { describe, expect, test } from 'vitest';
import { type Fault, nsOf } from '../fault.ts';
import type { Beat, History, Load, Mutation, Read } from './history.ts';
import { judge, type Promises, type Violation } from './judge.ts';
import type { Change } from './source-of-truth.ts';

const PROMISES: Promises = {
  ...{ maxStalenessMs: 50, leaseMs: 100, redisMs: 10, ttlMs: 1_000, settleMs: 20 },
  ...{ successRatio: 0, hitRatio: 0.9, leastCalls: 0 },
};

const fault = (beganMs: number, endedMs: number, more: Partial<Fault> = {}): Fault => ({
  ...{ what: 'something', whom: 'somebody' },
  beganNs: nsOf(beganMs),
  endedNs: nsOf(endedMs),
  ...more,
});

/** A key that has been changed, and when its process was told so, or that it does not know. */
function changed(
  by: string,
  version: number,
  [atMs, endedMs]: readonly [number, number?],
  more: Partial<Mutation> = {},
): { readonly change: Change; readonly mutation: Mutation | undefined } {
  const change = { key: 'a', version, by, atNs: nsOf(atMs) };
  if (endedMs === undefined) return { change, mutation: undefined };
  const times = { begunNs: nsOf(atMs), endedNs: nsOf(endedMs) };
  const outcome = 'succeeded' as const;
  return { change, mutation: { of: 'a', by, ...times, outcome, how: 'deleted', version, ...more } };
}

/** At once, unless it is said when it ended. */
const read = (by: string, version: number, atMs: number, more: Partial<Read> = {}): Read => ({
  ...{ of: 'a', by, begunNs: nsOf(atMs), endedNs: nsOf(atMs), outcome: 'succeeded', local: true },
  row: { key: 'a', version },
  ...more,
});

const load = (
  by: string,
  [begunMs, endedMs]: readonly [number, number?],
  more: Partial<Load> = {},
): Load => ({
  ...{ key: 'a', by, load: 1, begunNs: nsOf(begunMs), leased: true, stored: undefined },
  endedNs: endedMs === undefined ? undefined : nsOf(endedMs),
  unwantedNs: undefined,
  ...more,
});

const beat = (sentMs: number, atMs: number, uncertain = 0, answered = true): Beat => ({
  sentNs: nsOf(sentMs),
  atNs: nsOf(atMs),
  answered,
  uncertain,
});

interface Parts extends Partial<Omit<History, 'changes' | 'mutations'>> {
  readonly changed?: readonly ReturnType<typeof changed>[];
}

function rules({ changed: all = [], ...parts }: Parts, promises = PROMISES): Violation['rule'][] {
  const history: History = {
    ...{ startedNs: 0n, endedNs: nsOf(2_000), keys: ['a', 'b'], faults: [], beats: new Map() },
    ...{ reads: [], loads: [], unsettled: [], lost: [] },
    changes: all.map(({ change }) => change),
    mutations: all.flatMap(({ mutation }) => mutation ?? []),
    ...parts,
  };
  return judge(history, promises).map(({ rule }) => rule);
}

const UNKNOWN = { failedWith: 'REDCACHE_OUTCOME_UNKNOWN' };
const heard = new Map([['two', [beat(12, 14)]]]);

describe('stale', () => {
  const first = changed('one', 1, [1, 2]);
  const second = changed('one', 2, [10, 11]);
  const both = [first, second];

  test('a read of what is newest, or of something newer still', () => {
    const third = changed('one', 3, [20, 30]);
    const reads = [read('one', 2, 15), read('one', 3, 25), read('two', 3, 25)];
    expect(rules({ changed: [...both, third], reads })).toEqual([]);
  });

  test('the process that was told reads what was before', () => {
    expect(rules({ changed: both, reads: [read('one', 1, 12)] })).toEqual(['stale']);
  });

  test('a read that had begun before', () => {
    expect(rules({ changed: both, reads: [read('one', 1, 10.5)] })).toEqual([]);
  });

  test('another process that has not heard yet', () => {
    expect(rules({ changed: both, reads: [read('two', 1, 13)], beats: heard })).toEqual([]);
  });

  test('another process that has heard', () => {
    expect(rules({ changed: both, reads: [read('two', 1, 15)], beats: heard })).toEqual(['stale']);
  });

  test.each([
    ['was asked before', [beat(10, 20)]],
    ['went unanswered', [beat(12, 14, 0, false)]],
  ])('another process, whose question %s', (_, its) => {
    const beats = new Map([['two', its]]);
    expect(rules({ changed: both, reads: [read('two', 1, 60)], beats })).toEqual([]);
    expect(rules({ changed: both, reads: [read('two', 1, 62)], beats })).toEqual(['stale']);
  });

  test('a change that nobody was told of binds nobody', () => {
    const reads = [read('one', 1, 500), read('two', 1, 500)];
    const faults = [fault(20, 30, { what: 'SIGKILL', whom: 'one' })];
    expect(rules({ changed: [first, changed('one', 2, [10])], reads, faults })).toEqual([]);
  });

  test('of an unknown outcome knows its own process, and others once that is certain', () => {
    const all = [first, changed('one', 2, [10, 11], { outcome: UNKNOWN })];
    const beats = new Map([
      ['one', [beat(20, 25, 1), beat(30, 35, 0)]],
      ['two', [beat(40, 41)]],
    ]);
    expect(rules({ changed: all, beats, reads: [read('one', 1, 12)] })).toEqual(['stale']);
    expect(rules({ changed: all, beats, reads: [read('two', 1, 34)] })).toEqual([]);
    expect(rules({ changed: all, beats, reads: [read('two', 1, 42)] })).toEqual(['stale']);
  });

  test('a write that lost its lock has deleted the key', () => {
    const how = { how: 'written', outcome: { failedWith: 'REDCACHE_LOCK_LOST' } } as const;
    const all = [first, changed('one', 2, [10, 11], how)];
    expect(rules({ changed: all, reads: [read('one', 1, 12)] })).toEqual(['stale']);
  });

  test('a delete that the server refused is not done', () => {
    const all = [first, changed('one', 2, [10, 11], { outcome: { failedWith: 'READONLY' } })];
    expect(rules({ changed: all, reads: [read('one', 1, 1_500)] })).toEqual([]);
  });

  test('what a failover may have lost is excused until the longest TTL is over', () => {
    const faults = [fault(500, 600, { forks: true, removes: 'all' })];
    const before = [first, changed('one', 2, [400, 401])];
    expect(rules({ changed: before, faults, reads: [read('one', 1, 1_599)] })).toEqual([]);
    expect(rules({ changed: before, faults, reads: [read('one', 1, 1_601)] })).toEqual(['stale']);
    const after = [first, changed('one', 2, [601, 602])];
    expect(rules({ changed: after, faults, reads: [read('one', 1, 700)] })).toEqual(['stale']);
  });

  test('an older change that is missed as well is found behind one that is excused', () => {
    const third = changed('one', 3, [60, 62]);
    const reads = [read('two', 1, 63)];
    expect(rules({ changed: [...both, third], reads, beats: heard })).toEqual(['stale']);
  });
});

test('what the source never said, or not yet, or of another key, is invented', () => {
  const one = changed('one', 1, [10, 11]);
  expect(rules({ changed: [one], reads: [read('two', 1, 12)] })).toEqual([]);
  expect(rules({ changed: [one], reads: [read('two', 2, 12)] })).toEqual(['invented']);
  expect(rules({ changed: [one], reads: [read('two', 1, 5)] })).toEqual(['invented']);
  const strange = read('two', 1, 12, { row: { key: 'b', version: 1 } });
  expect(rules({ changed: [one], reads: [strange] })).toEqual(['invented']);
  expect(rules({ changed: [one], reads: [read('two', 1, 12, { row: undefined })] })).toEqual([
    'invented',
  ]);
  const failed = { row: undefined, outcome: { failedWith: 'x' } };
  expect(rules({ reads: [read('two', 0, 12, failed)] })).toEqual([]);
});

describe('twice', () => {
  const always = Array.from({ length: 60 }, (_, i) => beat(10 * i, 10 * i + 1));
  const all = [...['one', 'two', 'three'].map((by) => [by, always] as const)];
  const twice = (parts: Parts): Violation['rule'][] =>
    rules({ ...parts, beats: new Map([...all, ...(parts.beats ?? [])]) });

  const during = [load('one', [10, 50]), load('two', [20, 30])];

  test('a load that begins while another runs', () => {
    expect(twice({ loads: during })).toEqual(['twice']);
    expect(twice({ loads: [load('one', [10, 50]), load('one', [20, 30])] })).toEqual(['twice']);
  });

  test('one after the other, without a lease, of another key, or when nobody wanted the first', () => {
    expect(twice({ loads: [load('one', [10, 20]), load('two', [20, 30])] })).toEqual([]);
    for (const more of [{ leased: false }, { key: 'b' }])
      expect(twice({ loads: [load('one', [10, 50]), load('two', [20, 30], more)] })).toEqual([]);
    const unwanted = load('one', [10, 50], { unwantedNs: nsOf(15) });
    expect(twice({ loads: [unwanted, load('two', [20, 30])] })).toEqual([]);
  });

  test('the key was changed, or removed, meanwhile', () => {
    expect(twice({ loads: during, changed: [changed('three', 1, [12, 13])] })).toEqual([]);
    expect(twice({ loads: during, changed: [changed('three', 1, [21, 22])] })).toEqual(['twice']);
    expect(twice({ loads: during, changed: [changed('three', 1, [-20, 5])] })).toEqual([]);
    expect(twice({ loads: during, faults: [fault(15, 16, { removes: ['a'] })] })).toEqual([]);
    expect(twice({ loads: during, faults: [fault(15, 16, { removes: 'all' })] })).toEqual([]);
    expect(twice({ loads: during, faults: [fault(15, 16, { removes: ['b'] })] })).toEqual([
      'twice',
    ]);
  });

  test('a change whose end is unknown may come at any time', () => {
    const unknown = changed('three', 1, [-50, -40], { outcome: UNKNOWN });
    expect(twice({ loads: during, changed: [unknown] })).toEqual([]);
    const certain = new Map([['three', [beat(-30, -20)]]]);
    expect(twice({ loads: during, changed: [unknown], beats: certain })).toEqual(['twice']);
  });

  test('a lease after its beginning it needs no trouble to stand, and none not to', () => {
    const long = [load('one', [10, 500]), load('two', [200, 210])];
    const trouble = [fault(50, 150, { what: 'SIGSTOP', whom: 'one' })];
    expect(twice({ loads: long })).toEqual(['twice']);
    expect(twice({ loads: long, faults: trouble })).toEqual([]);
    const elsewhere = [fault(50, 150, { what: 'SIGSTOP', whom: 'process 3' })];
    expect(twice({ loads: long, faults: elsewhere })).toEqual(['twice']);
    const early = [load('one', [10, 500]), load('two', [90, 95])];
    expect(twice({ loads: early, faults: trouble })).toEqual(['twice']);
    const stored = [load('one', [10, 500], { stored: true }), load('two', [200, 210])];
    expect(twice({ loads: stored, faults: trouble })).toEqual(['twice']);
  });

  test('a load that begins when its own lease may be over', () => {
    const beats = new Map([['two', [beat(-200, -199)]]]);
    expect(twice({ loads: during, beats })).toEqual([]);
    const [first, second] = during as [Load, Load];
    const stored = { ...second, stored: true };
    expect(twice({ loads: [first, stored], beats })).toEqual(['twice']);
  });

  test('a process that never ends its load, and one that was killed', () => {
    const open = [load('one', [10]), load('two', [20, 30])];
    expect(twice({ loads: open })).toEqual(['twice']);
    const faults = [fault(15, 16, { what: 'SIGKILL', whom: 'one' })];
    expect(twice({ loads: open, faults })).toEqual(['twice']);
    const later = [load('one', [10]), load('two', [120, 130])];
    expect(twice({ loads: later, faults })).toEqual([]);
  });
});

describe('hits', () => {
  const elsewhere = { local: false };
  const again = [read('one', 0, 10, elsewhere), read('one', 0, 20, elsewhere)];

  test('what was read once is had from then on', () => {
    expect(rules({ reads: [read('one', 0, 10, elsewhere), read('one', 0, 20)] })).toEqual([]);
    expect(rules({ reads: again })).toEqual(['hits']);
  });

  test('not by another process, nor while the first read runs', () => {
    expect(rules({ reads: [read('one', 0, 10), read('two', 0, 20, elsewhere)] })).toEqual([]);
    const long = read('one', 0, 10, { local: false, endedNs: nsOf(30) });
    expect(rules({ reads: [long, read('one', 0, 20, elsewhere)] })).toEqual([]);
  });

  test('nor after a change, or a fault that concerns the process', () => {
    const change = changed('two', 1, [12, 13]);
    const reads = [read('one', 0, 10, elsewhere), read('one', 1, 20, elsewhere)];
    expect(rules({ reads, changed: [change] })).toEqual([]);
    for (const more of [{ whom: 'one' }, { removes: ['a'], whom: 'a' }, {}])
      expect(rules({ reads: again, faults: [fault(12, 13, more)] })).toEqual([]);
    for (const more of [{ whom: 'process 2' }, { removes: ['b'], whom: 'b' }])
      expect(rules({ reads: again, faults: [fault(12, 13, more)] })).toEqual(['hits']);
  });

  test('nor when it may have expired', () => {
    const late = [read('one', 0, 10, elsewhere), read('one', 0, 950, elsewhere)];
    expect(rules({ reads: late })).toEqual([]);
  });

  test('as many as promised are enough, if there are enough to tell', () => {
    const hits = Array.from({ length: 18 }, (_, i) => read('one', 0, 30 + i));
    expect(rules({ reads: [...again, ...hits] })).toEqual([]);
    const promises = { ...PROMISES, leastCalls: 20 };
    expect(rules({ reads: [...again, ...hits] }, promises)).toEqual(['hits']);
  });
});

test('calls that fail where there is no fault', () => {
  const promises = { ...PROMISES, successRatio: 0.95 };
  const failed = read('one', 0, 10, { row: undefined, outcome: { failedWith: 'x' } });
  expect(rules({ reads: [failed] }, promises)).toEqual(['success']);
  expect(rules({ reads: [failed], faults: [fault(5, 8)] }, promises)).toEqual([]);
  expect(rules({ reads: [failed], faults: [fault(-20, -15)] }, promises)).toEqual(['success']);
  const many = Array.from({ length: 19 }, (_, i) => read('one', 0, 100 + i));
  expect(rules({ reads: [failed, ...many] }, promises)).toEqual([]);
  expect(rules({}, { ...promises, leastCalls: 1 })).toEqual(['success', 'hits']);
});

test('calls that never end, and processes that do', () => {
  const unsettled = [{ by: 'one', what: 'get', key: 'a', atNs: nsOf(5) }];
  expect(rules({ unsettled, lost: ['one ended: 1'] })).toEqual(['unsettled', 'lost']);
});

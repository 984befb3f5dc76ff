// The judge by itself: what it sees in histories of a few lines, and what it excuses.
import { describe, expect, test } from 'vitest';
import type { Call } from '../availability.ts';
import { type Fault, nsOf } from '../fault.ts';
import type { Beat, History, Holding } from './history.ts';
import { judge, type Promises, type Violation } from './judge.ts';
import type { Arrival } from './register.ts';

const PROMISES: Promises = { leaseMs: 100, slackMs: 50, successRatio: 0.95, leastCalls: 0 };

const held = (
  by: string,
  token: number,
  ms: Partial<Record<'calledAt' | 'at', number>>,
  looksAt: readonly number[] = [],
): Holding => ({
  ...{ key: 'a', by, call: 'a0.1', token: BigInt(token) },
  calledNs: nsOf(ms.calledAt ?? ms.at ?? 0),
  grantedNs: nsOf(ms.at ?? 0),
  beliefsNs: looksAt.map(nsOf),
});

const fault = (beganMs: number, endedMs: number, more: Partial<Fault> = {}): Fault => ({
  ...{ what: 'something', whom: 'somebody' },
  beganNs: nsOf(beganMs),
  endedNs: nsOf(endedMs),
  ...more,
});

const call = (begunMs: number, endedMs: number, outcome: Call['outcome'] = 'succeeded'): Call => ({
  ...{ of: 'a', by: 'one', outcome },
  begunNs: nsOf(begunMs),
  endedNs: nsOf(endedMs),
});

/** Each was asked as soon as the last was over; `failed`: at once, without an answer. */
const beats = (...ends: readonly (number | 'failed')[]): Beat[] => {
  let sentMs = 0;
  return ends.map((end) => {
    const atMs = end === 'failed' ? sentMs : end;
    const beat = { sentNs: nsOf(sentMs), atNs: nsOf(atMs), answered: end !== 'failed' };
    sentMs = atMs;
    return beat;
  });
};

const wrote = (by: string, token: number, lookedMs: number, accepted = true): Arrival => ({
  ...{ what: 'write', key: 'a', token: BigInt(token), by, call: 'a0.1', accepted },
  lookedNs: nsOf(lookedMs),
  arrivedNs: nsOf(lookedMs + 1),
});

const history = (parts: Partial<History>): History => ({
  ...{ startedNs: 0n, endedNs: nsOf(100), keys: ['a'], faults: [], holdings: [], beats: new Map() },
  ...{ calls: [call(1, 2), call(90, 95)], arrivals: [], given: [], lost: [] },
  ...parts,
});

const rules = (parts: Partial<History>, promises = PROMISES): Violation['rule'][] =>
  judge(history(parts), promises).map(({ rule }) => rule);

describe('beliefs', () => {
  test('one after the other is as it should be, whoever waited first', () => {
    const first = held('one', 1, { calledAt: 5, at: 10 }, [11, 19]);
    const second = held('two', 2, { calledAt: 1, at: 20 }, [21]);
    expect(rules({ holdings: [second, first] })).toEqual([]);
  });

  test('a look that finds the lock held after another was given it is seen', () => {
    const holdings = [held('one', 1, { at: 10 }, [11, 21]), held('two', 2, { at: 20 }, [22])];
    const [found, ...others] = judge(history({ holdings }), PROMISES);
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      rule: 'belief',
      text: "one (a0.1) held 'a' under 1, 1.00 ms after two (a0.1) had been given 2",
    });
  });

  test('it is the first who was given it since that counts, not the next in order', () => {
    const holdings = [
      held('one', 1, { at: 10 }, [21]),
      held('two', 2, { calledAt: 5, at: 40 }),
      held('three', 3, { calledAt: 5, at: 20 }),
    ];
    expect(rules({ holdings })).toEqual(['belief']);
  });

  test('a write that was taken on such a belief is told, one that was refused is not', () => {
    const holdings = [held('one', 1, { at: 10 }, [11, 21]), held('two', 2, { at: 20 }, [22])];
    expect(rules({ holdings, arrivals: [wrote('one', 1, 21)] })).toEqual(['belief', 'accepted']);
    expect(rules({ holdings, arrivals: [wrote('one', 1, 21, false)] })).toEqual(['belief']);
    // It came late, but its holder was right when it looked.
    expect(rules({ holdings, arrivals: [wrote('one', 1, 11)] })).toEqual(['belief']);
  });
});

describe('a removal behind the holder', () => {
  const looking = (ms: number, otherAtMs = 20): Holding[] => [
    held('one', 1, { at: 5 }, [ms]),
    held('two', 2, { at: otherAtMs }, [otherAtMs]),
  ];
  const heard = new Map([['one', beats(12, 24, 30, 36, 50)]]);
  const faults = [fault(10, 15, { removes: ['a'] })];

  test('excuses until the third answer to what was asked since', () => {
    // The answer at 24 is to what was asked at 12; those at 30, 36 and 50 are the three.
    expect(rules({ holdings: looking(49), faults, beats: heard })).not.toContain('belief');
    expect(rules({ holdings: looking(51), faults, beats: heard })).toContain('belief');
  });

  test('excuses longer if an answer was missing, but never longer than a lease', () => {
    const interrupted = new Map([['one', beats(12, 16, 24, 30, 'failed', 36, 40, 60)]]);
    const silent = new Map([['one', beats(12)]]);
    expect(rules({ holdings: looking(55), faults, beats: interrupted })).not.toContain('belief');
    expect(rules({ holdings: looking(114), faults, beats: silent })).not.toContain('belief');
    expect(rules({ holdings: looking(116), faults, beats: silent })).toContain('belief');
  });

  test('excuses nobody of whom the lock had passed on before', () => {
    expect(rules({ holdings: looking(21, 9), faults, beats: heard })).toContain('belief');
  });

  test('of another key excuses nobody, of all keys it does', () => {
    const ofKey = (removes: Fault['removes']): Fault[] => [fault(10, 15, { removes })];
    const seen = (removes: Fault['removes']): string[] =>
      rules({ holdings: looking(21), faults: ofKey(removes), beats: heard });
    expect(seen(['b'])).toContain('belief');
    expect(seen(undefined)).toContain('belief');
    expect(seen('all')).not.toContain('belief');
  });
});

describe('a loss', () => {
  const lost = (atMs: number, untilMs: number): Holding[] => [
    {
      ...held('one', 1, { calledAt: 5, at: 10 }, [12]),
      lostNs: nsOf(atMs),
      untilNs: nsOf(untilMs),
    },
  ];

  test('comes at the end of the lease, or after a removal', () => {
    expect(rules({ holdings: lost(60, 60) })).toEqual([]);
    expect(rules({ holdings: lost(20, 60), faults: [fault(15, 16, { removes: ['a'] })] })).toEqual(
      [],
    );
  });

  test('before that, and by no removal since the call, is seen', () => {
    expect(rules({ holdings: lost(59, 60) })).toEqual(['loss']);
    const seen = (began: number, ended: number, key: string): string[] =>
      rules({ holdings: lost(20, 60), faults: [fault(began, ended, { removes: [key] })] });
    expect(seen(3, 4, 'a')).toEqual(['loss']);
    expect(seen(21, 22, 'a')).toEqual(['loss']);
    expect(seen(15, 16, 'b')).toEqual(['loss']);
  });
});

describe('a failover', () => {
  const faults = [fault(10, 30, { removes: 'all', forks: true })];

  test('may give the lock to a second who does not end the belief of the first', () => {
    const holdings = [held('one', 1, { at: 12 }, [90]), held('two', 2, { at: 14 }, [15])];
    const heard = new Map([['one', beats(31, 32, 33, 34, 35)]]);
    expect(rules({ holdings, faults, beats: heard })).toEqual([]);
  });

  test('excuses no token that does not rise, and no two after it', () => {
    const late = [held('one', 1, { at: 12 }, [90]), held('two', 2, { calledAt: 40, at: 50 })];
    const heard = new Map(['one', 'two'].map((by) => [by, beats(31, 32, 33, 34, 35)]));
    expect(rules({ holdings: late, faults, beats: heard })).toEqual(['belief']);
    const sinking = [held('one', 3, { at: 12 }), held('two', 2, { calledAt: 40, at: 50 })];
    expect(rules({ holdings: sinking, faults, beats: heard })).toEqual(['rising']);
  });
});

describe('tokens', () => {
  test('of a call that began after a lock was given are higher', () => {
    const first = held('one', 5, { at: 10 });
    expect(rules({ holdings: [first, held('two', 4, { calledAt: 11, at: 12 })] })).toEqual([
      'rising',
    ]);
    expect(rules({ holdings: [first, held('two', 4, { calledAt: 9, at: 12 })] })).toEqual([]);
  });

  test('are given once', () => {
    const holdings = [held('one', 5, { at: 10 }), held('two', 5, { calledAt: 9, at: 12 })];
    expect(rules({ holdings })).toEqual(['twice']);
  });

  test('rise at the server too, but for a holder that writes its lock anew', () => {
    const given = (...tokens: readonly [string, bigint][]) =>
      tokens.map(([holder, token]) => ({ key: 'a', holder, token }));
    expect(rules({ given: given(['x', 1n], ['x', 1n], ['y', 2n]) })).toEqual([]);
    expect(rules({ given: given(['x', 1n], ['y', 1n]) })).toEqual(['given']);
    expect(rules({ given: given(['x', 2n], ['y', 1n]) })).toEqual(['given']);
  });

  test('rise in what the database took', () => {
    expect(rules({ arrivals: [wrote('two', 2, 1), wrote('one', 1, 2)] })).toEqual(['register']);
    expect(rules({ arrivals: [wrote('two', 2, 1), wrote('one', 1, 2, false)] })).toEqual([]);
  });
});

describe('after the faults', () => {
  const faults = [fault(10, 20)];

  test('a lock is taken again within a lease and the slack', () => {
    const [endedNs, started] = [nsOf(1_000), [call(0, 1), call(0, 30)]];
    expect(rules({ endedNs, faults, calls: [...started, call(160, 170)] })).toEqual([]);
    expect(rules({ endedNs, faults, calls: [call(0, 1), call(160, 171)] })).toEqual(['bound']);
    expect(rules({ endedNs, faults, calls: [call(0, 1), call(30, 40, 'given up')] })).toEqual([
      'bound',
    ]);
  });

  test('a calm between faults that is too short for that says nothing', () => {
    const twice = [...faults, fault(150, 160)];
    expect(rules({ endedNs: nsOf(1_000), faults: twice, calls: [call(170, 180)] })).toEqual([]);
    const later = [...faults, fault(180, 190)];
    expect(rules({ endedNs: nsOf(1_000), faults: later, calls: [call(195, 200)] })).toEqual([
      'bound',
    ]);
  });
});

describe('calls without a fault', () => {
  const faults = [fault(10, 20)];
  const failed: Call['outcome'] = { failedWith: 'REDCACHE_ACQUIRE_TIMEOUT' };
  const fine = Array.from({ length: 19 }, (_, i) => call(200 + i, 300));

  test('succeed nearly always', () => {
    const calls = [call(21, 22), ...fine, call(200, 300, failed)];
    expect(rules({ faults, calls })).toEqual([]);
    expect(rules({ faults, calls: [...calls, call(200, 300, failed)] })).toEqual(['success']);
  });

  test('are those that begin and end a lease away from any', () => {
    const calls = [call(21, 22), ...fine];
    const disturbed = [call(15, 300, failed), call(119, 300, failed), call(5, 12, failed)];
    expect(rules({ faults, calls: [...calls, ...disturbed] })).toEqual([]);
    const given = Array.from({ length: 9 }, () => call(200, 300, 'given up'));
    expect(rules({ faults, calls: [...calls, ...given] })).toEqual([]);
  });

  test('are too few to judge by', () => {
    expect(rules({ faults, calls: [call(21, 22)] }, { ...PROMISES, leastCalls: 1 })).toEqual([
      'success',
    ]);
  });
});

test('a process that ended by itself is told', () => {
  expect(rules({ lost: ['process 1 ended: 3'] })).toEqual(['lost']);
});

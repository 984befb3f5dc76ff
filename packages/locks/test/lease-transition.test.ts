import { describe, expect, test } from 'vitest';
import { NO_ECHOES } from '../src/lease/echoes.ts';
import type {
  HeldState,
  LeaseEffect,
  LeaseEvent,
  LeaseRules,
  LeaseState,
} from '../src/lease/state.ts';
import { transition, wakeAtMs } from '../src/lease/transition.ts';

const RULES: LeaseRules = {
  leaseMs: 3_000,
  driftRatio: 0.01,
  autoExtend: true,
  extendUntilAtMs: Infinity,
};
const DRIFT_MS = 3_000 * 0.01 + 2;

/** Held since 0 and confirmed by an echo. */
const HELD: HeldState = {
  is: 'held',
  connected: true,
  echoes: { confirmed: 1, seen: 1 },
  doubt: undefined,
  leaseMs: 3_000,
  serverEndAtMs: 3_000,
  deadlineAtMs: 3_000 - DRIFT_MS,
  running: undefined,
  asked: [],
  extendAtMs: 1_000,
  failures: 0,
  retryAtMs: -Infinity,
};
const EXTENDING: HeldState = {
  ...HELD,
  running: { is: 'extend', sentAtMs: 1_000, leaseMs: 3_000, ask: undefined },
};
const VERIFYING: HeldState = {
  ...HELD,
  echoes: NO_ECHOES,
  running: { is: 'verify', sentAtMs: 500, doubt: 'push' },
};
const OURS = { is: 'ours', remainingMs: 2_500 } as const;

type Row = readonly [
  name: string,
  state: LeaseState,
  event: LeaseEvent,
  state: object,
  effects: readonly LeaseEffect[],
  rules?: Partial<LeaseRules>,
];

const rows: readonly Row[] = [
  [
    'counts the deadline from before the send, not from the answer',
    { is: 'acquiring', connected: true, sentAtMs: 100, echoes: NO_ECHOES, doubt: undefined },
    { is: 'granted', echoes: 1, nowMs: 900 },
    { is: 'held', deadlineAtMs: 3_100 - DRIFT_MS, serverEndAtMs: 3_100, extendAtMs: 1_100 },
    [],
  ],
  [
    'is lost when the answer comes after the deadline',
    { is: 'acquiring', connected: true, sentAtMs: 0, echoes: NO_ECHOES, doubt: undefined },
    { is: 'granted', echoes: 1, nowMs: 3_000 },
    { is: 'lost', reason: 'expired' },
    [{ do: 'abort', reason: 'expired' }],
  ],
  [
    'takes a push before the answer for its echo',
    {
      ...{ is: 'acquiring', connected: true, sentAtMs: 0, doubt: undefined },
      echoes: { confirmed: 0, seen: 1 },
    },
    { is: 'granted', echoes: 1, nowMs: 10 },
    { is: 'held', doubt: undefined, running: undefined },
    [],
  ],
  [
    'looks at the key when two pushes came before the answer',
    {
      ...{ is: 'acquiring', connected: true, sentAtMs: 0, doubt: undefined },
      echoes: { confirmed: 0, seen: 2 },
    },
    { is: 'granted', echoes: 1, nowMs: 10 },
    { is: 'held', running: { is: 'verify', doubt: 'push' } },
    [{ do: 'verify' }],
  ],
  [
    'looks at the key when everything was flushed before the answer',
    { is: 'acquiring', connected: true, sentAtMs: 0, echoes: NO_ECHOES, doubt: 'flush' },
    { is: 'granted', echoes: 1, nowMs: 10 },
    { is: 'held', running: { is: 'verify', doubt: 'flush' } },
    [{ do: 'verify' }],
  ],
  [
    'starts counting anew when it is sent again',
    {
      ...{ is: 'acquiring', connected: true, sentAtMs: 0, doubt: 'flush' },
      echoes: { confirmed: 0, seen: 3 },
    },
    { is: 'acquiring', nowMs: 50 },
    { is: 'acquiring', sentAtMs: 50, echoes: NO_ECHOES, doubt: undefined },
    [],
  ],
  [
    'lets its own echo pass',
    { ...HELD, echoes: { confirmed: 1, seen: 0 } },
    { is: 'pushed', nowMs: 10 },
    { is: 'held', echoes: { confirmed: 1, seen: 1 }, running: undefined },
    [],
  ],
  [
    'looks at the key after a push that no write explains',
    HELD,
    { is: 'pushed', nowMs: 10 },
    { is: 'held', echoes: NO_ECHOES, doubt: undefined, running: { is: 'verify', doubt: 'push' } },
    [{ do: 'tell-foreign' }, { do: 'verify' }],
  ],
  [
    'tells of a push during an extension but does not look yet',
    EXTENDING,
    { is: 'pushed', nowMs: 1_010 },
    { is: 'held', echoes: { confirmed: 1, seen: 2 }, doubt: undefined },
    [{ do: 'tell-foreign' }],
  ],
  [
    'takes a push during an extension for its echo when the answer is there',
    { ...EXTENDING, echoes: { confirmed: 1, seen: 2 } },
    { is: 'extend-answered', answer: { is: 'extended', echoes: 1 }, nowMs: 1_020 },
    { is: 'held', running: undefined, doubt: undefined },
    [],
  ],
  [
    'looks at the key when an extension explains only one of two pushes',
    { ...EXTENDING, echoes: { confirmed: 1, seen: 3 } },
    { is: 'extend-answered', answer: { is: 'extended', echoes: 1 }, nowMs: 1_020 },
    { is: 'held', running: { is: 'verify', doubt: 'push' } },
    [{ do: 'verify' }],
  ],
  [
    'looks again when a push overtakes the look',
    { ...VERIFYING, doubt: 'push' },
    { is: 'verify-answered', verdict: OURS, nowMs: 510 },
    { is: 'held', running: { is: 'verify' } },
    [{ do: 'verify' }],
  ],
  [
    'goes on when the key is still ours',
    VERIFYING,
    { is: 'verify-answered', verdict: OURS, nowMs: 510 },
    { is: 'held', running: undefined, deadlineAtMs: HELD.deadlineAtMs, extendAtMs: 1_000 },
    [],
  ],
  [
    'is lost when the key was deleted',
    VERIFYING,
    { is: 'verify-answered', verdict: { is: 'deleted' }, nowMs: 510 },
    { is: 'lost', reason: 'deleted' },
    [{ do: 'abort', reason: 'deleted' }],
  ],
  [
    'says flushed when a flush came during the look',
    { ...VERIFYING, doubt: 'flush' },
    { is: 'verify-answered', verdict: { is: 'deleted' }, nowMs: 510 },
    { is: 'lost', reason: 'flushed' },
    [{ do: 'abort', reason: 'flushed' }],
  ],
  [
    'is lost when somebody else has the key',
    VERIFYING,
    { is: 'verify-answered', verdict: { is: 'taken' }, nowMs: 510 },
    { is: 'lost', reason: 'taken' },
    [{ do: 'abort', reason: 'taken' }],
  ],
  [
    'repairs a lease that was cut short, and relies on the shorter one until then',
    VERIFYING,
    { is: 'verify-answered', verdict: { is: 'ours', remainingMs: 400 }, nowMs: 510 },
    { deadlineAtMs: 500 + 400 - 6, running: { is: 'extend', sentAtMs: 510, leaseMs: 3_000 } },
    [{ do: 'extend', leaseMs: 3_000 }],
  ],
  [
    'repairs a lease that was given no end, without relying on it',
    VERIFYING,
    { is: 'verify-answered', verdict: { is: 'ours', remainingMs: Infinity }, nowMs: 510 },
    { deadlineAtMs: HELD.deadlineAtMs, running: { is: 'extend', leaseMs: 3_000 } },
    [{ do: 'extend', leaseMs: 3_000 }],
  ],
  [
    'repairs up to the old end where nothing is extended automatically',
    { ...VERIFYING, extendAtMs: undefined },
    { is: 'verify-answered', verdict: { is: 'ours', remainingMs: 400 }, nowMs: 510 },
    { running: { is: 'extend', leaseMs: 2_490 } },
    [{ do: 'extend', leaseMs: 2_490 }],
    { autoExtend: false },
  ],
  [
    'repairs nothing when its time for extensions is over',
    VERIFYING,
    { is: 'verify-answered', verdict: { is: 'ours', remainingMs: 400 }, nowMs: 510 },
    { deadlineAtMs: 500 + 400 - 6, running: undefined },
    [],
    { extendUntilAtMs: 510 },
  ],
  [
    'looks again later when the look was not answered',
    VERIFYING,
    { is: 'unanswered', error: 'x', nowMs: 600 },
    { is: 'held', doubt: 'push', running: undefined, failures: 1, retryAtMs: 650 },
    [],
  ],
  [
    'extends at a third of the lease',
    HELD,
    { is: 'tick', nowMs: 1_000 },
    { running: { is: 'extend', sentAtMs: 1_000, leaseMs: 3_000, ask: undefined } },
    [{ do: 'extend', leaseMs: 3_000 }],
  ],
  ['extends no earlier', HELD, { is: 'tick', nowMs: 999 }, HELD, []],
  [
    'does not extend once its time for extensions is over',
    HELD,
    { is: 'tick', nowMs: 1_000 },
    { running: undefined, extendAtMs: undefined },
    [],
    { extendUntilAtMs: 1_000 },
  ],
  [
    'does not extend while the connection is down',
    { ...HELD, connected: false },
    { is: 'tick', nowMs: 1_000 },
    { running: undefined },
    [],
  ],
  [
    'counts the new deadline from before the send of the extension',
    EXTENDING,
    { is: 'extend-answered', answer: { is: 'extended', echoes: 1 }, nowMs: 1_400 },
    { deadlineAtMs: 4_000 - DRIFT_MS, serverEndAtMs: 4_000, extendAtMs: 2_000 },
    [],
  ],
  [
    'is saved by an extension whose answer is handled after the old deadline',
    EXTENDING,
    { is: 'extend-answered', answer: { is: 'extended', echoes: 1 }, nowMs: 2_990 },
    { is: 'held', running: { is: 'extend', sentAtMs: 2_990 } },
    [{ do: 'extend', leaseMs: 3_000 }],
  ],
  [
    'is lost when an extension finds the key gone',
    EXTENDING,
    { is: 'extend-answered', answer: { is: 'deleted' }, nowMs: 1_010 },
    { is: 'lost', reason: 'deleted' },
    [{ do: 'abort', reason: 'deleted' }],
  ],
  [
    'says flushed when an extension finds the key gone after a flush',
    { ...EXTENDING, doubt: 'flush' },
    { is: 'extend-answered', answer: { is: 'deleted' }, nowMs: 1_010 },
    { is: 'lost', reason: 'flushed' },
    [{ do: 'abort', reason: 'flushed' }],
  ],
  [
    'tries an unanswered extension again, later each time',
    { ...EXTENDING, failures: 1 },
    { is: 'unanswered', error: 'x', nowMs: 1_500 },
    { running: undefined, failures: 2, retryAtMs: 1_600, deadlineAtMs: HELD.deadlineAtMs },
    [],
  ],
  [
    'relies on a shorter lease as soon as it is asked for',
    HELD,
    { is: 'asked', id: 7, leaseMs: 500, nowMs: 100 },
    { deadlineAtMs: 600 - 7, running: { is: 'extend', ask: 7, leaseMs: 500 } },
    [{ do: 'extend', leaseMs: 500 }],
  ],
  [
    'answers who asked, and keeps the new length',
    { ...HELD, running: { is: 'extend', sentAtMs: 100, leaseMs: 500, ask: 7 } },
    { is: 'extend-answered', answer: { is: 'extended', echoes: 1 }, nowMs: 110 },
    { leaseMs: 500, deadlineAtMs: 600 - 7, serverEndAtMs: 600 },
    [{ do: 'settle', ask: 7, error: undefined }],
  ],
  [
    'tells who asked that it was not answered',
    { ...HELD, running: { is: 'extend', sentAtMs: 100, leaseMs: 3_000, ask: 7 } },
    { is: 'unanswered', error: 'x', nowMs: 200 },
    { is: 'held', running: undefined },
    [{ do: 'settle', ask: 7, error: 'x' }],
  ],
  [
    'lets who asks wait for the extension under way',
    EXTENDING,
    { is: 'asked', id: 7, leaseMs: 500, nowMs: 1_010 },
    { running: EXTENDING.running, asked: [{ id: 7, leaseMs: 500 }] },
    [],
  ],
  [
    'plans the next extension for the shorter lease from its send on',
    HELD,
    { is: 'asked', id: 7, leaseMs: 600, nowMs: 100 },
    { is: 'held', extendAtMs: 300, deadlineAtMs: 700 - 8 },
    [{ do: 'extend', leaseMs: 600 }],
  ],
  [
    'does not begin to extend because a caller did',
    { ...HELD, extendAtMs: undefined },
    { is: 'asked', id: 7, leaseMs: 600, nowMs: 100 },
    { is: 'held', extendAtMs: undefined },
    [{ do: 'extend', leaseMs: 600 }],
    { autoExtend: false },
  ],
  [
    'takes what an answer that came late says for what was true when it was asked for',
    { ...VERIFYING, extendAtMs: undefined },
    { is: 'verify-answered', verdict: { is: 'ours', remainingMs: 2_100 }, nowMs: 1_000 },
    // The server said at 500 or later that it ends 2100 ms later: perhaps at 2600 already.
    { is: 'held', deadlineAtMs: 500 + 2_100 - 23, running: { is: 'extend' } },
    [{ do: 'extend', leaseMs: 2_000 }],
    { autoExtend: false },
  ],
  [
    'asks again within a second however long the lease and however often nothing was answered',
    { ...VERIFYING, leaseMs: 3_600_000, deadlineAtMs: 3_000_000, failures: 20 },
    { is: 'unanswered', error: 'x', nowMs: 600 },
    { is: 'held', doubt: 'push', retryAtMs: 1_600 },
    [],
  ],
  [
    'is not lost by a flush alone',
    HELD,
    { is: 'flushed', nowMs: 10 },
    { is: 'held', running: { is: 'verify', doubt: 'flush' } },
    [{ do: 'tell-foreign' }, { do: 'verify' }],
  ],
  [
    'is not lost by a disconnect alone, and sends nothing',
    HELD,
    { is: 'connection', up: false, nowMs: 10 },
    { is: 'held', connected: false, doubt: 'disconnect', running: undefined },
    [{ do: 'tell-foreign' }],
  ],
  [
    'looks at the key when the connection is back, whatever failed before',
    { ...HELD, connected: false, doubt: 'disconnect', failures: 3, retryAtMs: 9_999 },
    { is: 'connection', up: true, nowMs: 10 },
    { is: 'held', connected: true, running: { is: 'verify', doubt: 'disconnect' } },
    [{ do: 'verify' }],
  ],
  [
    'is lost as disconnected at its deadline while the connection is down',
    { ...HELD, connected: false },
    { is: 'tick', nowMs: HELD.deadlineAtMs },
    { is: 'lost', reason: 'disconnected' },
    [{ do: 'abort', reason: 'disconnected' }],
  ],
  [
    'is found lost by a push that is handled after the deadline',
    HELD,
    { is: 'pushed', nowMs: 5_000 },
    { is: 'lost', reason: 'expired' },
    [{ do: 'tell-foreign' }, { do: 'abort', reason: 'expired' }],
  ],
  [
    'is found lost by a release after the deadline',
    HELD,
    { is: 'release', nowMs: 3_000 },
    { is: 'lost', reason: 'expired' },
    [{ do: 'abort', reason: 'expired' }],
  ],
  [
    'is released in the middle of an extension',
    EXTENDING,
    { is: 'release', nowMs: 1_010 },
    { is: 'releasing' },
    [{ do: 'stop' }],
  ],
  [
    'is not brought back by an extension that is answered after the release',
    { is: 'releasing' },
    { is: 'extend-answered', answer: { is: 'extended', echoes: 1 }, nowMs: 1_020 },
    { is: 'releasing' },
    [],
  ],
  ['ends without a loss', HELD, { is: 'end', nowMs: 1 }, { is: 'ended' }, [{ do: 'stop' }]],
  [
    'is given up with the reason told',
    HELD,
    { is: 'lose', reason: 'closed', nowMs: 1 },
    { is: 'lost', reason: 'closed' },
    [{ do: 'abort', reason: 'closed' }],
  ],
  [
    'stays lost',
    { is: 'lost', reason: 'taken' },
    { is: 'granted', echoes: 1, nowMs: 1 },
    { is: 'lost', reason: 'taken' },
    [],
  ],
];

describe('a lease', () => {
  test.for(rows)('%s', ([_, state, event, expected, effects, rules = {}]) => {
    const [next, done] = transition(state, event, { ...RULES, ...rules });
    expect(next).toMatchObject(expected);
    expect(done).toEqual(effects);
  });

  test('wakes for its extension, and at its deadline while nothing else can be done', () => {
    expect(wakeAtMs(HELD, RULES)).toBe(1_000);
    expect(wakeAtMs(EXTENDING, RULES)).toBe(HELD.deadlineAtMs);
    expect(wakeAtMs({ ...HELD, connected: false }, RULES)).toBe(HELD.deadlineAtMs);
    expect(wakeAtMs({ ...HELD, retryAtMs: 1_200 }, RULES)).toBe(1_200);
    expect(wakeAtMs({ ...HELD, doubt: 'push', retryAtMs: 700 }, RULES)).toBe(700);
    expect(wakeAtMs(HELD, { ...RULES, extendUntilAtMs: 900 })).toBe(HELD.deadlineAtMs);
    expect(wakeAtMs({ is: 'lost', reason: 'taken' }, RULES)).toBe(undefined);
  });

  test('wakes later than now whenever it is left with nothing to do', () => {
    for (const [, state, event, , , rules = {}] of rows) {
      const [next] = transition(state, event, { ...RULES, ...rules });
      const atMs = wakeAtMs(next, { ...RULES, ...rules });
      if (atMs !== undefined) expect(atMs).toBeGreaterThan(event.nowMs);
    }
  });
});

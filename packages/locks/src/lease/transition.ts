import { assertNever } from '@redcache/core/toolkit';
import type { LossReason } from '../errors.ts';
import type { Extension, Verdict } from './commands.ts';
import { type Echoes, NO_ECHOES, pushSeen, unexplained, writeConfirmed } from './echoes.ts';
import type {
  AcquiringState,
  Doubt,
  HeldState,
  LeaseEffect,
  LeaseEvent,
  LeaseRules,
  LeaseState,
} from './state.ts';

type Step = readonly [LeaseState, readonly LeaseEffect[]];

/** Besides the ratio: timers and PTTL count whole milliseconds, on both sides. */
const DRIFT_FLOOR_MS = 2;
/** The first pause after a command that was not answered; doubled for each one in a row. */
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** An extension comes at a third of the lease, a retry then at least ten times until its end. */
const EXTEND_AT = 1 / 3;
const LONGEST_RETRY = 1 / 10;

/** The life of `state.ts`, without clock, timer or promise. */
export function transition(state: LeaseState, event: LeaseEvent, rules: LeaseRules): Step {
  switch (state.is) {
    case 'idle':
    case 'acquiring':
      return beforeHeld(state, event, rules);
    case 'held':
      return whileHeld(state, event, rules);
    case 'lost':
    case 'releasing':
    case 'ended':
      return [state, []];
    default:
      return assertNever(state);
  }
}

/** When time alone changes something next, if ever: the one timer a lease needs. */
export function wakeAtMs(state: LeaseState, rules: LeaseRules): number | undefined {
  if (state.is !== 'held') return undefined;
  if (state.running !== undefined || !state.connected) return state.deadlineAtMs;
  const dueAtMs = state.doubt === undefined ? extensionAtMs(state, rules) : state.retryAtMs;
  return Math.min(state.deadlineAtMs, Math.max(dueAtMs, state.retryAtMs));
}

/** By how much the local deadline of a lease comes before the server's. */
function driftMs(leaseMs: number, driftRatio: number): number {
  return leaseMs * driftRatio + DRIFT_FLOOR_MS;
}

function beforeHeld(
  state: AcquiringState | (LeaseState & { is: 'idle' }),
  event: LeaseEvent,
  rules: LeaseRules,
): Step {
  switch (event.is) {
    case 'connection':
      if (state.is === 'idle') return [{ is: 'idle', connected: event.up }, []];
      return [{ ...state, connected: event.up }, []];
    case 'acquiring': {
      const { connected } = state;
      const sentAtMs = event.nowMs;
      return [{ is: 'acquiring', connected, sentAtMs, echoes: NO_ECHOES, doubt: undefined }, []];
    }
    case 'granted':
      return state.is === 'acquiring' ? granted(state, event, rules) : [state, []];
    case 'pushed':
      if (state.is === 'idle') return [state, []];
      return [{ ...state, echoes: pushSeen(state.echoes) }, [{ do: 'tell-foreign' }]];
    case 'flushed':
    case 'severed':
      if (state.is === 'idle') return [state, []];
      return [{ ...state, doubt: worse(state.doubt, doubtOf(event.is)) }, [{ do: 'tell-foreign' }]];
    case 'lose':
      return lose(event.reason);
    case 'release':
      return [{ is: 'releasing' }, [{ do: 'stop' }]];
    case 'end':
      return [{ is: 'ended' }, [{ do: 'stop' }]];
    case 'tick':
    case 'asked':
    case 'extend-answered':
    case 'verify-answered':
    case 'unanswered':
    case 'ruled':
      return [state, []];
    default:
      return assertNever(event);
  }
}

function granted(
  state: AcquiringState,
  event: { readonly echoes: number; readonly nowMs: number },
  rules: LeaseRules,
): Step {
  const { leaseMs } = rules;
  const echoes = writeConfirmed(state.echoes, event.echoes);
  const held: HeldState = {
    is: 'held',
    connected: state.connected,
    echoes,
    doubt: doubtFrom(echoes, state.doubt),
    leaseMs,
    serverEndAtMs: state.sentAtMs + leaseMs,
    deadlineAtMs: state.sentAtMs + leaseMs - driftMs(leaseMs, rules.driftRatio),
    running: undefined,
    asked: [],
    extendAtMs: rules.autoExtend ? state.sentAtMs + leaseMs * EXTEND_AT : undefined,
    failures: 0,
    retryAtMs: -Infinity,
  };
  return proceed(held, event.nowMs, rules);
}

function whileHeld(state: HeldState, event: LeaseEvent, rules: LeaseRules): Step {
  const { nowMs } = event;
  switch (event.is) {
    case 'release':
      // One that ended before it was released was lost, and its owner must be able to see it.
      if (nowMs >= state.deadlineAtMs) return lose(overdue(state)); // guard: I10
      return [{ is: 'releasing' }, [{ do: 'stop' }]];
    case 'end':
      return [{ is: 'ended' }, [{ do: 'stop' }]];
    case 'lose':
      return lose(event.reason);
    case 'tick':
      return proceed(state, nowMs, rules);
    case 'ruled':
      return proceed(ruled(state, rules), nowMs, rules);
    case 'pushed':
      return pushed(state, nowMs, rules);
    case 'flushed':
    case 'severed':
      return then(
        [{ do: 'tell-foreign' }],
        proceed({ ...state, doubt: worse(state.doubt, doubtOf(event.is)) }, nowMs, rules),
      );
    case 'connection':
      return connection(state, event.up, nowMs, rules);
    case 'asked': {
      const ask = { id: event.id, leaseMs: event.leaseMs ?? state.leaseMs };
      return proceed({ ...state, asked: [...state.asked, ask] }, nowMs, rules);
    }
    case 'extend-answered':
      return extendAnswered(state, event.answer, nowMs, rules);
    case 'verify-answered':
      return verifyAnswered(state, event.verdict, nowMs, rules);
    case 'unanswered':
      return unanswered(state, event.error, nowMs, rules);
    case 'acquiring':
    case 'granted':
      return [state, []];
    default:
      return assertNever(event);
  }
}

/** The lease stays as long as it is; from the next extension on it is as long as is wanted now. */
function ruled(state: HeldState, { leaseMs, autoExtend }: LeaseRules): HeldState {
  const thirdAtMs = state.serverEndAtMs - leaseMs * (1 - EXTEND_AT);
  return { ...state, leaseMs, extendAtMs: autoExtend ? thirdAtMs : undefined };
}

function pushed(state: HeldState, nowMs: number, rules: LeaseRules): Step {
  const echoes = pushSeen(state.echoes);
  if (!unexplained(echoes)) return proceed({ ...state, echoes }, nowMs, rules);
  const told: readonly LeaseEffect[] = [{ do: 'tell-foreign' }];
  // While a write of ours is under way this may be its echo: its answer decides.
  if (state.running?.is === 'extend')
    return then(told, proceed({ ...state, echoes }, nowMs, rules));
  const doubt = worse(state.doubt, 'push');
  return then(told, proceed({ ...state, echoes, doubt }, nowMs, rules));
}

function connection(state: HeldState, up: boolean, nowMs: number, rules: LeaseRules): Step {
  if (up === state.connected) return proceed(state, nowMs, rules);
  if (up) return proceed({ ...state, connected: true, retryAtMs: -Infinity }, nowMs, rules);
  const doubt = worse(state.doubt, 'disconnect');
  const down = proceed({ ...state, connected: false, doubt }, nowMs, rules);
  return then([{ do: 'tell-foreign' }], down);
}

function extendAnswered(
  state: HeldState,
  answer: Extension,
  nowMs: number,
  rules: LeaseRules,
): Step {
  const { running } = state;
  if (running?.is !== 'extend') return [state, []];
  if (answer.is === 'taken') return lose('taken');
  if (answer.is === 'deleted') return lose(state.doubt === 'flush' ? 'flushed' : 'deleted');
  const echoes = writeConfirmed(state.echoes, answer.echoes);
  const extended: HeldState = {
    ...state,
    echoes,
    doubt: doubtFrom(echoes, state.doubt),
    leaseMs: running.ask === undefined ? state.leaseMs : running.leaseMs,
    serverEndAtMs: running.sentAtMs + running.leaseMs,
    deadlineAtMs: running.sentAtMs + running.leaseMs - driftMs(running.leaseMs, rules.driftRatio),
    running: undefined,
    extendAtMs: rules.autoExtend ? running.sentAtMs + running.leaseMs * EXTEND_AT : undefined,
    failures: 0,
    retryAtMs: -Infinity,
  };
  return then(settled(running.ask, undefined), proceed(extended, nowMs, rules));
}

function verifyAnswered(
  state: HeldState,
  verdict: Verdict,
  nowMs: number,
  rules: LeaseRules,
): Step {
  const { running } = state;
  if (running?.is !== 'verify') return [state, []];
  switch (verdict.is) {
    case 'taken':
      return lose('taken');
    case 'deleted':
      return lose(worse(state.doubt, running.doubt) === 'flush' ? 'flushed' : 'deleted');
    case 'ours': {
      const next: HeldState = { ...state, running: undefined, failures: 0, retryAtMs: -Infinity };
      return proceed(
        repaired(next, running.sentAtMs, verdict.remainingMs, nowMs, rules),
        nowMs,
        rules,
      );
    }
    default:
      return assertNever(verdict);
  }
}

/**
 * Somebody may have changed how long the lease lasts. Cut short, it ends sooner than we believed,
 * and is extended at once; made longer, or without end, it would outlive us and stall the others.
 */
function repaired(
  state: HeldState,
  askedAtMs: number,
  remainingMs: number,
  nowMs: number,
  rules: LeaseRules,
): HeldState {
  const toleranceMs = driftMs(state.leaseMs, rules.driftRatio);
  // Counted from before the send, as every deadline: the answer may have come long after it was true.
  const shortened = askedAtMs + remainingMs < state.serverEndAtMs - toleranceMs;
  const lengthened =
    remainingMs > Math.max(state.leaseMs, state.serverEndAtMs - askedAtMs) + toleranceMs;
  if (!shortened && !lengthened) return state;
  const endsAtMs = askedAtMs + remainingMs - driftMs(remainingMs, rules.driftRatio);
  const deadlineAtMs = shortened ? Math.min(state.deadlineAtMs, endsAtMs) : state.deadlineAtMs;
  return { ...state, deadlineAtMs, extendAtMs: nowMs };
}

function unanswered(state: HeldState, error: unknown, nowMs: number, rules: LeaseRules): Step {
  const { running } = state;
  if (running === undefined) return [state, []];
  const failures = state.failures + 1;
  const pauseMs = Math.min(
    FIRST_RETRY_MS * 2 ** (failures - 1),
    LONGEST_RETRY_MS,
    state.leaseMs * LONGEST_RETRY,
  );
  const doubt =
    running.is === 'verify'
      ? worse(state.doubt, running.doubt)
      : doubtFrom(state.echoes, state.doubt);
  const next: HeldState = {
    ...state,
    doubt,
    running: undefined,
    failures,
    retryAtMs: nowMs + pauseMs,
  };
  const ask = running.is === 'extend' ? running.ask : undefined;
  return then(settled(ask, error), proceed(next, nowMs, rules));
}

/** What to do next, if anything: the one place that decides on a command, or that time is over. */
function proceed(state: HeldState, nowMs: number, rules: LeaseRules): Step {
  if (nowMs >= state.deadlineAtMs) return lose(overdue(state));
  if (state.running !== undefined) return [state, []];
  const [ask, ...asked] = state.asked;
  if (ask !== undefined) return extend({ ...state, asked }, ask.leaseMs, ask.id, nowMs, rules);
  if (!state.connected || nowMs < state.retryAtMs) return [state, []];
  if (state.doubt !== undefined) {
    const running = { is: 'verify', sentAtMs: nowMs, doubt: state.doubt } as const;
    return [{ ...state, doubt: undefined, echoes: NO_ECHOES, running }, [{ do: 'verify' }]];
  }
  if (nowMs >= rules.extendUntilAtMs) return [{ ...state, extendAtMs: undefined }, []];
  if (nowMs < extensionAtMs(state, rules)) return [state, []];
  // Without automatic extension this one repairs: it gives back what the lease had left.
  const leaseMs = rules.autoExtend
    ? state.leaseMs
    : Math.max(1, Math.ceil(state.serverEndAtMs - nowMs));
  return extend(state, leaseMs, undefined, nowMs, rules);
}

function extend(
  state: HeldState,
  leaseMs: number,
  ask: number | undefined,
  sentAtMs: number,
  rules: LeaseRules,
): Step {
  const endsAtMs = sentAtMs + leaseMs;
  const deadlineAtMs = Math.min(state.deadlineAtMs, endsAtMs - driftMs(leaseMs, rules.driftRatio));
  const serverEndAtMs = Math.min(state.serverEndAtMs, endsAtMs);
  // Unanswered, it may have made the lease so short that the next extension would come too late.
  const extendAtMs =
    state.extendAtMs === undefined
      ? undefined
      : Math.min(state.extendAtMs, sentAtMs + leaseMs * EXTEND_AT);
  const running = { is: 'extend', sentAtMs, leaseMs, ask } as const;
  const next = { ...state, deadlineAtMs, serverEndAtMs, extendAtMs, running };
  return [next, [{ do: 'extend', leaseMs }]];
}

/** When the lease is extended unasked; `Infinity` for never. */
function extensionAtMs(state: HeldState, rules: LeaseRules): number {
  const atMs = state.extendAtMs ?? Infinity;
  return Math.max(atMs, state.retryAtMs) < rules.extendUntilAtMs ? atMs : Infinity;
}

function lose(reason: LossReason): Step {
  return [{ is: 'lost', reason }, [{ do: 'abort', reason }]];
}

function overdue(state: HeldState): LossReason {
  return state.connected ? 'expired' : 'disconnected';
}

function doubtOf(what: 'flushed' | 'severed'): Doubt {
  return what === 'flushed' ? 'flush' : 'disconnect';
}

const WEIGHT: Readonly<Record<Doubt, number>> = { push: 0, disconnect: 1, flush: 2 };

function worse(a: Doubt | undefined, b: Doubt): Doubt {
  return a !== undefined && WEIGHT[a] > WEIGHT[b] ? a : b;
}

/** Called when no write is under way: now a push too many is somebody else's. */
function doubtFrom(echoes: Echoes, doubt: Doubt | undefined): Doubt | undefined {
  return unexplained(echoes) ? worse(doubt, 'push') : doubt;
}

function settled(ask: number | undefined, error: unknown): readonly LeaseEffect[] {
  return ask === undefined ? [] : [{ do: 'settle', ask, error }];
}

function then(first: readonly LeaseEffect[], [state, effects]: Step): Step {
  return [state, [...first, ...effects]];
}

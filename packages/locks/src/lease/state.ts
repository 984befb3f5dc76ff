import type { LossReason } from '../errors.ts';
import type { Extension, Verdict } from './commands.ts';
import type { Echoes } from './echoes.ts';

/**
 * Life of one lease.
 *
 * ```
 *          acquiring             granted             release
 *   idle ────────────▶ acquiring ───────▶ held ─────────────────▶ releasing
 *     │                 ▲  │ │             │ │
 *     │       acquiring └──┘ │             │ │ deadline passed · Redis says deleted or taken · lose
 *     │                      │             │ └──────────────────▶ lost
 *     └───── end ────────────┴──── end ────┴────────────────────▶ ended
 * ```
 *
 * L1  `deadlineAtMs` is never later than the server's own end of the lease: it counts from before
 *     the send of the last write that Redis confirmed, less drift, and from a shorter one already
 *     when it is sent, since it may run without being answered (I10).
 * L2  No event finds the lease held at or after its deadline: each carries the time.
 * L3  At most one extension or look at the key is under way, so an answer is never older than the
 *     state it changes. A release waits for nothing: it compares, and so does what it overtakes.
 * L4  A push that our own writes don't explain is followed by a look at the key, however many come
 *     meanwhile; a look that a push overtakes is repeated. Own writes alone never cause one.
 * L5  While the connection is down nothing is sent but what a caller asks for; when it is up again
 *     the first thing is a look at the key, which also makes the new connection track it.
 * L6  Nothing leads out of `lost`, `releasing` and `ended`.
 */
export type LeaseState =
  | { readonly is: 'idle'; readonly connected: boolean }
  | AcquiringState
  | HeldState
  | { readonly is: 'lost'; readonly reason: LossReason }
  | { readonly is: 'releasing' }
  | { readonly is: 'ended' };

export interface AcquiringState {
  readonly is: 'acquiring';
  readonly connected: boolean;
  readonly sentAtMs: number;
  readonly echoes: Echoes;
  readonly doubt: Doubt | undefined;
}

export interface HeldState {
  readonly is: 'held';
  readonly connected: boolean;
  readonly echoes: Echoes;
  /** Set: the key may no longer be ours and must be looked at. */
  readonly doubt: Doubt | undefined;
  /** How long the next extension is for. */
  readonly leaseMs: number;
  /** The server keeps the lease at least until then, unless somebody interferes. */
  readonly serverEndAtMs: number;
  readonly deadlineAtMs: number;
  readonly running: Running | undefined;
  /** Extensions that callers asked for, oldest first. */
  readonly asked: readonly Ask[];
  /** When to extend without being asked. */
  readonly extendAtMs: number | undefined;
  /** How often in a row Redis did not answer, and when to try again. */
  readonly failures: number;
  readonly retryAtMs: number;
}

/** What made us doubt; a flush explains best why a key is gone. */
export type Doubt = 'push' | 'disconnect' | 'flush';

interface Ask {
  readonly id: number;
  readonly leaseMs: number;
}

type Running =
  | {
      readonly is: 'extend';
      readonly sentAtMs: number;
      readonly leaseMs: number;
      readonly ask: number | undefined;
    }
  | { readonly is: 'verify'; readonly sentAtMs: number; readonly doubt: Doubt };

export type LeaseEvent = { readonly nowMs: number } & (
  | { readonly is: 'acquiring' }
  /** `echoes`: the pushes of our own that the grant causes. */
  | { readonly is: 'granted'; readonly echoes: number }
  | { readonly is: 'pushed' }
  | { readonly is: 'flushed' }
  /** Pushes may have been missed: the connection was lost, or another one is listened to now. */
  | { readonly is: 'severed' }
  | { readonly is: 'connection'; readonly up: boolean }
  /** Time has passed, or somebody looks. */
  | { readonly is: 'tick' }
  | { readonly is: 'asked'; readonly id: number; readonly leaseMs: number | undefined }
  | { readonly is: 'extend-answered'; readonly answer: Extension }
  | { readonly is: 'verify-answered'; readonly verdict: Verdict }
  | { readonly is: 'unanswered'; readonly error: unknown }
  /** The rules are others from now on. */
  | { readonly is: 'ruled' }
  | { readonly is: 'release' }
  | { readonly is: 'end' }
  | { readonly is: 'lose'; readonly reason: LossReason }
);

export type LeaseEffect =
  | { readonly do: 'extend'; readonly leaseMs: number }
  | { readonly do: 'verify' }
  /** Answers one caller of extend(). */
  | { readonly do: 'settle'; readonly ask: number; readonly error: unknown }
  /** The lease is lost: say so to everybody and stop listening. */
  | { readonly do: 'abort'; readonly reason: LossReason }
  /** The lease is given up: stop listening. */
  | { readonly do: 'stop' }
  /** Tell the owner about a push that is not surely our own echo. */
  | { readonly do: 'tell-foreign' };

/** What its owner wants of a lease. */
export interface LeaseRules {
  readonly leaseMs: number;
  readonly driftRatio: number;
  readonly autoExtend: boolean;
  /** No extension that nobody asked for from then on. */
  readonly extendUntilAtMs: number;
}

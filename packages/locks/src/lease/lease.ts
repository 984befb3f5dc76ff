import type { Clock, Timer } from '@redcache/core';
import { assertNever, callSafely } from '@redcache/core/toolkit';
import { LockLostError, type LossReason } from '../errors.ts';
import type { LeaseCommands } from './commands.ts';
import { unexplained } from './echoes.ts';
import type { Heard, Listen } from './listen.ts';
import type { LeaseEffect, LeaseEvent, LeaseRules, LeaseState } from './state.ts';
import { transition, wakeAtMs } from './transition.ts';

export interface LeaseOptions {
  /** The key as its user knows it, for errors. */
  readonly label: string;
  readonly leaseMs: number;
  /** How much of a lease clocks may disagree about; see {@link Lease.remainingMs}. */
  readonly driftRatio: number;
  /** Extend at a third of the lease, again and again. */
  readonly autoExtend: boolean;
  /** No automatic extension from this time of the clock on. */
  readonly extendUntilAtMs?: number | undefined;
  readonly clock: Clock;
  /** What befalls the lease in Redis, and the connection. */
  readonly listen: Listen;
  readonly commands: LeaseCommands;
  /**
   * Called synchronously, from the send of the acquiring script on, at any push of the key that is
   * not surely our own echo, at a flush and at a disconnect. A push that comes while a command of
   * ours is under way may be its echo: {@link Lease.isDoubted} says what became of it once the
   * reply is there.
   */
  readonly onForeignPush?: (() => void) | undefined;
  /** Called once, after the signal was aborted. */
  readonly onLost?: ((reason: LossReason, lease: Lease) => void) | undefined;
}

/**
 * Keeps a lease that stands in a key of Redis: extends it in time, notices that it is lost, and
 * knows at any moment whether it can still be relied on. What is stored in the key and by which
 * scripts is up to its `commands`.
 *
 * Construct it before the acquiring script is sent, so that no push is missed; call
 * {@link acquiring} right before the send, and {@link held} or {@link abandon} when it was
 * answered. See `state.ts` for its life.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #rules: LeaseRules;
  #asks: Map<number, { resolve(): void; reject(error: unknown): void }> | undefined;
  #state: LeaseState = { is: 'idle', connected: false };
  #nextAsk = 0;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  #timerAtMs: number | undefined;
  #releasing: Promise<'released' | 'lost'> | undefined;
  #stopListening: () => void;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#rules = {
      leaseMs: options.leaseMs,
      driftRatio: options.driftRatio,
      autoExtend: options.autoExtend,
      extendUntilAtMs: options.extendUntilAtMs ?? Infinity,
    };
    this.#stopListening = this.#listenBy(options.listen);
  }

  /** The acquiring script is about to be sent (again): the deadline counts from here. */
  acquiring(): void {
    this.#dispatch({ is: 'acquiring', nowMs: this.#nowMs });
  }

  /**
   * The acquiring script has written the lease; so many echoes of it are expected. If that took
   * longer than the lease is good for, it is lost already.
   */
  held(echoes: number): void {
    this.#dispatch({ is: 'granted', echoes, nowMs: this.#nowMs });
  }

  /** The acquiring script did not get the lease, or failed. Idempotent. */
  abandon(): void {
    this.end();
  }

  /**
   * The key holds no lease any more because its owner replaced it, in one step, by something else:
   * nothing is left to release, and the signal never aborts. Idempotent.
   */
  end(): void {
    this.#dispatch({ is: 'end', nowMs: this.#nowMs });
  }

  /** Gives the lease up without telling Redis. */
  lose(reason: LossReason): void {
    this.#dispatch({ is: 'lose', reason, nowMs: this.#nowMs });
  }

  /**
   * Aborted with {@link LockLostError} when the lease is lost. Looking at it looks at the clock, so
   * that a process that was stopped past the lease sees the loss at its first look (I10).
   */
  get signal(): AbortSignal {
    const state = this.#look();
    this.#abort ??= new AbortController();
    if (state.is === 'lost' && !this.#abort.signal.aborted)
      this.#abort.abort(this.#lostError(state.reason));
    return this.#abort.signal;
  }

  /** How long it is extended for. */
  get leaseMs(): number {
    return this.#state.is === 'held' ? this.#state.leaseMs : this.#rules.leaseMs;
  }

  get autoExtends(): boolean {
    return this.#rules.autoExtend;
  }

  /** Looks at the clock, not at a timer. */
  get isHeld(): boolean {
    return this.#look().is === 'held';
  }

  get isLost(): boolean {
    return this.#look().is === 'lost';
  }

  /**
   * A push, a flush or a disconnect has put the lease in doubt, and Redis has not answered yet; also a
   * push while an extension is under way, which may turn out to be its echo.
   */
  get isDoubted(): boolean {
    const state = this.#state;
    if (state.is !== 'held') return false;
    if (state.doubt !== undefined || state.running?.is === 'verify') return true;
    return unexplained(state.echoes);
  }

  /** Somebody has asked for an extension, and was not answered yet. */
  get isAsked(): boolean {
    return this.#asks !== undefined && this.#asks.size > 0;
  }

  /** How long the lease can still be relied on, drift taken off; 0 when it is held no more. */
  remainingMs(): number {
    const state = this.#look();
    return state.is === 'held' ? Math.max(0, state.deadlineAtMs - this.#nowMs) : 0;
  }

  /**
   * Sets the remaining time to `leaseMs`, by default the lease as it is; a shorter one really
   * shortens it. Automatic extensions are for the new length from then on.
   *
   * Resolves: when Redis has confirmed it.
   * Throws: {@link LockLostError} if the lease is lost, before or meanwhile, or was given up; what
   * the command rejects with if it was not answered: the lease then lasts as long as the shorter.
   */
  extend(leaseMs?: number): Promise<void> {
    const state = this.#look();
    if (state.is !== 'held') return Promise.reject(this.#lostError(reasonOf(state)));
    return new Promise((resolve, reject) => {
      const id = this.#nextAsk++;
      this.#asks ??= new Map();
      this.#asks.set(id, { resolve, reject });
      this.#dispatch({ is: 'asked', id, leaseMs, nowMs: this.#nowMs });
    });
  }

  /**
   * Gives the lease back. From this call on it is not held and never extended. Called again it
   * answers the same; after a failure it tries again.
   *
   * Resolves: 'lost' if it is no longer ours; that is no error.
   * Throws: what the command rejects with if it was not answered: the lease then ends by itself.
   */
  release(): Promise<'released' | 'lost'> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  /** What is wanted of it from now on. The time that it has left is not changed by that. */
  rule(wanted: Pick<LeaseRules, 'leaseMs' | 'autoExtend'>): void {
    this.#rules = { ...this.#rules, ...wanted };
    this.#dispatch({ is: 'ruled', nowMs: this.#nowMs });
  }

  /** From now on the lease is kept over another connection: its pushes count, and it is asked first. */
  moveTo(listen: Listen): void {
    const { is } = this.#look();
    if (is !== 'held' && is !== 'acquiring') return;
    this.#stopListening();
    this.#stopListening = this.#listenBy(listen);
    this.#dispatch({ is: 'severed', nowMs: this.#nowMs });
  }

  #release(): Promise<'released' | 'lost'> {
    this.#dispatch({ is: 'release', nowMs: this.#nowMs });
    if (this.#state.is !== 'releasing') return Promise.resolve('lost');
    return this.#options.commands.release().catch((error: unknown) => {
      this.#releasing = undefined;
      throw error;
    });
  }

  get #nowMs(): number {
    return this.#options.clock.nowMs();
  }

  #look(): LeaseState {
    const state = this.#state;
    const nowMs = this.#nowMs;
    if (state.is === 'held' && nowMs >= state.deadlineAtMs) this.#dispatch({ is: 'tick', nowMs }); // guard: I10
    return this.#state;
  }

  #listenBy(listen: Listen): () => void {
    let stopped = false;
    const stop = listen((heard) => {
      // One that moves to another connection because this one is lost is told of the loss all the
      // same, if it stood further down the list; but it is no concern of its own any more.
      if (!stopped) this.#hear(heard);
    });
    return () => {
      stopped = true;
      stop();
    };
  }

  #hear(heard: Heard): void {
    const nowMs = this.#nowMs;
    switch (heard) {
      case 'up':
      case 'down':
        this.#dispatch({ is: 'connection', up: heard === 'up', nowMs });
        break;
      case 'push':
        this.#dispatch({ is: 'pushed', nowMs });
        break;
      case 'flush':
        this.#dispatch({ is: 'flushed', nowMs });
        break;
      case 'disconnect':
      case 'close':
        this.#dispatch({ is: 'severed', nowMs });
        break;
      default:
        assertNever(heard);
    }
  }

  #dispatch(event: LeaseEvent): void {
    const [state, effects] = transition(this.#state, event, this.#rules);
    this.#state = state;
    this.#setTimer();
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: LeaseEffect): void {
    const { commands, onForeignPush } = this.#options;
    switch (effect.do) {
      case 'extend':
        commands.extend(effect.leaseMs).then(
          (answer) => this.#dispatch({ is: 'extend-answered', answer, nowMs: this.#nowMs }),
          (error: unknown) => this.#dispatch({ is: 'unanswered', error, nowMs: this.#nowMs }),
        );
        break;
      case 'verify':
        commands.verify().then(
          (verdict) => this.#dispatch({ is: 'verify-answered', verdict, nowMs: this.#nowMs }),
          (error: unknown) => this.#dispatch({ is: 'unanswered', error, nowMs: this.#nowMs }),
        );
        break;
      case 'settle':
        this.#settle(effect.ask, effect.error);
        break;
      case 'abort':
        this.#lost(effect.reason);
        break;
      case 'stop':
        this.#stopListening();
        this.#rejectAsks('closed');
        break;
      case 'tell-foreign':
        if (onForeignPush) callSafely('onForeignPush', onForeignPush);
        break;
      default:
        assertNever(effect);
    }
  }

  #lost(reason: LossReason): void {
    this.#stopListening(); // guard: I14
    this.#abort?.abort(this.#lostError(reason)); // guard: I10
    this.#rejectAsks(reason);
    this.#options.onLost?.(reason, this);
  }

  #settle(ask: number, error: unknown): void {
    const waiting = this.#asks?.get(ask);
    this.#asks?.delete(ask);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(error);
  }

  #rejectAsks(reason: LossReason): void {
    if (this.#asks === undefined) return;
    for (const ask of [...this.#asks.keys()]) this.#settle(ask, this.#lostError(reason));
  }

  #setTimer(): void {
    const atMs = wakeAtMs(this.#state, this.#rules);
    if (atMs === this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = undefined;
    if (atMs === undefined) return;
    this.#timer = this.#options.clock.setTimer(Math.max(0, atMs - this.#nowMs), () => {
      this.#timerAtMs = undefined;
      this.#dispatch({ is: 'tick', nowMs: this.#nowMs });
    });
  }

  #lostError(reason: LossReason): LockLostError {
    return new LockLostError(this.#options.label, reason);
  }
}

/** A lease that was given back can't be extended either. */
function reasonOf(state: LeaseState): LossReason {
  return state.is === 'lost' ? state.reason : 'closed';
}

import { assertNever } from '../assert-never.ts';
import { publish } from '../channels.ts';
import type { Clock, Timer } from '../clock.ts';
import { TOPOLOGY_QUESTIONS, topologyOf } from '../cluster/topology.ts';
import type { TrackingPort } from '../ports.ts';
import { isServerError } from '../script.ts';
import type { Line } from '../store/guard.ts';
import { Source } from '../store/source.ts';
import { type HandshakeOutcome, saysUntracked, shakeHands } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Hub } from './hub.ts';
import { covers, type TrackingRules } from './options.ts';
import { INITIAL, type TrackingEffect, type TrackingEvent, type TrackingState } from './state.ts';
import { transition } from './transition.ts';

/** What a session needs of the engine it belongs to. */
export interface SessionParts {
  readonly clock: Clock;
  readonly hub: Hub;
  readonly rules: TrackingRules;
  readonly onConnected: () => void;
  /** Whether anybody depends on the engine, whichever connection it is that serves them. */
  readonly isNeeded: () => boolean;
  /** Nobody did, so that nothing is asked of the connection until {@link TrackingSession.watch}. */
  readonly onRest: () => void;
  /** The server does not track it, or its pushes do not arrive. */
  readonly onUntracked: (reason: unknown) => void;
  readonly onTracked: () => void;
}

/** How old an entry may become where pushes could not be proved and `maxStaleness` is no bound. */
const LONGEST_UNVERIFIED_MS = 2_000;

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** Sessions of one process are told apart in their probe keys by this, and processes by chance. */
let sessions = 0;
const PROCESS = Math.random().toString(36).slice(2, 12);

/**
 * Drives the protocol of one connection: performs its effects, feeds back what comes of them, and
 * watches its heartbeat.
 */
export class TrackingSession implements Line {
  readonly rules: TrackingRules;
  readonly #clock: Clock;
  readonly #hub: Hub;
  readonly #heartbeat: Heartbeat;
  readonly #parts: SessionParts;
  readonly #probeId: string;
  #port: TrackingPort | undefined;
  #state: TrackingState = INITIAL;
  #source: Source | undefined;
  #topology: string | undefined;
  #retry: Timer | undefined;
  #retryMs = FIRST_RETRY_MS;
  #silences = 0;
  #connects = 0;
  #reported: TrackingState['is'] | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.rules = parts.rules;
    this.#clock = parts.clock;
    this.#hub = parts.hub;
    sessions += 1;
    this.#probeId = `${PROCESS}-${sessions}`;
    this.#heartbeat = new Heartbeat(parts.clock, parts.rules.maxStalenessMs, {
      isNeeded: () => this.#isNeeded(),
      beat: () => void this.check(),
      silent: () => this.#silent(),
    });
  }

  get state(): TrackingState {
    return this.#state;
  }

  /** The connection as it is now; none while it is down or cannot be tracked. */
  get source(): Source | undefined {
    return this.#source;
  }

  /** How often it came up after the first time. */
  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** How often it was replaced because it was silent. */
  get silences(): number {
    return this.#silences;
  }

  /** As {@link reconnects}, for whoever counts them from now on. */
  takeReconnects(): number {
    const taken = this.reconnects;
    this.#connects = Math.min(this.#connects, 1);
    return taken;
  }

  takeSilences(): number {
    const taken = this.#silences;
    this.#silences = 0;
    return taken;
  }

  /** When something was last heard, on the engine's clock; `-Infinity`: not yet. */
  get heardAtMs(): number {
    return this.#heartbeat.answeredAtMs;
  }

  /** Whether one push, and exactly one, follows a script of ours that reads, writes and reads a key. */
  get echoesWrites(): boolean {
    return !this.rules.noLoop && typeof this.rules.mode === 'string';
  }

  /** Whether a change of these keys would be pushed. */
  covers(keys: readonly string[]): boolean {
    return covers(this.rules.mode, keys);
  }

  /** The host of the session: where its commands go. Without one, its connection counts as tracked. */
  drive(port: TrackingPort): void {
    this.#port = port;
  }

  dispatch(event: TrackingEvent): void {
    if (event.is === 'connected' && this.#state.is !== 'closed') {
      this.#connects += 1;
      this.#parts.onConnected();
    }
    const [state, effects] = transition(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  /** Somebody depends on the engine from now on, so that silence matters. */
  watch(): void {
    if (this.#source === undefined || this.#port === undefined) return;
    const rested = this.#heartbeat.watch();
    // While it rested nobody asked for the slots, so that no hit would be served until the next beat.
    if (rested && this.#isClustered && this.#serves()) void this.check();
  }

  get #isClustered(): boolean {
    return this.#port?.cluster === true;
  }

  /**
   * A command sent at `sentAtMs` was answered: every push that the server sent before has been
   * received, since both come in order. In a cluster that is not enough to serve hits: the node may
   * have lost its slots, which it says only when asked.
   */
  heard(source: Source, sentAtMs: number): void {
    if (source !== this.#source) return; // guard: T3
    this.#heartbeat.answered();
    if (!this.#isClustered) this.#serveFrom(source, sentAtMs);
  }

  /**
   * Something was pushed here, so the connection lives, though that says nothing of how fresh its
   * copies are: the answer to a beat may be behind many more pushes. One that is not tracked yet
   * pushes nothing: that comes from the one before.
   */
  pushed(): void {
    if (this.#source?.tracked === true) this.#heartbeat.answered(); // guard: T3
  }

  /**
   * Asks the server whether it still tracks the connection, and in a cluster who owns the slots.
   *
   * Sends: `CLIENT TRACKINGINFO`, in a cluster {@link TOPOLOGY_QUESTIONS} as well. Never rejects.
   */
  async check(): Promise<void> {
    const port = this.#port;
    const source = this.#source;
    if (port === undefined || source === undefined) return;
    const sentAtMs = this.#clock.nowMs();
    try {
      const questions = [
        ['CLIENT', 'TRACKINGINFO'],
        ...(this.#isClustered ? TOPOLOGY_QUESTIONS : []),
      ];
      const [info, ...topology] = await Promise.all(
        questions.map((question) => port.send(question).catch(unlessLost)),
      );
      if (source !== this.#source) return; // guard: T3
      this.#heartbeat.heard();
      const moved = this.#isClustered && topologyOf(topology) !== this.#topology;
      if (saysUntracked(info) || moved) this.dispatch({ is: 'changed' });
      else this.#serveFrom(source, sentAtMs);
    } catch {
      // The connection was lost, which its host will say, or its host did not send it.
      if (source === this.#source) this.#heartbeat.unasked();
    }
  }

  #serveFrom(source: Source, sentAtMs: number): void {
    if (!this.#serves()) return; // guard: T5
    const untilMs = sentAtMs + this.rules.maxStalenessMs;
    if (untilMs > source.servesUntilMs) source.servesUntilMs = untilMs;
  }

  #serves(): boolean {
    return this.#state.is === 'tracking' || this.#state.is === 'unverified';
  }

  #perform(effect: TrackingEffect): void {
    switch (effect.do) {
      case 'enable':
        this.#enable(effect.generation);
        break;
      case 'lose':
        this.#lose();
        break;
      case 'serve':
        this.#serve();
        break;
      case 'retry-later':
        this.#retryLater();
        break;
      case 'report':
        this.#report();
        break;
      default:
        assertNever(effect);
    }
  }

  #enable(generation: number): void {
    const source = new Source(this);
    this.#source = source;
    this.#retry?.cancel();
    this.#retry = undefined;
    const enabled = (): void => {
      source.tracked = true;
      this.dispatch({ is: 'enabled', generation });
    };
    const port = this.#port;
    if (port === undefined) {
      enabled();
      this.dispatch({ is: 'verified', generation });
      return;
    }
    this.#heartbeat.watch();
    const sentAtMs = this.#clock.nowMs();
    shakeHands({
      port,
      rules: this.rules,
      probeId: `${this.#probeId}-${generation}`,
      onPushOf: (key, listener) =>
        this.#hub.listen(key, (cause, line) => {
          // In broadcast mode others hear of the key as well, which proves nothing for this one.
          if (cause === 'push' && (line === undefined || line === this)) listener();
        }),
      onEnabled: enabled,
      onProved: () => this.#shookHands({ is: 'verified' }, generation, sentAtMs),
      onTopology: (topology) => {
        if (source === this.#source) this.#topology = topology;
      },
    }).then((outcome) => this.#shookHands(outcome, generation, sentAtMs));
  }

  #shookHands(outcome: HandshakeOutcome, generation: number, sentAtMs: number): void {
    if (outcome.is === 'gone') {
      if (generation === this.#state.generation) this.#beginAnewLater();
      return;
    }
    this.dispatch({ ...outcome, generation });
    if (generation !== this.#state.generation || this.#source === undefined) return; // guard: T3
    this.#heartbeat.heard();
    this.#serveFrom(this.#source, sentAtMs);
  }

  #lose(): void {
    const source = this.#source;
    this.#source = undefined; // guard: T1
    this.#topology = undefined;
    this.#heartbeat.stop(); // guard: I14
    this.#retry?.cancel(); // guard: I14
    this.#retry = undefined;
    // Only where the connection itself was lost: in all other cases somebody knows better.
    if (source !== undefined) this.#hub.lose(source, this.#state.is === 'down'); // guard: T2, I4
  }

  #serve(): void {
    this.#retryMs = FIRST_RETRY_MS;
    if (this.#state.is === 'unverified') this.#boundAges(); // guard: T5
    // A host that sees to tracking itself; otherwise what was heard says until when.
    if (this.#port === undefined && this.#source !== undefined)
      this.#source.servesUntilMs = Number.POSITIVE_INFINITY;
  }

  /** What was filed while nobody knew yet has no such bound, so it goes. */
  #boundAges(): void {
    const before = this.#source;
    const bounded = new Source(this);
    bounded.tracked = true;
    bounded.maxAgeMs = Math.min(this.rules.maxStalenessMs, LONGEST_UNVERIFIED_MS); // guard: T5
    this.#source = bounded;
    if (before !== undefined) this.#hub.lose(before, false); // guard: T5
  }

  #retryLater(): void {
    this.#retry = this.#clock.setTimer(this.#retryMs, () => this.dispatch({ is: 'retry' }));
    this.#retry.unref?.();
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  /** Should the connection stand all the same, it was its host that sent nothing. */
  #beginAnewLater(): void {
    if (this.#source === undefined) return;
    this.#retry = this.#clock.setTimer(this.#retryMs, () => this.dispatch({ is: 'changed' }));
    this.#retry.unref?.();
  }

  #report(): void {
    const state = this.#state;
    if (state.is === 'untracked') this.#parts.onUntracked(state.reason);
    else if (this.#serves()) this.#parts.onTracked();
    // One that is asked again and again and always refuses has nothing new to say.
    if (state.is === this.#reported) return;
    this.#reported = state.is;
    publish('redcache:connection', () =>
      'reason' in state ? { state: state.is, reason: state.reason } : { state: state.is },
    );
  }

  #isNeeded(): boolean {
    const source = this.#source;
    if (source === undefined) return false;
    // Others count as much as this one: what a lost connection fails is asked again on another, and
    // must not wait as long again until that one is found to be lost as well.
    if (!this.#serves() || this.#parts.isNeeded()) return true;
    this.#parts.onRest();
    return false;
  }

  #silent(): void {
    const port = this.#port;
    if (port?.replace === undefined || port.blocked === true || !this.rules.replaceSilent) return;
    this.#silences += 1;
    publish('redcache:silent', () => ({ silentForMs: this.#clock.nowMs() - this.heardAtMs }));
    port.replace(); // guard: I4
  }
}

/** A server that refuses the question has answered all the same. */
function unlessLost(error: unknown): undefined {
  if (!isServerError(error)) throw error;
  return undefined;
}

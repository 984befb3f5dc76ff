import type { Ground } from '../ground.ts';
import { nowMs } from '../now.ts';
import type { Read } from './read-log.ts';

/** The server stays away for this part of the run, but no longer than the second figure. */
const AWAY_RATIO = 0.15;
const LONGEST_AWAY_MS = 3000;

type Phase =
  | { readonly is: 'before' }
  | { readonly is: 'away'; readonly fromMs: number }
  | {
      readonly is: 'back';
      readonly fromMs: number;
      readonly toMs: number;
      /** When the first read began that was answered from memory again. */
      readonly cachingAgainAtMs: number | undefined;
    };

/** Kills Redis in the middle of the run, starts it again, and sees what that does to the reads. */
export class Outage {
  readonly #ground: Ground;
  readonly #runMs: number;
  #phase: Phase = { is: 'before' };
  /** Reads that began while Redis was away. */
  readsMeanwhile = 0;
  loadedMeanwhile = 0;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(ground: Ground, runMs: number) {
    this.#ground = ground;
    this.#runMs = runMs;
  }

  get isNow(): boolean {
    return this.#phase.is === 'away';
  }

  /** From its end to its new start; `undefined` as long as there was none. */
  get awayMs(): number | undefined {
    return this.#phase.is === 'back' ? this.#phase.toMs - this.#phase.fromMs : undefined;
  }

  /** How long after its new start a read was answered from a process's memory again. */
  get cachingAgainAfterMs(): number | undefined {
    if (this.#phase.is !== 'back' || this.#phase.cachingAgainAtMs === undefined) return undefined;
    return this.#phase.cachingAgainAtMs - this.#phase.toMs;
  }

  start(onError: (error: unknown) => void): void {
    const awayMs = Math.min(this.#runMs * AWAY_RATIO, LONGEST_AWAY_MS);
    this.#timer = setTimeout(() => {
      this.#work = this.#happen(awayMs).catch(onError);
    }, this.#runMs * 0.4);
  }

  /** Resolves when Redis answers again, if it was taken away. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#work;
  }

  /** Every read that is reported goes through here. */
  see(read: Read): void {
    const phase = this.#phase;
    if (phase.is === 'before' || read.beganAtMs < phase.fromMs) return;
    if (phase.is === 'away' || read.beganAtMs < phase.toMs) {
      this.readsMeanwhile += 1;
      if (read.source === 'loaded') this.loadedMeanwhile += 1;
    } else if (read.source === 'local' && phase.cachingAgainAtMs === undefined) {
      this.#phase = { ...phase, cachingAgainAtMs: read.beganAtMs };
    }
  }

  async #happen(awayMs: number): Promise<void> {
    await this.#ground.kill();
    const fromMs = nowMs();
    this.#phase = { is: 'away', fromMs };
    await new Promise((resolve) => setTimeout(resolve, awayMs));
    // Readers may find it before this process does, which has all their queries to answer.
    this.#phase = { is: 'back', fromMs, toMs: nowMs(), cachingAgainAtMs: undefined };
    await this.#ground.restart();
  }
}

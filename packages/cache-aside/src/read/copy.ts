import type { Member } from '../groups/groups.ts';

/** What is known of a value when it is kept. */
export interface CopyFacts extends Member {
  readonly value: unknown;
  /** Tells it from every other value of its key; `''` for what another program wrote. */
  readonly id: string;
  /** For how long it was written as fresh. */
  readonly ttlMs: number;
  /** How long its loader took. */
  readonly loadMs: number;
  /** When it ages, by the engine's clock. */
  readonly freshUntilMs: number;
}

/**
 * A value as this process keeps it, and what decides on how it may be served. How long it may be served
 * at all is the engine's to know (I3), and whether somebody has changed it.
 */
export class Copy implements CopyFacts {
  readonly value: unknown;
  readonly id: string;
  readonly ttlMs: number;
  readonly loadMs: number;
  readonly freshUntilMs: number;
  readonly epoch: number;
  readonly tags: readonly string[];
  /**
   * There is nothing to decide until it ends: nothing but the end makes it stale, and nobody loads it
   * anew before.
   */
  readonly isPlain: boolean;
  /** Uses since {@link hotSinceMs}; counted only where hot keys are wanted. */
  uses = 0;
  hotSinceMs: number = Number.NEGATIVE_INFINITY;
  /** What every caller gets, where all may share it: made with the first hit, so that others make nothing. */
  handedOut: Promise<unknown> | undefined = undefined;

  constructor(facts: CopyFacts, isPlain: boolean) {
    this.value = facts.value;
    this.id = facts.id;
    this.ttlMs = facts.ttlMs;
    this.loadMs = facts.loadMs;
    this.freshUntilMs = facts.freshUntilMs;
    this.epoch = facts.epoch;
    this.tags = facts.tags;
    this.isPlain = isPlain;
  }

  /** How long ago it was written, as far as this process can tell; never below 0. */
  ageMs(nowMs: number): number {
    return Math.max(0, nowMs - (this.freshUntilMs - this.ttlMs));
  }
}

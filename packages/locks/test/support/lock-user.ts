import { type ManualClock, settled } from '@redcache/core/testing';
import fc from 'fast-check';
import type { Lock } from '../../src/lock.ts';
import { pass } from './pass.ts';

/** How one of the users asks for the lock. */
export interface Asking {
  readonly user: number;
  readonly leaseMs: number;
  readonly autoExtend: boolean;
}

/** What may happen next wherever users want a lock; `which` of those that one has, its last if not said. */
export type CommonStep =
  | (Asking & { readonly is: 'acquire' })
  | { readonly is: 'abort' | 'release'; readonly user: number; readonly which?: number }
  | {
      readonly is: 'extend';
      readonly user: number;
      readonly which?: number;
      readonly leaseMs: number;
    }
  | { readonly is: 'advance' | 'jump'; readonly byMs: number };

const byMs = fc.integer({ min: 1, max: 1_500 });

/** Time passes, nearly always with its timers. */
export const TIME_STEPS: readonly fc.WeightedArbitrary<CommonStep>[] = [
  { weight: 6, arbitrary: fc.record({ is: fc.constant('advance'), byMs }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('jump'), byMs }) },
];

/** One who wants a lock again and again, and what it has been given. */
export class LockUser {
  readonly granted: Lock[] = [];
  #failure: unknown;
  #abort = new AbortController();

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What was asked for is kept, if it is granted. */
  async expects(asked: Promise<Lock | null>, onGrant: (lock: Lock) => void): Promise<void> {
    const lock = await asked.catch(() => null);
    if (lock === null) return;
    this.granted.push(lock);
    try {
      onGrant(lock);
    } catch (error) {
      this.#failure ??= error;
    }
  }

  /** Throws what was found wrong when a lock was granted. */
  assertWell(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  abort(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  /** The last may be released again; any other is given away. */
  release(which?: number): void {
    const lock = this.#pick(which);
    if (which !== undefined && lock !== undefined)
      this.granted.splice(this.granted.indexOf(lock), 1);
    lock?.release().catch(() => {});
  }

  extend(leaseMs: number, which?: number): void {
    this.#pick(which)
      ?.extend(leaseMs)
      .catch(() => {});
  }

  #pick(which: number | undefined): Lock | undefined {
    if (which === undefined) return this.granted.at(-1);
    return this.granted[which % Math.max(1, this.granted.length)];
  }
}

export interface Play<User extends LockUser, Other extends { readonly is: string }> {
  readonly clock: ManualClock;
  readonly users: readonly User[];
  readonly steps: readonly (CommonStep | Other)[];
  acquire(user: User, step: Asking): void;
  /** What only one of the models knows. */
  other(step: Other, user: User): void;
  /** What must hold at any moment. */
  check(): void;
}

/** Has all steps happen, one after the other. */
export async function play<User extends LockUser, Other extends { readonly is: string }>({
  clock,
  users,
  steps,
  acquire,
  other,
  check,
}: Play<User, Other>): Promise<void> {
  for (const each of steps as readonly CommonStep[]) {
    const user = users['user' in each ? each.user : 0] as User;
    switch (each.is) {
      case 'acquire':
        acquire(user, each);
        break;
      case 'abort':
        user.abort();
        break;
      case 'release':
        user.release(each.which);
        break;
      case 'extend':
        user.extend(each.leaseMs, each.which);
        break;
      case 'advance':
        await pass(clock, each.byMs, 100);
        break;
      case 'jump':
        clock.jump(each.byMs);
        break;
      default:
        other(each, user);
    }
    check();
    await settled();
    check();
    for (const each of users) each.assertWell();
  }
}

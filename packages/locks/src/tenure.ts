import type { Bid } from './bid/bid.ts';
import type { Lease } from './lease/lease.ts';
import type { HeldLock, Holding } from './lock.ts';
import type { Access, AcquireSettings } from './options.ts';

/** Where the lock of a tenure is given back. */
export interface TenureHome {
  release(lock: HeldLock, tenure: Tenure): Promise<'released' | 'lost'>;
}

export interface TenureParts {
  readonly home: TenureHome;
  readonly bid: Bid;
  readonly lease: Lease;
  /** Who it was asked for. */
  readonly madeFor: AcquireSettings;
  readonly sinceMs: number;
}

/** The time in which this process holds a lease in Redis and passes it among its own callers. */
export class Tenure implements Holding {
  readonly bid: Bid;
  readonly lease: Lease;
  readonly sinceMs: number;
  readonly access: Access | undefined;
  readonly #home: TenureHome;
  /** Who the whole lease was asked for, until somebody has it. */
  madeFor: AcquireSettings | undefined;
  /** Those who hold the lock by it just now: one, or several who read. */
  readonly users: Set<HeldLock> = new Set<HeldLock>();
  /** How often it was given to a caller. */
  passes = 0;
  /** It is being made ready for the next caller; what whoever gives it back meanwhile is told. */
  passing: Promise<'released' | 'lost'> | undefined;
  /** It could not be made ready: those who use it keep it, and nobody else gets it. */
  isSpent = false;

  constructor({ home, bid, lease, madeFor, sinceMs }: TenureParts) {
    this.#home = home;
    this.bid = bid;
    this.lease = lease;
    this.access = madeFor.access;
    this.madeFor = madeFor;
    this.sinceMs = sinceMs;
  }

  release(lock: HeldLock): Promise<'released' | 'lost'> {
    return this.#home.release(lock, this);
  }

  get isIdle(): boolean {
    return this.users.size === 0 && this.passing === undefined;
  }
}

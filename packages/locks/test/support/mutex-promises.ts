import { expect } from 'vitest';
import type { Lock } from '../../src/lock.ts';
import type { Locks } from '../../src/locks.ts';
import type { Asking, LockUser } from './lock-user.ts';

type MutexUser = LockUser & { readonly locks: Pick<Locks, 'acquire'> };

/** What users of a lock that one has at a time are promised, seen from where nobody can be fooled. */
export class MutexPromises {
  readonly #key: string;
  #lastToken = 0n;

  constructor(key: string) {
    this.#key = key;
  }

  /** Whoever has time left, who is at most one. */
  held(users: readonly MutexUser[]): readonly Lock[] {
    const held = users.flatMap(({ granted }) => granted).filter((lock) => lock.remainingMs() > 0);
    expect(held.length).toBeLessThan(2);
    return held;
  }

  acquire(user: MutexUser, { leaseMs: lease, autoExtend }: Asking): void {
    const options = { lease, autoExtend, wait: '5s', signal: user.signal } as const;
    void user.expects(user.locks.acquire(this.#key, options), this.onGrant);
  }

  /** Tokens rise. */
  readonly onGrant = ({ fencingToken }: Lock): void => {
    expect(fencingToken).toBeGreaterThan(this.#lastToken);
    this.#lastToken = fencingToken;
  };
}

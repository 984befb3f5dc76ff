/**
 * What stands in the key of a lock that one holds at a time: `<holder>:<first token of the lease>`, and
 * `+` while other processes wait. The scripts write and compare it as text, in the same form.
 */
export interface LockValue {
  readonly holder: string;
  /** 0n while the lock is on offer to the holder. */
  readonly token: bigint;
  readonly isContended: boolean;
}

/** Nothing for what no lock wrote. */
export function readLockValue(text: string | undefined): LockValue | undefined {
  const [, holder, token, mark] = /^([^:]+):(\d+)(\+?)$/.exec(text ?? '') ?? [];
  if (holder === undefined || token === undefined) return undefined;
  return { holder, token: BigInt(token), isContended: mark === '+' };
}

/** As it is written while nobody waits. */
export function writeLockValue({ holder, token }: Pick<LockValue, 'holder' | 'token'>): string {
  return `${holder}:${token}`;
}

/**
 * What a lease needs done in Redis, by whoever knows where the lease is kept. Each is one command
 * or script and safe to repeat (I11). They reject when they can't be sent or are not answered, so
 * none stays open while Redis hangs.
 */
export interface LeaseCommands {
  /**
   * If the lease is still ours, sets its remaining time to `leaseMs`. The script reads the key
   * before and after it writes, so that the key stays tracked and exactly one push, our own echo,
   * follows the reply 'extended'. The other replies write nothing.
   */
  extend(leaseMs: number): Promise<'extended' | 'deleted' | 'taken'>;
  /** Reads whose the lease is now, which makes the connection track the key again. Writes nothing. */
  verify(): Promise<Verdict>;
  /** Deletes the lease if it is still ours. */
  release(): Promise<'released' | 'lost'>;
}

/** `remainingMs`: by the server; `Infinity` if somebody took its expiry away. */
export type Verdict =
  | { readonly is: 'ours'; readonly remainingMs: number }
  | { readonly is: 'deleted' }
  | { readonly is: 'taken' };

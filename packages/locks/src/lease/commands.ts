/**
 * What a lease needs done in Redis, by whoever knows where the lease is kept. Each is one command
 * or script and safe to repeat (I11). They reject when they can't be sent or are not answered, so
 * none stays open while Redis hangs.
 */
export interface LeaseCommands {
  /**
   * If the lease is still ours, sets its remaining time to `leaseMs`. Whatever it writes it reads
   * before and after, so that the key stays tracked. The other replies write nothing.
   */
  extend(leaseMs: number): Promise<Extension>;
  /** Reads whose the lease is now, which makes the connection track the key again. Writes nothing. */
  verify(): Promise<Verdict>;
  /** Deletes the lease if it is still ours. */
  release(): Promise<'released' | 'lost'>;
}

/**
 * `echoes`: the pushes of our own that follow; a key that is read, written and read again by one
 * script causes exactly one.
 */
export type Extension =
  | { readonly is: 'extended'; readonly echoes: number }
  | { readonly is: 'deleted' }
  | { readonly is: 'taken' };

/** `remainingMs`: by the server; `Infinity` if somebody took its expiry away. */
export type Verdict =
  | { readonly is: 'ours'; readonly remainingMs: number }
  | { readonly is: 'deleted' }
  | { readonly is: 'taken' };

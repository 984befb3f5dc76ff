/** Fencing tokens that rise one by one from the first. */
export interface TokenBlock {
  readonly first: bigint;
  readonly count: number;
}

/** What Redis says to one who wants a lock. */
export type Answer =
  | {
      readonly is: 'acquired';
      readonly tokens: TokenBlock;
      /** Other processes wait in the queue. */
      readonly contended: boolean;
      /** Pushes of our own that follow. */
      readonly echoes: number;
    }
  | {
      readonly is: 'held';
      /** -1 without end. */
      readonly remainingMs: number;
      /** Where the asker stands in the queue, 0 for the first; none if it does not stand there. */
      readonly place: number | undefined;
      readonly echoes: number;
    }
  /** The key holds something else. */
  | { readonly is: 'not-a-lock' };

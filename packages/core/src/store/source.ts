/**
 * Where an entry came from: one generation of one tracked connection.
 *
 * Entries hold on to their source, so that a lost connection makes all of them unservable by writing
 * one number, however many they are (I4).
 */
export class Source {
  /**
   * Hits are served only before this moment. `-Infinity`: not verified yet, or lost for good.
   * It moves on whenever the connection is heard, and stands still while it is silent.
   */
  servesUntilMs: number = Number.NEGATIVE_INFINITY;
  /** No entry lives longer than this: a bound for connections whose pushes could not be proved. */
  maxAgeMs: number = Number.POSITIVE_INFINITY;
  /** Entries in the store that came from here; the store counts. */
  entries = 0;
  /** The server has confirmed that it tracks this connection. */
  tracked = false;
  /** Nothing that was read here may be served or stored any more. */
  lost = false;
  /**
   * Lost with its connection, and nobody knows better yet: what was read here may still be right. Only
   * to be shown to whoever has nothing else.
   */
  suspect = false;
  /** Whose it is, so that he can end the suspicion. */
  readonly owner: object | undefined;

  constructor(owner?: object) {
    this.owner = owner;
  }

  lose(): void {
    this.lost = true; // guard: T2
    this.tracked = false; // guard: T1
    this.servesUntilMs = Number.NEGATIVE_INFINITY; // guard: T2
  }
}

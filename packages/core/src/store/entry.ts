/**
 * One local copy, and everything that decides how long it may be served.
 *
 * `present` holds a value; `negative` holds the knowledge that there is none. A slot that is being
 * filled is no entry but an open {@link Guard}.
 */
export interface Entry<V = unknown> {
  readonly kind: 'present' | 'negative';
  readonly value: V;
  /** I3: compared with the clock in the call itself, never left to a timer. */
  readonly deadlineAtMs: number;
  /** The Redis keys it was read from. A push of any of them drops it. */
  readonly keys: readonly string[];
  /**
   * Echoes: pushes of our own write that are still to come and say nothing new. Only the script
   * that wrote the value may set it, by the count of pushes it saw (see `Guard.pushes`).
   */
  echoes: number;
}

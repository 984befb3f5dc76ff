import type { Entry } from '../store/entry.ts';

/** Time a key has left on the server, in milliseconds; `'none'`: it never expires. */
export type Remaining = number | 'none';

export interface Filling {
  readonly kind: Entry['kind'];
  readonly remaining: Remaining;
  /** The encoded value alone. */
  readonly valueBytes: number;
  /**
   * `'read'` (default): stored only if the guard saw nothing. `'own-write'`: the command was a
   * script that read, wrote and read the key, so exactly one push is our own echo; it is stored
   * with none or one push seen.
   */
  readonly by?: 'read' | 'own-write';
}

/** What a read brought back. */
export interface Fetched<V> {
  readonly value: V;
  /** `uncacheable`: hand it out, but keep nothing. */
  readonly cache: Omit<Filling, 'by'> | 'uncacheable';
  /** For whoever led the read, instead of `value`, which is kept and shared with those who joined. */
  readonly own?: V;
}

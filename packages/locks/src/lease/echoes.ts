/**
 * Tells pushes that are echoes of our own writes from those somebody else caused, by counting.
 *
 * How many pushes follow a write of ours, after its reply, is known by then: exactly one for a
 * script that reads a key, writes it and reads it again, none where nobody had read it before. The
 * push may be handled before the code that awaits the reply, so while a write is under way a push too
 * many means nothing yet; once the reply has been counted it does.
 *
 * A count is only good for one connection and from one look at the key to the next: start anew when
 * the key has been read again. Forgetting an echo that is still to come costs one needless look;
 * expecting one that never comes would hide a push of somebody else's.
 */
export interface Echoes {
  /** Pushes that writes of ours cause which Redis has confirmed. */
  readonly confirmed: number;
  readonly seen: number;
}

export const NO_ECHOES: Echoes = { confirmed: 0, seen: 0 };

export function pushSeen({ confirmed, seen }: Echoes): Echoes {
  return { confirmed, seen: seen + 1 };
}

/** Redis has confirmed what so many pushes follow. */
export function writeConfirmed({ confirmed, seen }: Echoes, echoes: number): Echoes {
  return { confirmed: confirmed + echoes, seen };
}

/** More pushes than our confirmed writes explain. */
export function unexplained({ confirmed, seen }: Echoes): boolean {
  return seen > confirmed;
}

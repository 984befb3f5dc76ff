/**
 * Tells pushes that are echoes of our own writes from those somebody else caused, by counting.
 *
 * A write of ours (read, write, read in one script) is followed by exactly one push, after its
 * reply. The push may be handled before the code that awaits the reply, so while a write is under
 * way a push too many means nothing yet; once the reply has been counted it does.
 *
 * A count is only good for one connection and from one look at the key to the next: start anew when
 * the key has been read again. Forgetting an echo that is still to come costs one needless look;
 * expecting one that never comes would hide a push of somebody else's.
 */
export interface Echoes {
  /** Writes of ours that Redis has confirmed. */
  readonly confirmed: number;
  readonly seen: number;
}

export const NO_ECHOES: Echoes = { confirmed: 0, seen: 0 };

export function pushSeen({ confirmed, seen }: Echoes): Echoes {
  return { confirmed, seen: seen + 1 };
}

export function writeConfirmed({ confirmed, seen }: Echoes): Echoes {
  return { confirmed: confirmed + 1, seen };
}

/** More pushes than our confirmed writes explain. */
export function unexplained({ confirmed, seen }: Echoes): boolean {
  return seen > confirmed;
}

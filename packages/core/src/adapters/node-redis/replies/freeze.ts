import { handOut, keep } from './keep.ts';
import type { Kept } from './kept.ts';

/**
 * What to store for a reply that all callers are to share: `handOut` answers one deeply frozen copy
 * for all of them. The original stays as it is, so the first caller, too, is given what `handOut`
 * answers.
 *
 * Bytes, maps, sets and dates cannot be frozen. A reply with one of these in it is handed out as
 * private copies, as a whole.
 */
export function freezeReply(reply: unknown): unknown {
  const kept = keep(reply);
  if (kept === reply || !isFreezable(reply)) return kept;
  return new Frozen(freezeDeeply(handOut(kept)));
}

class Frozen implements Kept {
  readonly #reply: unknown;

  constructor(reply: unknown) {
    this.#reply = reply;
  }

  copy(): unknown {
    return this.#reply;
  }
}

function isFreezable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (!Array.isArray(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return false;
  }
  return Object.values(value).every(isFreezable);
}

function freezeDeeply(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) freezeDeeply(part);
  return Object.freeze(value);
}

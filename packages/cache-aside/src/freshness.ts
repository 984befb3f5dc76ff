import type { Header } from './envelope.ts';

/**
 * How long what stands in a key stays fresh, by the time its key has left: zero or less when it has
 * aged, and that much ago. A key without an end (somebody took its expiry away) keeps a value of ours
 * fresh for its TTL from now on, and another program's without an end.
 */
export function freshnessLeftMs(header: Header, remaining: number | 'none'): number | 'none' {
  if (remaining !== 'none') return remaining - header.tailMs;
  return header.id === '' ? 'none' : header.ttlMs;
}

/** How old it is; 0 for what has been given a longer life than it was written with. */
export function ageMs(header: Header, remaining: number | 'none'): number {
  if (remaining === 'none') return 0;
  return Math.max(0, header.ttlMs + header.tailMs - remaining);
}

/**
 * Life of one tracked connection.
 *
 * ```
 *            connected             enabled               verified
 *   down ───────────────▶ enabling ────────▶ verifying ───────────▶ tracking
 *    ▲                      │   ▲                │  │ unverifiable       │
 *    │              refused │   │ retry          │  ▼                    │ changed
 *    │                      ▼   │        refused │ unverified            ▼
 *    │                    untracked ◀────────────┘               enabling, anew
 *    └──────────────────────── disconnected ◀─────────────────────────────  (from all of them)
 *
 *   any ── close ──▶ closed
 * ```
 *
 * T1  Entries are filled only while the server tracks the connection (`verifying`, `tracking`,
 *     `unverified`), by guards opened in the same generation: a guard opened while it is down or
 *     untracked is severed from the start, and leaving these states severs those that are open.
 * T2  Losing a connection, or what the server knew of it, makes every entry that was read there
 *     unservable, severs its guards and wakes every waiter.
 * T3  A new connection is a new generation, and so is everything that makes the server forget
 *     (`changed`); an answer about an older one changes nothing.
 * T4  Nothing leads out of `closed`.
 * T5  Hits are served only in `tracking`, where a real push was seen, and in `unverified`, where no
 *     entry lives longer than `maxStaleness`.
 */
export type TrackingState =
  | { readonly is: 'down'; readonly generation: number }
  | { readonly is: 'enabling'; readonly generation: number }
  /** The server tracks; that its pushes arrive is still to be seen. */
  | { readonly is: 'verifying'; readonly generation: number }
  | { readonly is: 'tracking'; readonly generation: number }
  /** Nothing may be written here, so that nobody knows whether pushes arrive. */
  | { readonly is: 'unverified'; readonly generation: number; readonly reason: unknown }
  | { readonly is: 'untracked'; readonly generation: number; readonly reason: unknown }
  | { readonly is: 'closed'; readonly generation: number };

export type TrackingEvent =
  | { readonly is: 'connected' }
  | { readonly is: 'enabled'; readonly generation: number }
  | { readonly is: 'verified'; readonly generation: number }
  | { readonly is: 'unverifiable'; readonly generation: number; readonly reason: unknown }
  | { readonly is: 'refused'; readonly generation: number; readonly reason: unknown }
  /** What the server tracked for this connection no longer stands for what it read. */
  | { readonly is: 'changed' }
  | { readonly is: 'retry' }
  | { readonly is: 'disconnected' }
  | { readonly is: 'close' };

export type TrackingEffect =
  /** Have tracking switched on and proved, and report what came of it under this generation. */
  | { readonly do: 'enable'; readonly generation: number }
  /** What was read on this connection is of no use any more. */
  | { readonly do: 'lose' }
  /** Entries may be served from now on. */
  | { readonly do: 'serve' }
  /** Ask again after a while whether tracking has become possible. */
  | { readonly do: 'retry-later' }
  | { readonly do: 'report' };

export const INITIAL: TrackingState = { is: 'down', generation: 0 };

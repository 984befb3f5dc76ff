/**
 * Life of one tracked connection.
 *
 * ```
 *            connected             enabled
 *   down ───────────────▶ enabling ────────▶ tracking
 *    ▲                        │ refused          │
 *    │                        ▼                  │
 *    │                    untracked              │
 *    └────────────── disconnected ◀──────────────┘   (from all three)
 *
 *   any ── close ──▶ closed
 * ```
 *
 * T1  Entries are filled only in `tracking`, by guards opened in the same generation: a guard opened in
 *     any other state is severed from the start, and leaving `tracking` severs those that are open.
 * T2  Losing a connection drops every entry, severs every guard and wakes every waiter.
 * T3  A new connection is a new generation; an answer about an older one changes nothing.
 * T4  Nothing leads out of `closed`.
 */
export type TrackingState =
  | { readonly is: 'down'; readonly generation: number }
  | { readonly is: 'enabling'; readonly generation: number }
  | { readonly is: 'tracking'; readonly generation: number }
  | { readonly is: 'untracked'; readonly generation: number; readonly reason: unknown }
  | { readonly is: 'closed'; readonly generation: number };

export type TrackingEvent =
  | { readonly is: 'connected' }
  | { readonly is: 'enabled'; readonly generation: number }
  | { readonly is: 'refused'; readonly generation: number; readonly reason: unknown }
  | { readonly is: 'disconnected' }
  | { readonly is: 'close' };

export type TrackingEffect =
  /** Send `CLIENT TRACKING ON` and report what came of it under this generation. */
  | { readonly do: 'enable'; readonly generation: number }
  | { readonly do: 'flush'; readonly cause: 'disconnect' | 'close' }
  | { readonly do: 'report'; readonly state: 'tracking' | 'untracked' | 'down' | 'closed' };

export const INITIAL: TrackingState = { is: 'down', generation: 0 };

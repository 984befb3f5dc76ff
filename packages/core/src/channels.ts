import { type Channel, channel } from 'node:diagnostics_channel';
import type { TrackingState } from './tracking/state.ts';

/**
 * What redcache reports on `node:diagnostics_channel`. Nothing is built for a channel nobody
 * subscribed to. Subscribe with `diagnostics_channel.subscribe('redcache:flush', listener)`.
 */
export interface CoreChannels {
  /** Redis said that a key changed. `entries`: how many local copies were dropped for it. */
  'redcache:invalidation': { readonly key: string; readonly entries: number };
  /** Everything local was dropped, or with `disconnect` what one connection had read. */
  'redcache:flush': { readonly cause: FlushCause; readonly entries: number };
  /**
   * A connection changed its state. `reason`: why it is `untracked` (the server refuses, or its
   * pushes do not arrive) or `unverified`.
   */
  'redcache:connection': { readonly state: TrackingState['is']; readonly reason?: unknown };
  /** Nothing is cached, since the server tracks no connection; said once until one is tracked. */
  'redcache:unsupported': { readonly reason: unknown };
  /** A connection was not heard for `maxStaleness` and is being replaced. */
  'redcache:silent': { readonly silentForMs: number };
  /** A caller's callback threw. Nothing else changed. */
  'redcache:callback-error': { readonly callback: string; readonly error: unknown };
}

/** Why: FLUSHALL and the like, a lost connection (what was read there), `clear()`, a FLUSHALL of ours. */
export type FlushCause = 'flush' | 'disconnect' | 'clear' | 'close' | 'own-write';

const channels = new Map<string, Channel>();

export function channelOf(name: string): Channel {
  let found = channels.get(name);
  if (found === undefined) {
    found = channel(name);
    channels.set(name, found);
  }
  return found;
}

/** Publishes on one of a package's channels, given as its map of names and payloads. */
export function publisher<Channels extends object>(): <N extends keyof Channels & string>(
  name: N,
  payload: () => Channels[N],
) => void {
  return (name, payload) => {
    const found = channelOf(name);
    if (found.hasSubscribers) found.publish(payload());
  };
}

export const publish: ReturnType<typeof publisher<CoreChannels>> = publisher<CoreChannels>();

/** Runs a callback that is not ours: what it throws is reported and changes nothing else. */
export function callSafely(callback: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    publish('redcache:callback-error', () => ({ callback, error }));
  }
}

import { type Channel, channel } from 'node:diagnostics_channel';

/**
 * What redcache reports on `node:diagnostics_channel`. Nothing is built for a channel nobody
 * subscribed to. Subscribe with `diagnostics_channel.subscribe('redcache:flush', listener)`.
 */
export interface CoreChannels {
  /** Redis said that a key changed. `entries`: how many local copies were dropped for it. */
  'redcache:invalidation': { readonly key: string; readonly entries: number };
  /** Everything local was dropped. */
  'redcache:flush': { readonly cause: FlushCause; readonly entries: number };
  /** The tracked connection came up, went down, or was closed for good. */
  'redcache:connection': { readonly state: 'tracking' | 'untracked' | 'down' | 'closed' };
  /** A caller's callback threw. Nothing else changed. */
  'redcache:callback-error': { readonly callback: string; readonly error: unknown };
}

/** Why everything was dropped: FLUSHALL and the like, a lost connection, a call of `clear()`. */
export type FlushCause = 'flush' | 'disconnect' | 'clear' | 'close';

const channels = new Map<string, Channel>();

/** Publishes on one of a package's channels, given as its map of names and payloads. */
export function publisher<Channels extends object>(): <N extends keyof Channels & string>(
  name: N,
  payload: () => Channels[N],
) => void {
  return (name, payload) => {
    let found = channels.get(name);
    if (found === undefined) {
      found = channel(name);
      channels.set(name, found);
    }
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

import type { CommandPort, TrackingCache, WakeCause } from '@redcache/core';

/** What a lease is told: what befell its key, and how its connection is. */
export type Heard = WakeCause | 'up' | 'down';

/** Tells now how the connection is, and from then on whatever happens. Answers how to stop. */
export type Listen = (tell: (heard: Heard) => void) => () => void;

/** Listens to one key over one connection. */
export function listenTo(
  { engine, port }: { readonly engine: TrackingCache; readonly port: CommandPort },
  key: string,
): Listen {
  return (tell) => {
    const stopPushes = engine.onInvalidation(key, tell);
    const stopConnection = port.onConnection((connection) =>
      tell(connection === 'up' ? 'up' : 'down'),
    );
    return () => {
      stopPushes();
      stopConnection();
    };
  };
}

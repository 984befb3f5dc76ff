import type { TrackingPort } from './ports.ts';
import type { TrackingCache } from './tracking-cache.ts';

/**
 * Attaches an engine to a client through its port: switches tracking on whenever the connection
 * comes up, and feeds every push and every loss to the engine. Answers how to detach it, which
 * drops everything local.
 *
 * Sends: `CLIENT TRACKING ON` once per connection. A refusal is not an error: the engine then stays
 * `untracked` and stores nothing until the next connection.
 */
export function attach(cache: TrackingCache, port: TrackingPort): () => void {
  const { session } = cache;
  session.enable = (generation) => {
    port.send(['CLIENT', 'TRACKING', 'ON']).then(
      () => session.dispatch({ is: 'enabled', generation }),
      (reason: unknown) => session.dispatch({ is: 'refused', generation, reason }),
    );
  };
  const stopPushes = port.onPush((invalidation) => cache.receive(invalidation));
  const stopConnection = port.onConnection((connection) => {
    if (connection === 'up') session.dispatch({ is: 'connected' });
    else session.dispatch({ is: connection === 'down' ? 'disconnected' : 'close' });
  });
  return () => {
    stopPushes();
    stopConnection();
    session.dispatch({ is: 'disconnected' });
  };
}

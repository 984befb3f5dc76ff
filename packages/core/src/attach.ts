import { readOptions } from './options.ts';
import type { TrackingPort } from './ports.ts';
import { type TrackingOptions, trackingReaders, trackingRules } from './tracking/options.ts';
import type { TrackingSession } from './tracking/session.ts';
import type { TrackingCache } from './tracking-cache.ts';

/** One connection of an engine, attached to a client. */
export interface Attachment {
  /** The connection's side of the engine: reads and guards name it when there are several. */
  readonly session: TrackingSession;
  /** Detaches it and drops what was read there. */
  detach(): void;
}

/**
 * Attaches an engine to one connection of a client through its port: switches tracking on whenever
 * the connection comes up, sees to it that pushes arrive, feeds every push and every loss to the
 * engine, and notices when the connection falls silent.
 *
 * Sends: what `shakeHands` says once per connection; `CLIENT TRACKINGINFO` when nothing was heard for
 * half of `maxStaleness` while something depends on it. A refusal is not an error: the engine then
 * keeps nothing that is read there, and asks again after a while.
 * Throws: `ConfigError` for bad options.
 */
export function attach(
  cache: TrackingCache,
  port: TrackingPort,
  options?: TrackingOptions,
): Attachment {
  const session = cache.openSession(trackingRules(readOptions('attach', options, trackingReaders)));
  session.drive(port);
  const stopPushes = port.onPush((invalidation) => cache.receive(invalidation, session));
  const stopConnection = port.onConnection((connection) =>
    session.dispatch({ is: connection === 'up' ? 'connected' : 'disconnected' }),
  );
  return {
    session,
    detach: () => {
      stopPushes();
      stopConnection();
      cache.closeSession(session);
    },
  };
}

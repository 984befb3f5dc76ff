import { ConfigError } from '../../errors.ts';
import type { CommandPort } from '../../ports.ts';
import type { TrackingCache } from '../../tracking-cache.ts';
import { portOf, type SingleClient } from './port.ts';
import { clientSideCache, tracking } from './provider.ts';

/** A connection whose pushes are heard: its commands, and the engine that gets its pushes. */
export interface Tracked {
  readonly port: CommandPort;
  readonly engine: TrackingCache;
}

/** A tracked connection of our own. */
export interface OwnTracked extends Tracked {
  close(): void;
}

/** The tracked connection of a client made with `clientSideCache()`; otherwise nothing. */
export function trackedOf(client: SingleClient): Tracked | undefined {
  const port = portOf(client);
  const engine = tracking(client);
  return engine && { port, engine };
}

/**
 * Opens one more connection to where `client` connects, tracked whatever the client itself is. It
 * keeps no copies. Reconnects as the client does; its errors are not reported, since whoever waits
 * on it has deadlines of his own.
 *
 * `database`: if not said that of the client's options, whatever it has selected since.
 */
export function openTracked(client: SingleClient, database?: number): OwnTracked {
  const cache = clientSideCache({ maxEntries: 1 });
  const own = client.duplicate({
    clientSideCache: cache,
    RESP: 3,
    // What else the URL said is among the client's options already; its database would win here.
    ...(database === undefined ? {} : { database, url: undefined }),
  }) as SingleClient & { destroy(): void };
  if (own.clientSideCache !== cache)
    throw new ConfigError(
      'two copies of @redis/client are installed, so node-redis ignores the cache of redcache: ' +
        'see `npm ls @redis/client`',
    );
  own.on('error', () => {});
  let closed = false;
  // node-redis forgets a socket that is still connecting when it is destroyed: it would stay open,
  // and keep the process alive.
  own.on('connect', () => {
    if (closed) own.destroy();
  });
  own.connect().catch(() => {});
  return {
    port: portOf(own),
    engine: cache.engine,
    close: () => {
      closed = true;
      own.destroy();
      cache.engine.close();
    },
  };
}

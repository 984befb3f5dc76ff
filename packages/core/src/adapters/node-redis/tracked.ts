import { ConfigError } from '../../errors.ts';
import type { CommandPort } from '../../ports.ts';
import type { TrackingSession } from '../../tracking/session.ts';
import type { TrackingCache } from '../../tracking-cache.ts';
import { type ConnectionClient, portOf, type SingleClient } from './port.ts';
import { clientSideCache, providerOf } from './provider.ts';

/** A connection and the engine that gets its pushes, if it is tracked at all. */
export interface Connected {
  readonly port: CommandPort;
  readonly engine: TrackingCache;
}

/** A connection whose pushes are heard. */
export interface Tracked extends Connected {
  /** The connection's side of the engine: to be named with every guard. */
  readonly session: TrackingSession;
}

/** A tracked connection of our own. */
export interface OwnTracked extends Connected {
  close(): void;
}

/**
 * The tracked connection of a client made with `clientSideCache()`; otherwise nothing. Nothing either
 * in a mode that does not push each change of each key that was read, exactly once and at once.
 */
export function trackedOf(client: SingleClient): Tracked | undefined {
  const port = portOf(client);
  const provider = providerOf(client);
  if (provider === undefined || !provider.isPlain) return undefined;
  const { session } = provider.connectionOf(selfOf(client));
  return { port, engine: provider.engine, session };
}

/** The client itself, behind the views that `withTypeMapping()` and the like make of it. */
function selfOf(client: SingleClient): ConnectionClient {
  return ((client as { _self?: unknown })._self ?? client) as ConnectionClient;
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
  // From the start, so that what comes up first is tracked before anything is sent.
  cache.connectionOf(selfOf(own));
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

import { assertNever } from '../../assert-never.ts';
import { ConfigError } from '../../errors.ts';
import type { CommandPort } from '../../ports.ts';
import { covers } from '../../tracking/options.ts';
import type { TrackingSession } from '../../tracking/session.ts';
import type { TrackingCache } from '../../tracking-cache.ts';
import {
  type AnyClient,
  type ClusterClient,
  type PoolClient,
  recognise,
  type SentinelClient,
  type SingleClient,
  selfOf,
} from './clients.ts';
import { portOf } from './port.ts';
import { borrowed } from './ports/borrower.ts';
import { ClusterPort } from './ports/cluster-port.ts';
import { keepListened } from './ports/listeners.ts';
import { notSent } from './ports/patience.ts';
import { lenderOf as poolLenderOf } from './ports/pool-port.ts';
import { lenderOf as sentinelLenderOf } from './ports/sentinel-port.ts';
import { type ClientSideCache, providerOf, trackingOf } from './provider.ts';
import { sendTracked } from './tracked/announced.ts';
import { OwnLine } from './tracked/own-line.ts';
import { TrackedNodes } from './tracked/tracked-nodes.ts';

/**
 * How whoever keeps copies of his own reaches Redis: commands, and for each key the connection that
 * they travel on, whose pushes his guards must name.
 */
export interface TrackedWay {
  readonly port: CommandPort;
  /** That of the client's cache: its bounds hold, and its statistics count. */
  readonly engine: TrackingCache;
  /**
   * The connection that a command of this key travels on, sent now. While there is none: a session that
   * is never tracked, under which nothing is stored. Nothing wrong is stored under one that was true a
   * moment ago either: a connection that is lost severs its guards, and so does a command of their keys
   * that takes another.
   */
  sessionFor(key: string): TrackingSession;
  /** Whether a change of any key that begins so is pushed; not all are in broadcast mode. */
  covers(prefix: string): boolean;
  /** Ends what was opened for it. The client stays as it is. */
  close(): void;
}

/**
 * The way over any client made with `clientSideCache()`. A single client and those that a cluster
 * client has to its nodes carry the commands themselves. The commands of a pool or a sentinel take many
 * connections, so one more is opened beside them, in the same cache: to where the pool leads, or to
 * the master that sentinels name, following it when it changes.
 *
 * Sends: what the caller sends; in optin mode `CLIENT CACHING YES` before what may read.
 * Throws: `ConfigError` for what is no client of node-redis, for one without a cache of ours, and for
 * one with `noLoop`, by which own writes end the tracking of their keys without a word.
 */
export function trackedWay(client: AnyClient): TrackedWay {
  const known = recognise(client);
  const engine = trackingOf(client);
  const cache = providerOf(client) as ClientSideCache;
  const { mode = 'default', noLoop } = cache.tracking;
  if (noLoop === true)
    throw new ConfigError(
      'clientSideCache: noLoop does not do here: with it the server stops to track a key at an own ' +
        'write, without a word, and later changes by others would go unnoticed',
    );
  const made = makeWay(known, cache);
  return { engine, covers: (prefix) => covers(mode, [prefix]), ...made };
}

type Made = Pick<TrackedWay, 'port' | 'sessionFor' | 'close'>;

function makeWay(known: ReturnType<typeof recognise>, cache: ClientSideCache): Made {
  switch (known.is) {
    case 'single':
      return overSingle(known.client, cache);
    case 'pool':
      return overPool(known.client, cache);
    case 'cluster':
      return overCluster(known.client, cache);
    case 'sentinel':
      return overSentinel(known.client, cache);
    default:
      return assertNever(known);
  }
}

function overSingle(client: SingleClient, cache: ClientSideCache): Made {
  const self = selfOf(client);
  const { session } = cache.connectionOf(self);
  const plain = portOf(client);
  const port: CommandPort = {
    send: (args, options) => sendTracked(cache, self, args, options),
    onConnection: (listener) => plain.onConnection(listener),
  };
  return {
    port: cache.tracking.mode === 'optin' ? port : plain,
    sessionFor: () => session,
    close: () => {},
  };
}

function overCluster(cluster: ClusterClient, cache: ClientSideCache): Made {
  const nowhere = nowhereOf(cache);
  const port = new ClusterPort(cluster, new TrackedNodes(cluster, cache));
  const sessionFor = (key: string): TrackingSession => {
    const client = port.clientFor(key);
    return client === undefined ? nowhere : cache.connectionOf(client).session;
  };
  return { port, sessionFor, close: () => {} };
}

function overPool(pool: PoolClient, cache: ClientSideCache): Made {
  // A pool does not say that it was opened, so commands find out.
  const line = new OwnLine(() => borrowed(poolLenderOf(pool)), cache, 'up');
  const stop = cache.onPoolClosed(() => {
    if (pool.isOpen) return;
    line.drop('given up');
    line.tell('up');
  });
  if (pool.isOpen) line.tryToOpen();
  return {
    ...overLine(line, cache),
    close: () => {
      stop();
      line.close();
    },
  };
}

function overSentinel(sentinel: SentinelClient, cache: ClientSideCache): Made {
  // One that is looking for its master asks without a pause, so nobody is sent to it then.
  const model = () =>
    sentinel.isReady ? borrowed(sentinelLenderOf(sentinel)) : Promise.reject(notSent());
  const line = new OwnLine(model, cache, sentinel.isReady ? 'up' : 'down');
  const onReconnecting = (): void => line.drop('moving');
  const onReady = (): void => {
    line.drop('moving');
    line.tell('up');
    line.tryToOpen();
  };
  const onEnd = (): void => {
    line.drop('given up');
    line.tell('closed');
  };
  keepListened(sentinel);
  sentinel.on('reconnecting', onReconnecting);
  sentinel.on('ready', onReady);
  sentinel.on('end', onEnd);
  if (sentinel.isReady) line.tryToOpen();
  return {
    ...overLine(line, cache),
    close: () => {
      sentinel.off('reconnecting', onReconnecting);
      sentinel.off('ready', onReady);
      sentinel.off('end', onEnd);
      line.close();
    },
  };
}

function overLine(line: OwnLine, cache: ClientSideCache): Pick<Made, 'port' | 'sessionFor'> {
  const nowhere = nowhereOf(cache);
  return { port: line, sessionFor: () => line.session ?? nowhere };
}

/** A session of no connection, which never comes up. */
function nowhereOf({ engine }: ClientSideCache): TrackingSession {
  const session = engine.openSession();
  engine.leaveSession(session);
  return session;
}

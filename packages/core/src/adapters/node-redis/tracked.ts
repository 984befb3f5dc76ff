import { assertNever } from '../../assert-never.ts';
import type { CommandPort } from '../../ports.ts';
import type { TrackingSession } from '../../tracking/session.ts';
import type { TrackingCache } from '../../tracking-cache.ts';
import {
  type AnyClient,
  type ClusterClient,
  recognise,
  type SentinelClient,
  type SingleClient,
  selfOf,
} from './clients.ts';
import { clusterPortOf, portOf } from './port.ts';
import { borrowed } from './ports/borrower.ts';
import { ClusterPort } from './ports/cluster-port.ts';
import { lenderOf as poolLenderOf } from './ports/pool-port.ts';
import { lenderOf as sentinelLenderOf } from './ports/sentinel-port.ts';
import { SharedNodes } from './ports/shared-nodes.ts';
import { clientSideCache, providerOf } from './provider.ts';
import { checkCopies, OwnClient } from './tracked/own-client.ts';
import { OwnFollower } from './tracked/own-follower.ts';
import { OwnNodes } from './tracked/own-nodes.ts';

/** A way to Redis, and the engine that gets its pushes, if it is tracked at all. */
export interface Connected {
  readonly port: CommandPort;
  readonly engine: TrackingCache;
  /** Whether, as things stand, whoever reads the key over this port is told by a push when it changes. */
  tracks(key: string): boolean;
}

/** One connection whose pushes are heard. */
export interface Tracked extends Connected {
  /** The connection's side of the engine: to be named with every guard. */
  readonly session: TrackingSession;
}

/** A tracked way of our own. */
export interface OwnTracked extends Connected {
  close(): void;
}

/**
 * The tracked connection of a client made with `clientSideCache()`, or those of a cluster; otherwise
 * nothing. Nothing either in a mode that does not push each change of each key that was read, exactly
 * once and at once; nor for pools and sentinels, where the commands of one key take many connections.
 *
 * Throws: `ConfigError` for what is no client of node-redis.
 */
export function trackedOf(client: SingleClient): Tracked | undefined;
export function trackedOf(client: AnyClient): Connected | undefined;
export function trackedOf(client: AnyClient): Connected | undefined {
  const known = recognise(client);
  const provider = providerOf(client);
  if (provider === undefined || !provider.isPlain) return undefined;
  const { engine } = provider;
  switch (known.is) {
    case 'single': {
      const { session } = provider.connectionOf(selfOf(known.client));
      const tracks = (): boolean => session.state.is === 'tracking';
      const tracked: Tracked = { port: portOf(client), engine, session, tracks };
      return tracked;
    }
    case 'cluster': {
      const port = clusterPortOf(known.client);
      const tracks = (key: string): boolean => {
        const node = port.clientFor(key);
        return node !== undefined && provider.connectionOf(node).session.state.is === 'tracking';
      };
      return { port, engine, tracks };
    }
    default:
      return undefined;
  }
}

/**
 * Opens one more way to where `client` connects, tracked whatever the client itself is. It keeps no
 * copies. To a standalone server or to the master that sentinels name it is one connection, in a
 * cluster one to each master that is asked for a key. Which server that is the client finds out, so it
 * has to stay open. Reconnects as the client does; its errors are not reported, since whoever waits on
 * it has deadlines of his own.
 *
 * `database`: of a single client or a pool; if not said that of its options, whatever it has selected
 * since.
 * Throws: `ConfigError` for what is no client of node-redis, and when there are two copies of
 * `@redis/client`; `UnavailableError` if a pool or a sentinel has no connection to show where.
 */
export async function openTracked(client: AnyClient, database?: number): Promise<OwnTracked> {
  const known = recognise(client);
  switch (known.is) {
    case 'single':
      return openSingle(known.client, database);
    case 'pool':
      return openSingle(await borrowed(poolLenderOf(known.client)), database);
    case 'sentinel':
      return openSentinel(known.client);
    case 'cluster':
      return openCluster(known.client);
    default:
      return assertNever(known);
  }
}

/** What else the URL said is among the client's options already; its database would win. */
const inDatabase = (database: number | undefined): object =>
  database === undefined ? {} : { database, url: undefined };

function openSingle(client: SingleClient, database: number | undefined): OwnTracked {
  const cache = ownCache();
  const own = new OwnClient(client, cache, inDatabase(database));
  return {
    port: portOf(own.client),
    engine: cache.engine,
    tracks: () => own.tracks,
    close: () => {
      own.close();
      cache.engine.close();
    },
  };
}

async function openSentinel(sentinel: SentinelClient): Promise<OwnTracked> {
  const cache = ownCache();
  const port = new OwnFollower(sentinel, cache, () => borrowed(sentinelLenderOf(sentinel)));
  const close = (): void => {
    port.close();
    cache.engine.close();
  };
  try {
    await port.open();
  } catch (error) {
    close();
    throw error;
  }
  return { port, engine: cache.engine, tracks: () => port.tracks, close };
}

function openCluster(cluster: ClusterClient): OwnTracked {
  const cache = ownCache();
  for (const { client } of cluster.masters)
    if (client !== undefined) checkCopies(client as SingleClient, cache);
  const nodes = new OwnNodes(cluster, new SharedNodes(cluster), cache);
  const port = new ClusterPort(cluster, nodes);
  return {
    port,
    engine: cache.engine,
    tracks: (key) => {
      const client = port.clientFor(key);
      return client !== undefined && nodes.tracks(client);
    },
    close: () => {
      nodes.close();
      cache.engine.close();
    },
  };
}

/**
 * Nothing is read here twice, and whoever waits here has a deadline of his own: a quarter of the usual
 * beats is enough.
 */
const ownCache = () => clientSideCache({ maxEntries: 1, maxStaleness: '8s' });

import { assertNever } from '../../assert-never.ts';
import type { CommandPort } from '../../ports.ts';
import { type AnyClient, type ClusterClient, recognise } from './clients.ts';
import { ClusterPort } from './ports/cluster-port.ts';
import { PoolPort } from './ports/pool-port.ts';
import { SentinelPort } from './ports/sentinel-port.ts';
import { SharedNodes } from './ports/shared-nodes.ts';
import { SinglePort } from './ports/single-port.ts';

const ports = new WeakMap<object, CommandPort>();

/**
 * Commands over a client of node-redis, for code that must not know node-redis. Strings are decoded
 * as UTF-8 whatever type mapping the client has, and its command timeout does not count.
 *
 * Over a pool any member is taken. Over a sentinel commands go to the master, in a cluster to the
 * master of their first key's slot; those of one slot that are sent in one tick leave in order on one
 * connection. A command that none of these three can send within half a second is rejected with
 * `UnavailableError`, and never sent. A single client keeps it, unless whoever sends asks first how
 * the connection is.
 *
 * Listeners are on the client only while somebody listens here.
 * Throws: `ConfigError` for what is no client of node-redis.
 */
export function portOf(client: AnyClient): CommandPort {
  let port = ports.get(client);
  if (port === undefined) {
    port = makePort(client);
    ports.set(client, port);
  }
  return port;
}

function makePort(client: AnyClient): CommandPort {
  const known = recognise(client);
  switch (known.is) {
    case 'single':
      return new SinglePort(known.client);
    case 'pool':
      return new PoolPort(known.client);
    case 'cluster':
      return new ClusterPort(known.client, new SharedNodes(known.client));
    case 'sentinel':
      return new SentinelPort(known.client);
    default:
      return assertNever(known);
  }
}

/** As {@link portOf}, which knows where each key is. */
export function clusterPortOf(client: ClusterClient): ClusterPort {
  return portOf(client) as ClusterPort;
}

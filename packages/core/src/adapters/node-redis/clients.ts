import type { createClient } from 'redis';
import { ConfigError } from '../../errors.ts';

/** Whoever emits events. */
export interface Listened {
  on(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  off(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
}

/** What `clientSideCache` the client was made with, whatever its kind. */
type Cached = Pick<ReturnType<typeof createClient>, 'clientSideCache'>;

/** One connection of node-redis, recognised by what it can do. Pools, clusters and sentinels are not. */
export interface SingleClient
  extends Listened,
    Pick<ReturnType<typeof createClient>, 'clientSideCache' | 'isReady' | 'isOpen'> {
  sendCommand(
    args: readonly (string | Buffer)[],
    options?: { timeout?: number; typeMapping?: object },
  ): Promise<unknown>;
  duplicate(overrides?: object): unknown;
  connect(): Promise<unknown>;
}

/** A client of node-redis as its cache sees it: one connection at a time, whoever made it. */
export type ConnectionClient = SingleClient & {
  readonly options: { readonly database?: number };
  prependListener(event: string, listener: () => void): unknown;
  destroy(): void;
};

/** What `createClientPool()` makes. */
export interface PoolClient extends Cached, Pick<Listened, 'on'> {
  sendCommand(args: string[]): Promise<unknown>;
  readonly isOpen: boolean;
  readonly idleClients: number;
  /** Takes a {@link ConnectionClient} and gives it back, as those below do. */
  execute(use: never): Promise<unknown>;
}

/** What `createSentinel()` makes. */
export interface SentinelClient extends Cached, Listened {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  sendCommand(isReadonly: boolean, args: string[]): Promise<unknown>;
  getMasterNode(): unknown;
  /** As every command of a sentinel client does: over one of its connections to the master. */
  _execute(isReadonly: boolean, use: never): Promise<unknown>;
}

/** A node as its cluster client keeps it. */
export interface ClusterNode {
  readonly address: string;
  /** None before it is first used, if the cluster client is to make few connections. */
  readonly client?: unknown;
  /** While it connects for the first time. */
  readonly connectPromise?: Promise<unknown> | undefined;
}

/** What `createCluster()` makes. */
export interface ClusterClient extends Cached, Listened {
  readonly isOpen: boolean;
  readonly slots: readonly { readonly master: ClusterNode }[];
  readonly masters: readonly ClusterNode[];
  readonly nodeByAddress: ReadonlyMap<string, ClusterNode>;
  nodeClient(node: never): Promise<unknown>;
  sendCommand(
    firstKey: string,
    isReadonly: boolean,
    args: string[],
    options?: { timeout?: number },
  ): Promise<unknown>;
}

/** A client of node-redis: made with `createClient`, `createClientPool`, `createCluster` or `createSentinel`. */
export type AnyClient = SingleClient | PoolClient | ClusterClient | SentinelClient;

/** Which kind of client it is, with itself as that. */
export type Recognised =
  | { readonly is: 'single'; readonly client: SingleClient }
  | { readonly is: 'pool'; readonly client: PoolClient }
  | { readonly is: 'cluster'; readonly client: ClusterClient }
  | { readonly is: 'sentinel'; readonly client: SentinelClient };

/**
 * Tells the kinds apart by what only one of them can do, since a second copy of node-redis has other
 * classes.
 *
 * Throws: `ConfigError` for what is no client of node-redis.
 */
export function recognise(client: AnyClient): Recognised {
  const has = (...names: readonly string[]): boolean =>
    names.every((name) => typeof (client as never as Has | null)?.[name] === 'function');
  if (has('sendCommand', 'on', 'off')) {
    // Only what is one connection can select a database.
    if (has('select', 'duplicate') && typeof (client as SingleClient).isReady === 'boolean')
      return { is: 'single', client: client as SingleClient };
    if (has('execute')) return { is: 'pool', client: client as PoolClient };
    if (has('nodeClient')) return { is: 'cluster', client: client as ClusterClient };
    if (has('getMasterNode', '_execute'))
      return { is: 'sentinel', client: client as SentinelClient };
  }
  throw new ConfigError(
    'client must be a node-redis client made with createClient(), createClientPool(), ' +
      'createCluster() or createSentinel()',
  );
}

type Has = Readonly<Record<string, unknown>>;

/** Whether its connections may be in another database than the first. Commands to a cluster never are. */
export function selectsDatabase(client: AnyClient): boolean {
  return recognise(client).is !== 'cluster';
}

/**
 * For those who need all their commands on one connection.
 *
 * Throws: `ConfigError` for what is no single client.
 */
export function assertSingle(client: AnyClient): asserts client is SingleClient {
  if (recognise(client).is !== 'single')
    throw new ConfigError(
      'client must be a node-redis client made with createClient(); pools, clusters and sentinels ' +
        'are not supported yet',
    );
}

/** The client itself, behind the views that `withTypeMapping()` and the like make of it. */
export function selfOf(client: SingleClient): ConnectionClient {
  return ((client as { _self?: unknown })._self ?? client) as ConnectionClient;
}

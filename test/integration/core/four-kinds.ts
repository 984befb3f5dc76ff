import {
  createClient,
  createClientPool,
  createCluster,
  createSentinel,
  type RedisClientOptions,
  type RedisClientPoolType,
  type RedisClientType,
  type RedisClusterType,
  type RedisSentinelType,
} from 'redis';
import {
  type Deployment,
  type SentinelDeployment,
  startCluster,
  startSentinel,
  startStandalone,
} from '../../support/deployments.ts';
import type { ProxiedDeployment } from '../../support/proxied.ts';

export const KINDS = ['client', 'pool', 'cluster', 'sentinel'] as const;

/** The four kinds of client that node-redis offers. */
export type Kind = (typeof KINDS)[number];

/** What tests need of a batch, whatever kind of client made it. */
export interface AnyMulti {
  get(key: string): AnyMulti;
  set(key: string, value: string): AnyMulti;
  incr(key: string): AnyMulti;
  del(key: string): AnyMulti;
  exec(): Promise<unknown[]>;
  execAsPipeline(): Promise<unknown[]>;
}

/** What tests need of a client, whatever its kind; `raw` is the same object with its own type. */
export interface AnyClient {
  readonly clientSideCache?: unknown;
  on(event: string, listener: (...args: never[]) => void): unknown;
  get(key: string): Promise<string | null>;
  set(key: string, value: string, options?: object): Promise<unknown>;
  del(keys: string | string[]): Promise<number>;
  incr(key: string): Promise<number>;
  exists(key: string): Promise<number>;
  mGet(keys: string[]): Promise<(string | null)[]>;
  mSet(entries: [string, string][]): Promise<unknown>;
  hSet(key: string, fields: Record<string, string>): Promise<number>;
  hGet(key: string, field: string): Promise<string | null>;
  hGetAll(key: string): Promise<Record<string, string>>;
  pExpire(key: string, ms: number): Promise<unknown>;
  multi(): AnyMulti;
}

interface RawClients {
  readonly client: RedisClientType;
  readonly pool: RedisClientPoolType;
  readonly cluster: RedisClusterType;
  readonly sentinel: RedisSentinelType;
}

/** A client of one of the kinds over a running deployment, and somebody else who writes there. */
export interface OpenKind<K extends Kind = Kind> extends AsyncDisposable {
  readonly kind: K;
  readonly client: AnyClient;
  readonly raw: RawClients[K];
  /** Other connections to the same data, without a cache and never through the proxies. */
  readonly writer: AnyClient;
  /** A key of this opening alone; in a cluster they lie in many slots. */
  keyFor(n: number | string): string;
  close(): Promise<void>;
}

type Provider = NonNullable<RedisClientOptions['clientSideCache']>;

export interface OpenKindOptions {
  /** The provider, or what `clientSideCache` takes; without, nothing is cached. */
  readonly cache?: Provider | undefined;
  /** Reads of a cluster go to replicas too; sentinel reads go to the replica. */
  readonly replicas?: boolean;
  /** The client reaches every node through its proxy. */
  readonly through?: ProxiedDeployment | undefined;
  /** Options of every connection to a data node. */
  readonly node?: RedisClientOptions;
  /** Options of the commands, which each kind takes where it builds them: a key prefix, modules. */
  readonly commands?: { readonly keyPrefix?: string; readonly modules?: object };
}

export const POOL_MEMBERS = 4;
/**
 * One is reserved for the commands of the client, the other is what `use` hands out. Without a
 * reserved one, commands issued together take a lease each and keep it: the next ones wait for ever.
 */
const SENTINEL_MASTER_CONNECTIONS = 2;

/** Quick and without jitter, so that tests wait for the servers and not for a strategy. */
const SOCKET = { reconnectStrategy: 10 };

let openings = 0;

/** Starts what a client of that kind needs. */
export function startFor(kind: Kind): Promise<Deployment> {
  if (kind === 'cluster') return startCluster();
  return kind === 'sentinel' ? startSentinel() : startStandalone();
}

/** Opens a client of that kind, and the writer; both are closed by `close`, or if one can't be opened. */
export async function openKind<K extends Kind>(
  kind: K,
  deployment: Deployment,
  options: OpenKindOptions = {},
): Promise<OpenKind<K>> {
  const raw = makeClient(kind, deployment, options);
  const writer = makeClient(kind === 'pool' ? 'client' : kind, deployment, {});
  openings += 1;
  const prefix = `kind:${process.pid}:${openings}`;
  const close = async (): Promise<void> => {
    await Promise.all([raw.destroy(), writer.destroy()]);
  };
  for (const client of [raw, writer]) (client as unknown as AnyClient).on('error', () => {});
  try {
    await Promise.all([raw.connect(), writer.connect()]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    kind,
    client: raw as unknown as AnyClient,
    raw,
    writer: writer as unknown as AnyClient,
    keyFor: (n) => `${prefix}:${n}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function makeClient<K extends Kind>(
  kind: K,
  deployment: Deployment,
  options: OpenKindOptions,
): RawClients[K] {
  const makers: { readonly [Each in Kind]: () => unknown } = {
    client: () => createClient({ ...nodeOptions(deployment, options), ...caching(options) }),
    pool: () =>
      createClientPool(nodeOptions(deployment, options), {
        minimum: POOL_MEMBERS,
        maximum: POOL_MEMBERS,
        ...caching(options),
      } as Parameters<typeof createClientPool>[1]),
    cluster: () => createCluster(clusterOptions(deployment, options)),
    sentinel: () => createSentinel(sentinelOptions(deployment, options)),
  };
  return makers[kind]() as RawClients[K];
}

const caching = ({ cache }: OpenKindOptions): { clientSideCache?: never } =>
  cache === undefined ? {} : { clientSideCache: cache as never };

const nodeOptions = (
  deployment: Deployment,
  { node, through, commands }: OpenKindOptions,
): RedisClientOptions =>
  ({
    ...connectionOptions(node),
    ...commands,
    url: through?.url ?? deployment.url,
  }) as RedisClientOptions;

/** A strategy of our own below the test's, node by node. */
const connectionOptions = (node: RedisClientOptions = {}): RedisClientOptions =>
  ({ ...node, socket: { ...SOCKET, ...node.socket } }) as RedisClientOptions;

function clusterOptions(
  deployment: Deployment,
  options: OpenKindOptions,
): Parameters<typeof createCluster>[0] {
  const { node, through, commands, replicas = false } = options;
  const roots = through?.addressesOf('master') ?? deployment.nodesOf('master');
  return {
    rootNodes: roots.map(({ host, port }) => ({ socket: { host, port } })),
    defaults: connectionOptions(node),
    useReplicas: replicas,
    ...(commands as object),
    ...(through && { nodeAddressMap: through.nodeAddressMap }),
    ...caching(options),
  };
}

function sentinelOptions(
  deployment: Deployment,
  options: OpenKindOptions,
): Parameters<typeof createSentinel>[0] {
  const { node, through, commands, replicas = false } = options;
  const roots = through?.addressesOf('sentinel') ?? deployment.nodesOf('sentinel');
  return {
    name: (deployment as SentinelDeployment).masterName,
    sentinelRootNodes: roots.map(({ host, port }) => ({ host, port })),
    nodeClientOptions: connectionOptions(node),
    masterPoolSize: SENTINEL_MASTER_CONNECTIONS,
    reserveClient: true,
    replicaPoolSize: replicas ? 1 : 0,
    ...(commands as object),
    ...(through && { nodeAddressMap: through.nodeAddressMap }),
    ...caching(options),
  };
}

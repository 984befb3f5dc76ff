import { findServer } from '#redis';
import { clusterPlan, formCluster } from './cluster.ts';
import { containerHost, type Host, localHost, type ServerSpec } from './host.ts';
import { freePorts } from './ports.ts';
import { awaitSentinels, MASTER_NAME, sentinelPlan } from './sentinel.ts';
import { type NodeRole, ServerNode, ServerStartError } from './server-node.ts';

export type DeploymentKind = 'standalone' | 'cluster' | 'sentinel';

/** A server that a plan asks for, with what it is to be. */
export interface PlannedServer extends ServerSpec {
  readonly role: NodeRole;
}

/** Servers that make one Redis; stopping it leaves no process behind. */
export interface Deployment extends AsyncDisposable {
  readonly kind: DeploymentKind;
  readonly by: Host['by'];
  /** Masters first, then replicas, then sentinels or spares. */
  readonly nodes: readonly ServerNode[];
  /** The first master: all there is to know of a standalone server, a way into a cluster. */
  readonly url: string;
  nodesOf(role: NodeRole): readonly ServerNode[];
  stop(): Promise<void>;
}

export interface StandaloneDeployment extends Deployment {
  readonly kind: 'standalone';
  readonly node: ServerNode;
}

export interface SentinelDeployment extends Deployment {
  readonly kind: 'sentinel';
  /** What the sentinels call their master. */
  readonly masterName: string;
}

export interface StartOptions {
  /** More arguments for every data server, such as `['--tracking-table-max-keys', '10']`. */
  readonly args?: readonly string[];
  /** Text of a configuration file for every data server. */
  readonly conf?: string;
}

/**
 * What every data server begins with: it keeps nothing on disk, gives a replica its data at once
 * instead of after five seconds in which others could ask as well.
 */
const BASIC = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0'];

/** Starts before giving up when other processes take the ports that were free a moment ago. */
const MAX_STARTS = 5;

/** One server. About 30 ms. */
export async function startStandalone(options: StartOptions = {}): Promise<StandaloneDeployment> {
  const deployment = await start(
    'standalone',
    1,
    ([port = 0]) => [{ role: 'master', port, ...dataServer(options) }],
    async () => {},
  );
  return Object.assign(deployment, {
    kind: 'standalone' as const,
    node: deployment.nodes[0] as ServerNode,
  });
}

export interface ClusterOptions extends StartOptions {
  /** Servers that run and belong to no cluster yet; none if not said. */
  readonly spares?: number;
}

/** Three masters, a replica each. About 2 s, which Redis waits before a new cluster takes writes. */
export async function startCluster({
  spares = 0,
  ...options
}: ClusterOptions = {}): Promise<Deployment> {
  const plan = clusterPlan(dataServer(options), spares);
  return start('cluster', plan.ports, plan.servers, formCluster);
}

/** One master, one replica, three sentinels that watch them. About 1 s. */
export async function startSentinel(options: StartOptions = {}): Promise<SentinelDeployment> {
  const plan = sentinelPlan(dataServer(options));
  const deployment = await start('sentinel', plan.ports, plan.servers, awaitSentinels);
  return Object.assign(deployment, { kind: 'sentinel' as const, masterName: MASTER_NAME });
}

const dataServer = ({ args = [], conf }: StartOptions): Omit<ServerSpec, 'port'> => ({
  args: [...BASIC, ...args],
  conf,
});

/** Starts what the plan says, makes it ready, and takes it all back if that fails. */
async function start(
  kind: DeploymentKind,
  portCount: number,
  plan: (ports: readonly number[]) => readonly PlannedServer[],
  ready: (nodes: readonly ServerNode[]) => Promise<void>,
): Promise<Deployment> {
  for (let starts = 1; ; starts += 1) {
    const ports = await freePorts(portCount);
    const host = await openHost(kind, ports);
    try {
      const nodes = plan(ports).map(({ role, ...spec }) => new ServerNode(role, host, spec));
      await Promise.all(nodes.map((node) => node.start()));
      await ready(nodes);
      return running(kind, host, nodes);
    } catch (error) {
      await host.stop();
      const again = error instanceof ServerStartError && error.portTaken && starts < MAX_STARTS;
      if (!again) throw error;
    }
  }
}

async function openHost(kind: DeploymentKind, ports: readonly number[]): Promise<Host> {
  const found = await findServer();
  if (found.server !== undefined) return localHost(kind, found.server);
  return containerHost(kind, found.image, ports);
}

function running(kind: DeploymentKind, host: Host, nodes: readonly ServerNode[]): Deployment {
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= host.stop();
    return stopping;
  };
  return {
    kind,
    by: host.by,
    nodes,
    url: nodes[0]?.url ?? '',
    nodesOf: (role) => nodes.filter((node) => node.role === role),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

import type { Deployment, SentinelDeployment } from './deployments.ts';
import { eventually } from './eventually.ts';
import type { Reply } from './resp.ts';
import type { ServerNode } from './server-node.ts';
import { runningMembers } from './slots.ts';

/** What lets a cluster notice a dead master within a second or two: for `startCluster({ args })`. */
export const QUICK_FAILOVER: readonly string[] = ['--cluster-node-timeout', '1000'];

const DEADLINE_MS = 45_000;

/** What a server is now, whatever it was started as: `master`, `slave` or `sentinel`. */
export const roleNow = async (node: ServerNode): Promise<string> =>
  String(((await node.ask('ROLE')) as Reply[])[0]);

/** The running replica of a master, as it says itself. */
export async function replicaOf(deployment: Deployment, master: ServerNode): Promise<ServerNode> {
  for (const node of deployment.nodes) {
    if (!node.running || node.role === 'sentinel') continue;
    const [role, , port] = (await node.ask('ROLE')) as Reply[];
    if (role === 'slave' && Number(port) === master.port) return node;
  }
  throw new Error(`port ${master.port} has no replica`);
}

/** Resolves when the server follows that master and is in sync with it. */
export async function awaitReplication(replica: ServerNode, master: ServerNode): Promise<void> {
  await eventually(
    () => replica.ask('ROLE'),
    (role) => {
      const [is, , port, link] = role as Reply[];
      return is === 'slave' && Number(port) === master.port && link === 'connected';
    },
    { what: `port ${replica.port} to follow port ${master.port}`, deadlineMs: DEADLINE_MS },
  );
}

/** Makes a server a replica of another one; resolves when it is in sync. Not for clusters. */
export async function demote(node: ServerNode, master: ServerNode): Promise<void> {
  await node.ask('REPLICAOF', master.host, `${master.port}`);
  await awaitReplication(node, master);
}

/** Makes a replica a master of its own. Not for clusters, and sentinels would mend it. */
export async function promote(node: ServerNode): Promise<void> {
  await node.ask('REPLICAOF', 'NO', 'ONE');
  await eventually(
    () => roleNow(node),
    (role) => role === 'master',
    { what: `port ${node.port} to be a master`, deadlineMs: DEADLINE_MS },
  );
}

/**
 * A replica of a cluster takes over from its master; resolves when all members know and the old
 * master follows it. Graceful waits for the master's last writes; `force` asks nobody.
 */
export async function failOver(
  cluster: Deployment,
  replica: ServerNode,
  how: 'graceful' | 'force' = 'graceful',
): Promise<void> {
  const [, , port] = (await replica.ask('ROLE')) as Reply[];
  const master = cluster.nodes.find((node) => node.port === Number(port));
  const command = ['CLUSTER', 'FAILOVER', ...(how === 'force' ? ['FORCE'] : [])];
  // A try may come to nothing (no majority answers in time), and nobody says so: asked again then.
  await eventually(
    async () => {
      if ((await roleNow(replica)) !== 'master') await replica.ask(...command);
      return eventually(
        () => roleNow(replica),
        (role) => role === 'master',
        { deadlineMs: 6_000 },
      );
    },
    (role) => role === 'master',
    { what: `port ${replica.port} to take over`, deadlineMs: DEADLINE_MS },
  );
  await awaitMastership(cluster, replica);
  if (master?.running) await awaitReplication(master, replica);
}

/**
 * Ends a master of a cluster with SIGKILL; resolves with its replica when that has taken over and
 * all members know. Start the cluster with {@link QUICK_FAILOVER}, or it takes half a minute.
 */
export async function killUntilTakenOver(
  cluster: Deployment,
  master: ServerNode,
): Promise<ServerNode> {
  const replica = await replicaOf(cluster, master);
  await master.kill();
  await awaitMastership(cluster, replica);
  return replica;
}

/** Resolves when the node has slots, and every running member sees them there and takes commands. */
async function awaitMastership(cluster: Deployment, node: ServerNode): Promise<void> {
  await eventually(
    async () => {
      const members = await runningMembers(cluster);
      return Promise.all(
        members.map(async (member) => {
          const ranges = (await member.ask('CLUSTER', 'SLOTS')) as Reply[][];
          const info = String(await member.ask('CLUSTER', 'INFO'));
          return (
            info.includes('cluster_state:ok') &&
            ranges.some((range) => Number((range[2] as Reply[])[1]) === node.port)
          );
        }),
      );
    },
    (seen) => seen.every(Boolean),
    { what: `all to see port ${node.port} as a master`, deadlineMs: DEADLINE_MS },
  );
}

/** The data server that the first sentinel takes for the master. */
export async function masterNow(deployment: SentinelDeployment): Promise<ServerNode> {
  const [sentinel] = deployment.nodesOf('sentinel');
  const master = await masterSeenBy(deployment, sentinel as ServerNode);
  if (master === undefined) throw new Error('the sentinel knows no master');
  return master;
}

async function masterSeenBy(
  { nodes, masterName }: SentinelDeployment,
  sentinel: ServerNode,
): Promise<ServerNode | undefined> {
  const address = await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName);
  const port = Number((address as Reply[] | null)?.[1]);
  return nodes.find((node) => node.port === port);
}

/**
 * Has the sentinels promote the replica; resolves with the new master when all of them say so and the
 * old one follows it.
 */
export async function sentinelFailOver(deployment: SentinelDeployment): Promise<ServerNode> {
  const old = await masterNow(deployment);
  const replica = await replicaOf(deployment, old);
  const [sentinel] = deployment.nodesOf('sentinel');
  // Refused while the sentinel has not seen the replica or is at it already; a try may also come to
  // nothing, and nobody says so: asked again then.
  await eventually(
    async () => {
      await sentinel?.ask('SENTINEL', 'FAILOVER', deployment.masterName).catch(() => {});
      return eventually(
        () => roleNow(replica),
        (role) => role === 'master',
        { deadlineMs: 7_000 },
      );
    },
    (role) => role === 'master',
    { what: `port ${replica.port} to be promoted`, deadlineMs: DEADLINE_MS },
  );
  await awaitMaster(deployment, replica);
  await awaitReplication(old, replica);
  return replica;
}

/** Ends the master with SIGKILL; resolves with its replica when every sentinel says it is the master. */
export async function killUntilPromoted(deployment: SentinelDeployment): Promise<ServerNode> {
  const old = await masterNow(deployment);
  const replica = await replicaOf(deployment, old);
  await old.kill();
  await awaitMaster(deployment, replica);
  return replica;
}

async function awaitMaster(deployment: SentinelDeployment, node: ServerNode): Promise<void> {
  await eventually(
    async () => ({
      role: await roleNow(node),
      seen: await Promise.all(
        deployment
          .nodesOf('sentinel')
          .filter(({ running }) => running)
          .map((sentinel) => masterSeenBy(deployment, sentinel)),
      ),
    }),
    ({ role, seen }) => role === 'master' && seen.every((master) => master === node),
    { what: `the sentinels to call port ${node.port} the master`, deadlineMs: DEADLINE_MS },
  );
}

import type { PlannedServer } from './deployments.ts';
import { eventually } from './eventually.ts';
import type { ServerSpec } from './host.ts';
import type { Reply } from './resp.ts';
import type { NodeRole, ServerNode } from './server-node.ts';

const MASTERS = 3;
const SLOTS = 16_384;

/** Three masters and a replica for each, then the spares, and how many ports they need. */
export function clusterPlan(
  data: Omit<ServerSpec, 'port'>,
  spares = 0,
): {
  ports: number;
  servers(ports: readonly number[]): PlannedServer[];
} {
  const count = MASTERS * 2 + spares;
  const roleOf = (i: number): NodeRole => {
    if (i < MASTERS) return 'master';
    return i < MASTERS * 2 ? 'replica' : 'spare';
  };
  return {
    ports: count * 2,
    servers: (ports) =>
      ports.slice(0, count).map((port, i) => ({
        role: roleOf(i),
        port,
        conf: data.conf,
        args: [
          ...['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${port}.conf`],
          // Explicit, since the customary port + 10 000 may be taken.
          ...['--cluster-port', `${ports[count + i]}`],
          // A master that gives away its last slot stays one, and replicas stay where they are.
          ...['--cluster-allow-replica-migration', 'no'],
          ...data.args,
        ],
      })),
  };
}

/** Makes a cluster of servers that know nothing of each other; resolves when it takes writes. */
export async function formCluster(all: readonly ServerNode[]): Promise<void> {
  const nodes = all.filter(({ role }) => role !== 'spare');
  const masters = nodes.filter(({ role }) => role === 'master');
  const replicas = nodes.filter(({ role }) => role === 'replica');
  const share = Math.ceil(SLOTS / masters.length);
  await Promise.all(
    masters.map(async (master, i) => {
      const last = Math.min(SLOTS, (i + 1) * share) - 1;
      await master.ask('CLUSTER', 'ADDSLOTSRANGE', `${i * share}`, `${last}`);
      await master.ask('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`);
    }),
  );
  await meet(nodes, nodes);
  await Promise.all(
    replicas.map(async (replica, i) => {
      const id = String(await masters[i]?.ask('CLUSTER', 'MYID'));
      await eventually(
        () => replica.ask('CLUSTER', 'REPLICATE', id),
        (answer) => answer === 'OK',
        { what: `port ${replica.port} to know its master` },
      );
      await eventually(
        () => replica.ask('INFO', 'replication'),
        (info) => String(info).includes('master_link_status:up'),
        { what: `port ${replica.port} to be in sync` },
      );
      // A replica that has received nothing yet is shown to no client. This needs no key, so a
      // master does it before the cluster takes writes; unasked it says something after ten seconds.
      await masters[i]?.ask('FLUSHALL');
      await eventually(
        () => replica.ask('INFO', 'replication'),
        (info) => !/slave_repl_offset:0\r/.test(String(info)),
        { what: `port ${replica.port} to receive from its master` },
      );
    }),
  );
  // Met again, the others learn now what the replicas are; by gossip after half the node timeout.
  await meet(replicas, nodes);
  await Promise.all(nodes.map((node) => settled(node, nodes.length)));
}

/** Each of these meets each of those: gossip alone would take seconds. */
export async function meet(
  these: readonly ServerNode[],
  those: readonly ServerNode[],
): Promise<void> {
  const busPorts = await Promise.all(
    those.map(async (node) => {
      const [, port] = (await node.ask('CONFIG', 'GET', 'cluster-port')) as [string, string];
      return port;
    }),
  );
  await Promise.all(
    these.map(async (node) => {
      for (const [i, other] of those.entries())
        if (other !== node)
          await node.ask('CLUSTER', 'MEET', other.host, `${other.port}`, `${busPorts[i]}`);
    }),
  );
}

/** Resolves when the node takes commands and shows every slot with its replica. */
async function settled(node: ServerNode, count: number): Promise<void> {
  await eventually(
    async () => {
      const info = String(await node.ask('CLUSTER', 'INFO'));
      const ranges = (await node.ask('CLUSTER', 'SLOTS')) as Reply[][];
      return {
        ok: info.includes('cluster_state:ok'),
        known: Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]),
        // A range is its first and its last slot, then its master, then its replicas.
        replicated: ranges.filter((range) => range.length === 4).length,
      };
    },
    ({ ok, known, replicated }) => ok && known === count && replicated === MASTERS,
    { what: `port ${node.port} to see the whole cluster`, deadlineMs: 30_000 },
  );
}

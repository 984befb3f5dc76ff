import { meet } from './cluster.ts';
import type { Deployment } from './deployments.ts';
import { eventually } from './eventually.ts';
import type { ServerNode } from './server-node.ts';
import { myId, runningMembers } from './slots.ts';

const DEADLINE_MS = 45_000;

/** A spare becomes a master without slots; resolves when all members know it and it takes commands. */
export async function joinCluster(cluster: Deployment, node: ServerNode): Promise<void> {
  const members = (await runningMembers(cluster)).filter((member) => member !== node);
  await meet([node], members);
  await awaitKnown([...members, node], members.length + 1);
  await eventually(
    () => node.ask('CLUSTER', 'INFO'),
    (info) => String(info).includes('cluster_state:ok'),
    { what: `port ${node.port} to take commands`, deadlineMs: DEADLINE_MS },
  );
}

/**
 * A node without slots and replicas leaves and knows nothing of the cluster any more; resolves when
 * no member knows it.
 */
export async function leaveCluster(cluster: Deployment, node: ServerNode): Promise<void> {
  const members = (await runningMembers(cluster)).filter((member) => member !== node);
  const id = await myId(node);
  // A member that hears of it from another one within a minute does not take it back.
  for (const member of members) await member.ask('CLUSTER', 'FORGET', id);
  await node.ask('FLUSHALL');
  await node.ask('CLUSTER', 'RESET', 'HARD');
  await awaitKnown(members, members.length);
  await awaitKnown([node], 1);
}

async function awaitKnown(nodes: readonly ServerNode[], count: number): Promise<void> {
  await Promise.all(
    nodes.map((node) =>
      eventually(
        async () => {
          const info = String(await node.ask('CLUSTER', 'INFO'));
          return {
            known: Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]),
            // A node that was met and has not answered yet is known by a name for the time being.
            shaking: String(await node.ask('CLUSTER', 'NODES')).includes('handshake'),
          };
        },
        ({ known, shaking }) => known === count && !shaking,
        { what: `port ${node.port} to know ${count} nodes`, deadlineMs: DEADLINE_MS },
      ),
    ),
  );
}

import type { Deployment } from './deployments.ts';
import { eventually } from './eventually.ts';
import type { Reply } from './resp.ts';
import type { ServerNode } from './server-node.ts';

/** Long enough for a busy machine; whoever waits this long waits for something that won't happen. */
const DEADLINE_MS = 45_000;

/** The members of a cluster that run, whatever they were started as. */
export const runningMembers = async (cluster: Deployment): Promise<ServerNode[]> => {
  const members: ServerNode[] = [];
  for (const node of cluster.nodes)
    if (node.running && (node.role !== 'spare' || (await hasJoined(node)))) members.push(node);
  return members;
};

const hasJoined = async (node: ServerNode): Promise<boolean> =>
  !String(await node.ask('CLUSTER', 'INFO')).includes('cluster_known_nodes:1\r');

/** The slot of a key, as its cluster counts. */
export async function slotOf(cluster: Deployment, key: string): Promise<number> {
  const [node] = await runningMembers(cluster);
  return Number(await node?.ask('CLUSTER', 'KEYSLOT', key));
}

/** The port of the master of a slot as that node sees it, or `undefined` if it knows of none. */
export async function ownerPortSeenBy(node: ServerNode, slot: number): Promise<number | undefined> {
  return ownerIn(await node.ask('CLUSTER', 'SLOTS'), slot);
}

/** The port of the master of a slot in an answer to `CLUSTER SLOTS`. */
export function ownerIn(ranges: Reply, slot: number): number | undefined {
  // A range is its first and its last slot, then its master (address, port, …), then its replicas.
  const range = (ranges as Reply[][]).find(
    ([first, last]) => Number(first) <= slot && slot <= Number(last),
  );
  return range && Number((range[2] as Reply[])[1]);
}

/** The node that takes itself for the master of the slot: nobody else knows it sooner. */
export async function ownerOf(cluster: Deployment, slot: number): Promise<ServerNode> {
  for (const node of await runningMembers(cluster))
    if ((await ownerPortSeenBy(node, slot)) === node.port) return node;
  throw new Error(`nobody claims slot ${slot}`);
}

/** Resolves when every running member sees that node as the master of the slot. */
export async function awaitOwner(
  cluster: Deployment,
  slot: number,
  owner: ServerNode,
): Promise<void> {
  await eventually(
    async () => {
      const members = await runningMembers(cluster);
      return Promise.all(members.map((node) => ownerPortSeenBy(node, slot)));
    },
    (ports) => ports.every((port) => port === owner.port),
    { what: `slot ${slot} to be seen on port ${owner.port}`, deadlineMs: DEADLINE_MS },
  );
}

/** A slot on its way: the old owner answers ASK for keys it no longer has. */
export interface SlotMove {
  readonly cluster: Deployment;
  readonly slot: number;
  readonly from: ServerNode;
  readonly to: ServerNode;
}

/** Marks the slot as importing at its new and as migrating at its old owner; no key has moved yet. */
export async function startSlotMove(
  cluster: Deployment,
  slot: number,
  to: ServerNode,
): Promise<SlotMove> {
  const from = await ownerOf(cluster, slot);
  const [fromId, toId] = [await myId(from), await myId(to)];
  // The importing end first, or a redirected client would be sent back.
  await to.ask('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', fromId);
  await from.ask('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', toId);
  return { cluster, slot, from, to };
}

/** Moves these keys, or all of the slot, over to the new owner; answers which. */
export async function moveKeys(
  { slot, from, to }: SlotMove,
  keys?: readonly string[],
): Promise<readonly string[]> {
  const moving =
    keys ?? ((await from.ask('CLUSTER', 'GETKEYSINSLOT', `${slot}`, '100000')) as string[]);
  if (moving.length > 0)
    await from.ask('MIGRATE', to.host, `${to.port}`, '', '0', '5000', 'KEYS', ...moving);
  return moving;
}

/**
 * Gives the slot to its new owner; resolves when all members see it there. No key may be left behind:
 * the old owner would refuse.
 */
export async function finishSlotMove(move: SlotMove): Promise<void> {
  await assignSlot(move);
  await awaitOwner(move.cluster, move.slot, move.to);
}

/** Gives the slot to its new owner and tells the old one, in that order; the others learn by gossip. */
export async function assignSlot({ slot, from, to }: SlotMove): Promise<void> {
  const toId = await myId(to);
  // The new owner first: it raises its epoch, and the slot is never without one.
  await to.ask('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId);
  await from.ask('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId);
}

/** Moves a slot with all its keys, if it has any; resolves when all members see it there. */
export async function moveSlot(cluster: Deployment, slot: number, to: ServerNode): Promise<void> {
  const move = await startSlotMove(cluster, slot, to);
  await moveKeys(move);
  await finishSlotMove(move);
}

/** What a node calls itself in its cluster. */
export const myId = async (node: ServerNode): Promise<string> =>
  String(await node.ask('CLUSTER', 'MYID'));

/**
 * What a node of a cluster is asked, to learn whether what was read there still stands. None of the
 * three says it all: a slot that is on its way is in `NODES` alone. In `INFO` alone is that the node is
 * cut off from the others, so that it may have been replaced, and that slots have left and come back.
 */
export const TOPOLOGY_QUESTIONS: readonly (readonly string[])[] = [
  ['CLUSTER', 'SLOTS'],
  ['CLUSTER', 'NODES'],
  ['CLUSTER', 'INFO'],
];

/** The answers as text, to be compared and nothing else; one that was refused says nothing. */
export function topologyOf([slots, nodes, info]: readonly unknown[]): string {
  return JSON.stringify([slots, migratingIn(String(nodes)), ...stateIn(String(info))]);
}

/**
 * The slots that the node itself is giving away, as `[93->-id]`: their new keys are at their new owner
 * already, and nobody pushes here what becomes of a key that was not here. The rest of `NODES` holds
 * times that are others with each answer.
 */
function migratingIn(nodes: string): readonly string[] {
  const own = nodes.split('\n').find((line) => / (\S+,)?myself[ ,]/.test(line));
  return own?.match(/\[\d+->-[^\]]*\]/g) ?? [];
}

/**
 * `fail`: it cannot reach the others, and refuses what it is asked of its keys. The epoch rises with
 * every slot that gets another owner, be it the one that it had before.
 */
function stateIn(info: string): readonly (string | undefined)[] {
  return [/cluster_state:\w+/, /cluster_current_epoch:\d+/].map((each) => each.exec(info)?.[0]);
}

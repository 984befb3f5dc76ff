import type { Deployment } from './deployments.ts';
import { eventually } from './eventually.ts';
import { TcpProxy } from './proxy.ts';
import type { ServerNode } from './server-node.ts';
import { runningMembers } from './slots.ts';

/** What lets {@link cutOff} work: for `startCluster({ args })`. */
export const CAN_BE_CUT_OFF: readonly string[] = ['--enable-debug-command', 'local'];

const DEADLINE_MS = 30_000;
/** The cluster bus's own numbers; none: every packet is taken. */
const PONG = '1';
const NONE = '-1';

/** A member of a cluster that hears nothing of the others; clients reach it as ever. */
export interface CutOff {
  /** Resolves when it takes commands again, or has become a replica. */
  heal(): Promise<void>;
}

/**
 * Lets no packet of the cluster's bus reach a node: the others find a proxy where they look for it,
 * which refuses them, and it drops what they answer to it.
 */
export async function cutOff(cluster: Deployment, node: ServerNode): Promise<CutOff> {
  const others = (await runningMembers(cluster)).filter((member) => member !== node);
  const [, busPort] = (await node.ask('CONFIG', 'GET', 'cluster-port')) as [string, string];
  const proxy = await TcpProxy.start({ host: node.host, port: Number(busPort) });
  await node.ask('CONFIG', 'SET', 'cluster-announce-bus-port', `${proxy.port}`);
  // They learn it with its next ping, and connect anew.
  await eventually(
    () => proxy.open,
    (open) => open >= others.length,
    { what: `${others.length} members to come through the proxy`, deadlineMs: DEADLINE_MS },
  );
  proxy.cut({ refuse: true });
  await node.ask('DEBUG', 'DROP-CLUSTER-PACKET-FILTER', PONG);
  return {
    heal: async () => {
      proxy.heal();
      await node.ask('DEBUG', 'DROP-CLUSTER-PACKET-FILTER', NONE);
      await node.ask('CONFIG', 'SET', 'cluster-announce-bus-port', '0');
      await eventually(
        async () => ({
          open: proxy.open,
          info: String(await node.ask('CLUSTER', 'INFO')),
        }),
        ({ open, info }) => open === 0 && info.includes('cluster_state:ok'),
        { what: `port ${node.port} to be back`, deadlineMs: DEADLINE_MS },
      );
      await proxy.close();
    },
  };
}

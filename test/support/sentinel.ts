import type { PlannedServer } from './deployments.ts';
import { eventually } from './eventually.ts';
import type { ServerSpec } from './host.ts';
import type { ServerNode } from './server-node.ts';

export const MASTER_NAME = 'mymaster';
const SENTINELS = 3;

/** One master, one replica, three sentinels of which two must agree. */
export function sentinelPlan(data: Omit<ServerSpec, 'port'>): {
  ports: number;
  servers(ports: readonly number[]): PlannedServer[];
} {
  return {
    ports: 2 + SENTINELS,
    servers: ([master = 0, replica = 0, ...watching]) => [
      { role: 'master', port: master, ...data },
      {
        role: 'replica',
        port: replica,
        conf: data.conf,
        args: [...data.args, '--replicaof', `127.0.0.1 ${master}`],
      },
      ...watching.map((port) => ({
        role: 'sentinel' as const,
        port,
        args: ['--sentinel'],
        conf: [
          `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master} 2`,
          `sentinel down-after-milliseconds ${MASTER_NAME} 1000`,
          `sentinel failover-timeout ${MASTER_NAME} 5000`,
          '',
        ].join('\n'),
      })),
    ],
  };
}

/** Resolves when the replica has its data and every sentinel sees it and the other sentinels. */
export async function awaitSentinels(nodes: readonly ServerNode[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      if (node.role === 'replica')
        await eventually(
          () => node.ask('INFO', 'replication'),
          (info) => String(info).includes('master_link_status:up'),
          { what: 'the replica to be in sync' },
        );
      if (node.role !== 'sentinel') return;
      // Unhurried, sentinels look for replicas only every ten seconds.
      await node.ask('SENTINEL', 'DEBUG', 'INFO-PERIOD', '100', 'PUBLISH-PERIOD', '100');
      await eventually(
        () => node.ask('INFO', 'sentinel'),
        (info) => /status=ok.*slaves=1,sentinels=3/.test(String(info)),
        { what: `the sentinel on port ${node.port} to see the others` },
      );
    }),
  );
  // After four of its publish periods a sentinel takes a replica that calls itself a master for a
  // mistake and mends it: that must be longer than the one who promoted it needs to notice and say so.
  await Promise.all(
    nodes
      .filter(({ role }) => role === 'sentinel')
      .map((node) => node.ask('SENTINEL', 'DEBUG', 'PUBLISH-PERIOD', '1500')),
  );
}

import type { Handlers } from '../support/child.ts';
import type { SentinelDeployment } from '../support/deployments.ts';
import { eventually, pause } from '../support/eventually.ts';
import {
  awaitReplication,
  killUntilPromoted,
  masterNow,
  replicaOf,
  roleNow,
  sentinelFailOver,
} from '../support/failover.ts';
import type { Random } from '../support/random.ts';
import type { ServerNode } from '../support/server-node.ts';
import type { Crew, Member } from './crew.ts';
import type { Mishap } from './nemesis.ts';
import type { SingleWay, Way } from './way.ts';

/** Where mishaps happen: processes, and the server that they all use. */
export interface Stage<H extends Handlers, W extends Way> {
  readonly random: Random;
  readonly crew: Crew<H, W>;
  readonly master: ServerNode;
  /** How long a lease of what the processes rely on is. */
  readonly leaseMs: number;
  /** The process that it would hurt most just now, if any. */
  victim(): string | undefined;
}

/** A process that has something to lose, as often as there is one and chance wants it. */
function someone<H extends Handlers, W extends Way>(stage: Stage<H, W>): Member<H, W> {
  const { crew, random } = stage;
  const victim = crew.find(stage.victim() ?? '');
  return victim !== undefined && random.chance(0.7) ? victim : random.anyOf(crew.members);
}

/** What may happen to any deployment. */
export function commonMishaps<H extends Handlers, W extends Way>(stage: Stage<H, W>): Mishap[] {
  const { random, leaseMs } = stage;
  return [
    {
      what: 'SIGSTOP for longer than a lease',
      aim: () => {
        const { name, child } = someone(stage);
        const forMs = random.between(1.1, 2) * leaseMs;
        const strike = async (): Promise<void> => {
          await child.pause();
          await pause(forMs);
          child.resume();
        };
        return { whom: name, strike };
      },
    },
    {
      what: 'SIGKILL',
      aim: () => {
        const member = someone(stage);
        return { whom: member.name, strike: () => stage.crew.replace(member) };
      },
    },
    {
      what: 'stalled connections',
      aim: () => {
        const { name, way } = someone(stage);
        const forMs = random.between(0.2, 2) * leaseMs;
        const strike = async (): Promise<void> => {
          way.stall();
          await pause(forMs);
          way.resume();
        };
        return { whom: name, strike };
      },
    },
    {
      what: 'cut connections',
      aim: () => {
        const { name, way } = someone(stage);
        const forMs = random.anyOf([0, random.between(0.2, 2) * leaseMs]);
        const strike = async (): Promise<void> => {
          way.cut();
          await pause(forMs);
          way.heal();
        };
        return { whom: name, strike };
      },
    },
    {
      what: 'CLIENT KILL',
      aim: async () => {
        const ids = await trackingClients(stage.master);
        const victims = random.chance(0.3) ? ids : ids.length === 0 ? [] : [random.anyOf(ids)];
        const strike = async (): Promise<void> => {
          // One may be gone in the meantime.
          for (const id of victims)
            await stage.master.ask('CLIENT', 'KILL', 'ID', id).catch(() => {});
        };
        return { whom: `${victims.length} connections`, strike };
      },
    },
    {
      what: 'FLUSHALL',
      aim: () => ({
        whom: 'the master',
        removes: 'all',
        strike: async () => void (await stage.master.ask('FLUSHALL')),
      }),
    },
  ];
}

/** Connections of processes; who only looks on does not track. */
async function trackingClients(server: ServerNode): Promise<string[]> {
  const clients = String(await server.ask('CLIENT', 'LIST', 'TYPE', 'normal'));
  return [...clients.matchAll(/^id=(\d+) .* flags=\w*t\w* /gm)].map(([, id = '']) => id);
}

/** The key is deleted by somebody to whom it does not belong. `keyOf`: as it is called in Redis. */
export function deletion<H extends Handlers, W extends Way>(
  stage: Stage<H, W>,
  keys: readonly string[],
  keyOf: (key: string) => string,
): Mishap {
  return {
    what: 'DEL',
    aim: () => {
      const key = stage.random.anyOf(keys);
      const strike = async () => void (await stage.master.ask('DEL', keyOf(key)));
      return { whom: key, removes: [key], strike };
    },
  };
}

/** Another program writes something of its own under the key. */
export function overwriting<H extends Handlers, W extends Way>(
  stage: Stage<H, W>,
  keys: readonly string[],
  keyOf: (key: string) => string,
): Mishap {
  return {
    what: 'SET of another program',
    aim: () => {
      const key = stage.random.anyOf(keys);
      const strike = async () => void (await stage.master.ask('SET', keyOf(key), 'anything'));
      return { whom: key, removes: [key], strike };
    },
  };
}

/** The server stands still, and answers late what was asked meanwhile. */
export function hang<H extends Handlers, W extends Way>(stage: Stage<H, W>): Mishap {
  const { random, leaseMs } = stage;
  return {
    what: 'hung server',
    // Whatever else is to be asked of the server would wait for it.
    alone: true,
    aim: () => {
      const server = stage.master;
      const forMs = random.between(0.2, 2) * leaseMs;
      const strike = async (): Promise<void> => {
        await server.pause();
        await pause(forMs);
        await server.resume();
      };
      return { whom: 'the master', strike };
    },
  };
}

const FAILOVERS = ['on request', 'on request, and nothing was replicated', 'of a dead master'];

/**
 * The sentinels promote the replica. Processes that do not ask the sentinels are led to it one after
 * the other, so that for a while both servers are used. Replication is asynchronous: the replica may
 * lack what the master has just granted, and sometimes lacks everything.
 */
export function failover<H extends Handlers, W extends Way>(
  stage: Stage<H, W>,
  deployment: SentinelDeployment,
  promoted: (master: ServerNode) => void,
): Mishap {
  const { random } = stage;
  const strike = async (how: string): Promise<void> => {
    const old = stage.master;
    const replica = await replicaOf(deployment, old);
    if (how.includes('nothing')) await forgetAll(replica);
    await Promise.all([
      how.includes('dead') ? killUntilPromoted(deployment) : sentinelFailOver(deployment),
      leadTo(stage, replica).then(() => promoted(replica)),
    ]);
    if (!old.running) await old.restart();
    // A server that has just come back is sometimes promoted again.
    const master = await settledMaster(deployment);
    if (master === replica) return;
    await leadTo(stage, master);
    promoted(master);
  };
  return {
    what: 'failover',
    alone: true,
    aim: () => {
      const how = random.anyOf(FAILOVERS);
      return { whom: how, removes: 'all', forks: true, strike: () => strike(how) };
    },
  };
}

/** The master, once the first sentinel calls it so and the other server follows it. */
function settledMaster(deployment: SentinelDeployment): Promise<ServerNode> {
  return eventually(
    async () => {
      const master = await masterNow(deployment);
      const replica = await replicaOf(deployment, master);
      await awaitReplication(replica, master);
      return (await roleNow(master)) === 'master' && master === (await masterNow(deployment))
        ? master
        : undefined;
    },
    (master) => master !== undefined,
    { what: 'one server to be the master', deadlineMs: 45_000, everyMs: 100 },
  ) as Promise<ServerNode>;
}

/** As if the last of what the master did had never reached the replica. */
async function forgetAll(replica: ServerNode): Promise<void> {
  await replica.ask('CONFIG', 'SET', 'replica-read-only', 'no');
  await replica.ask('FLUSHALL');
  await replica.ask('CONFIG', 'SET', 'replica-read-only', 'yes');
}

async function leadTo<H extends Handlers, W extends Way>(
  { crew, random }: Stage<H, W>,
  replica: ServerNode,
): Promise<void> {
  await eventually(
    () => roleNow(replica),
    (role) => role === 'master',
    { what: 'the replica to be promoted', deadlineMs: 45_000 },
  );
  for (const { way } of random.shuffled(crew.members)) {
    if (!canBeLed(way)) continue;
    way.lead(replica);
    await pause(random.between(0, 100));
  }
}

const canBeLed = (way: Way): way is SingleWay => 'lead' in way;

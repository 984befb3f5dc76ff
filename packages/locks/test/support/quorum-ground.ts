import { ManualClock } from '@redcache/core/testing';
import { Locks } from '../../src/locks.ts';
import type { LocksSettings } from '../../src/options.ts';
import { SETTINGS } from './lock-ground.ts';
import { type ModelConnection, ModelServer } from './model-server.ts';

export interface QuorumGround {
  readonly clock: ManualClock;
  readonly servers: readonly ModelServer[];
  /** One to each server, in their order. */
  readonly ports: readonly ModelConnection[];
  readonly locks: Locks;
}

/** Servers that know nothing of each other, on one clock. */
export function modelServers(count: number, clock: ManualClock = new ManualClock()): ModelServer[] {
  return Array.from({ length: count }, () => new ModelServer(clock));
}

/** Locks that need a majority of the servers, over a connection to each that is tracked or not. */
export async function openQuorum(
  servers: readonly ModelServer[] = modelServers(3),
  settings: Partial<LocksSettings> = {},
  tracked = true,
): Promise<QuorumGround> {
  const links = await Promise.all(servers.map((server) => server.connect(tracked)));
  const { clock } = servers[0] as ModelServer;
  const sources = links.map((first) => ({ first }));
  const locks = new Locks({ ...SETTINGS, clock, ...settings }, { sources, keyMajority: 1 });
  return { clock, servers, ports: links.map(({ port }) => port), locks };
}

/** How many of the servers have the lock of this holder. */
export function placesOf(servers: readonly ModelServer[], key: string, holder: string): number {
  return servers.filter((server) => server.get(key)?.startsWith(`${holder}:`)).length;
}

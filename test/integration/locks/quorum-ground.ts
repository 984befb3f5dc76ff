import { createLocks, type Lock, type Locks, type LocksRules } from '@redcache/locks';
import { expect, onTestFinished } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { openClient } from './ground.ts';

/** Servers that know nothing of each other. */
export async function startServers(count = 3): Promise<readonly ServerNode[]> {
  const started: StandaloneDeployment[] = await Promise.all(
    Array.from({ length: count }, () => startStandalone()),
  );
  onTestFinished(async () => {
    await Promise.all(started.map((deployment) => deployment.stop()));
  });
  return started.map(({ node }) => node);
}

type QuorumOptions = LocksRules;

/** Locks over a client for each of the servers, closed when the test ends. */
export async function openQuorum(
  servers: readonly { readonly url: string }[],
  { tracked = true, ...options }: QuorumOptions & { readonly tracked?: boolean } = {},
): Promise<Locks> {
  const clients = await Promise.all(servers.map(({ url }) => openClient(url, tracked)));
  const locks = createLocks({ clients, commandTimeout: 300, ...options });
  onTestFinished(() => locks.close());
  return locks;
}

/** What stands under a key on each server. */
export const everywhere = (
  servers: readonly ServerNode[],
  ...command: readonly string[]
): Promise<unknown[]> => Promise.all(servers.map((server) => server.ask(...command)));

/** One attempt; a lock, or null for a refusal, of which nothing but these kinds is expected. */
export async function attempt(locks: Locks, key: string): Promise<Lock | null> {
  try {
    return await locks.acquire(key, { lease: '1h', wait: 400 });
  } catch (error) {
    expect(error).toMatchObject({
      code: expect.stringMatching(/^REDCACHE_(QUORUM|ACQUIRE_TIMEOUT)$/),
    });
    return null;
  }
}

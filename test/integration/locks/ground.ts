import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { clientSideCache } from '@redcache/core/node-redis';
import {
  createLocks,
  type Lock,
  type LockChannels,
  type Locks,
  type LocksRules,
  type OneDeployment,
} from '@redcache/locks';
import { createClient } from 'redis';
import { onTestFinished } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type Kind, openKind } from '../core/four-kinds.ts';

export interface OpenOptions extends LocksRules, Pick<OneDeployment, 'keyMajority'> {
  /** Whether the client hears pushes itself; true if not said. */
  readonly tracked?: boolean;
}

export type Client = ReturnType<typeof createClient>;

/** A client, closed when the test ends; what it says of lost connections is no failure. */
export async function openClient(url: string, tracked = false): Promise<Client> {
  const client = createClient({ url, ...(tracked ? { clientSideCache: clientSideCache() } : {}) });
  client.on('error', () => {});
  onTestFinished(() => client.destroy());
  await client.connect();
  return client as Client;
}

/** Locks over a client of their own, closed when the test ends. */
export async function openLocks(
  url: string,
  { tracked = true, ...options }: OpenOptions = {},
): Promise<{ locks: Locks; client: Client }> {
  const client = await openClient(url, tracked);
  const locks = createLocks({ client, ...options });
  onTestFinished(() => locks.close());
  return { locks, client };
}

/**
 * Locks over a client of that kind, with a cache of its own or without; both are closed when the test
 * ends. Nobody polls within a test.
 */
export async function openLocksOver(
  kind: Kind,
  deployment: Deployment,
  { cached, ...options }: { cached: boolean } & Omit<OneDeployment, 'client'>,
): Promise<Locks> {
  const cache = cached ? { cache: clientSideCache() as never } : {};
  const opened = await openKind(kind, deployment, cache);
  const client = opened.raw as OneDeployment['client'];
  const locks = createLocks({ client, retry: { delay: '60s' }, ...options });
  onTestFinished(async () => {
    await locks.close();
    await opened.close();
  });
  return locks;
}

/** What is said on a channel of the locks until the test ends. */
export function hear<N extends keyof LockChannels>(name: N): LockChannels[N][] {
  const heard: LockChannels[N][] = [];
  const listener = (message: unknown): void => void heard.push(message as LockChannels[N]);
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return heard;
}

/** Resolves when the signal aborts, with its reason. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}

/** Resolves when the lease of a lock has been extended so many times: three are one lease. */
export async function extensions(lock: Lock, count: number): Promise<void> {
  let remainingMs = lock.remainingMs();
  let extended = 0;
  await eventually(
    () => {
      const before = remainingMs;
      remainingMs = lock.remainingMs();
      if (remainingMs > before) extended += 1;
      return extended;
    },
    (times) => times >= count,
    { what: `${count} extensions` },
  );
}

let keys = 0;
/** A key that no other test uses. */
export const freshKey = (name: string): string => `${name}:${process.pid}:${++keys}`;

/** The key in Redis of the lock of a key, with the default prefix. */
export const inRedis = (key: string): string => `redcache:lock:${key}`;

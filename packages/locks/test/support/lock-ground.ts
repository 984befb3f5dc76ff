import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ManualClock } from '@redcache/core/testing';
import { onTestFinished } from 'vitest';
import type { LockChannels } from '../../src/channels.ts';
import type { ConnectionSource } from '../../src/connections.ts';
import { Locks } from '../../src/locks.ts';
import type { LocksSettings } from '../../src/options.ts';
import { type ModelConnection, ModelServer } from './model-server.ts';

export const SETTINGS = {
  prefix: 'l:',
  leaseMs: 3_000,
  autoExtend: true,
  driftRatio: 0.01,
  retry: { delayMs: 50, jitter: 0, attempts: Infinity },
  handoff: { maxMs: 50, maxCount: 1_000 },
  maxWaiting: 10_000,
  commandTimeoutMs: 100,
  acquire: { leaseMs: 3_000, autoExtend: true, signal: undefined, waitMs: undefined },
} as const;

export interface LockGround {
  readonly clock: ManualClock;
  readonly server: ModelServer;
  readonly port: ModelConnection;
  readonly locks: Locks;
}

/** Locks over a connection to the model that is tracked. */
export async function openLocks(
  settings: Partial<LocksSettings> = {},
  server: ModelServer = new ModelServer(new ManualClock()),
  source?: ConnectionSource,
): Promise<LockGround> {
  const { clock } = server;
  const first = source?.first ?? (await server.connect());
  const sources = [{ first, ...source }];
  const locks = new Locks({ ...SETTINGS, clock, ...settings }, { sources, keyMajority: 1 });
  return { clock, server, port: first.port as ModelConnection, locks };
}

/** What is said on a channel of the locks, until the test ends. */
export function hear<N extends keyof LockChannels>(name: N): LockChannels[N][] {
  const heard: LockChannels[N][] = [];
  const listener = (message: unknown): void => void heard.push(message as LockChannels[N]);
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return heard;
}

/** Asked once per connection, whatever is done there. */
const ASKED_ONCE = ['CLIENT', 'COMMAND'];

/** Names of what the locks have sent there since the last look. */
export const sentOf = (port: { readonly log: string[] }): string[] =>
  port.log.splice(0).filter((name) => !ASKED_ONCE.includes(name));

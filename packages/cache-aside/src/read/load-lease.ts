import type { Clock, TrackingCache } from '@redcache/core';
import { besideOf } from '@redcache/core/toolkit';
import { Lease, type LeaseOptions, listenTo } from '@redcache/locks/lease';
import type { Keyspace, RefreshKeys } from '../redis/keyspace.ts';
import type { LoadLease, Reading } from './reading.ts';

/** How much of a lease the clocks of this machine and the server's may disagree about. */
const DRIFT_RATIO = 0.01;

export interface LeaseGround {
  readonly engine: TrackingCache;
  readonly keyspace: Keyspace;
  readonly clock: Clock;
}

/** The lease of a load that stands in the data key itself, where there is no value to be kept. */
export function placeholderLease(
  read: Reading,
  mark: string,
  epoch: number,
  ground: LeaseGround,
): LoadLease {
  const { keyspace } = ground;
  const { key } = read;
  const life = leaseIn(key, read, ground, {
    extend: (leaseMs) => keyspace.extend(key, mark, leaseMs),
    release: () => keyspace.release(key, mark),
    verify: () => verdictOn(keyspace, key, mark),
  });
  return {
    life,
    isBeside: false,
    epoch,
    fill: (envelope, ttlMs) => keyspace.fill(key, mark, envelope, ttlMs),
    release: () => keyspace.release(key, mark),
  };
}

/** The lease of a load whose key holds a value meanwhile: it stands beside. */
export function refreshLease(
  read: Reading,
  at: RefreshKeys,
  holder: string,
  epoch: number,
  ground: LeaseGround,
): LoadLease {
  const { keyspace } = ground;
  const life = leaseIn(at.lease, read, ground, {
    extend: (leaseMs) => keyspace.extendRefresh(at, holder, leaseMs),
    release: () => keyspace.release(at.lease, holder),
    verify: () => verdictOn(keyspace, at.lease, holder),
  });
  return {
    life,
    isBeside: true,
    epoch,
    fill: (envelope, ttlMs) => keyspace.fillRefresh(at, holder, envelope, ttlMs),
    release: () => keyspace.release(at.lease, holder),
  };
}

/** Where the lease of a load stands while the data key holds a value. */
export function refreshKey(key: string): string {
  const { before, after } = besideOf(key);
  return `${before}redcache:refresh${after}`;
}

function leaseIn(
  key: string,
  { name, shared, policy }: Reading,
  { engine, keyspace, clock }: LeaseGround,
  commands: LeaseOptions['commands'],
): Lease {
  return new Lease({
    label: name,
    leaseMs: policy.leaseMs,
    driftRatio: DRIFT_RATIO,
    autoExtend: true,
    extendUntilAtMs: clock.nowMs() + policy.hardMs,
    clock,
    listen: listenTo({ engine, port: keyspace.port }, key),
    commands,
    onForeignPush: () => shared.detach(), // guard: I1
    // From now on it judges no pushes, so that nobody would hear of the next change.
    onLost: () => shared.detach(),
  });
}

async function verdictOn(
  keyspace: Keyspace,
  key: string,
  held: string,
): ReturnType<LeaseOptions['commands']['verify']> {
  const { content, remaining } = await keyspace.read(key, 'text');
  if (content === null || remaining === 'unknown') return { is: 'deleted' };
  if (content !== held) return { is: 'taken' };
  return { is: 'ours', remainingMs: remaining === 'none' ? Number.POSITIVE_INFINITY : remaining };
}

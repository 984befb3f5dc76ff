import type { Clock, TrackingCache } from '@redcache/core';
import { Lease, listenTo } from '@redcache/locks/lease';
import type { Keyspace } from '../redis/keyspace.ts';
import type { Reading } from './reading.ts';

/** How much of a lease the clocks of this machine and the server's may disagree about. */
const DRIFT_RATIO = 0.01;

/**
 * The lease of a load, which stands in the data key itself as `mark`. It is extended for as long as a
 * loader may run.
 */
export function loadLease(
  { key, name, shared, policy }: Reading,
  mark: string,
  around: {
    readonly engine: TrackingCache;
    readonly keyspace: Keyspace;
    readonly clock: Clock;
    readonly hardMs: number;
  },
): Lease {
  const { engine, keyspace, clock, hardMs } = around;
  return new Lease({
    label: name,
    leaseMs: policy.leaseMs,
    driftRatio: DRIFT_RATIO,
    autoExtend: true,
    extendUntilAtMs: clock.nowMs() + hardMs,
    clock,
    listen: listenTo({ engine, port: keyspace.port }, key),
    commands: {
      extend: (leaseMs) => keyspace.extend(key, mark, leaseMs),
      release: () => keyspace.release(key, mark),
      verify: async () => {
        const { text, remaining } = await keyspace.read(key);
        if (text === null || remaining === 'unknown') return { is: 'deleted' };
        if (text !== mark) return { is: 'taken' };
        const remainingMs = remaining === 'none' ? Number.POSITIVE_INFINITY : remaining;
        return { is: 'ours', remainingMs };
      },
    },
    onForeignPush: () => shared.detach(),
  });
}

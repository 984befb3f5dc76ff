import type { Connections } from '../connections.ts';
import type { DeskRules } from '../desk.ts';
import { newHolder } from '../holder-ids.ts';
import { lockKeys } from '../keys.ts';
import type { AcquireSettings, LocksSettings } from '../options.ts';
import type { Tally } from '../tally.ts';
import type { Tenure } from '../tenure.ts';
import { CountedBid } from './counted-bid.ts';
import type { Kind } from './kind.ts';

export interface CountedRulesParts {
  readonly key: string;
  readonly kind: Kind;
  readonly settings: LocksSettings;
  readonly connections: Connections;
  readonly tally: Tally;
}

/** One that shares a lease gets what is left of it; there should be about as much as of a new one. */
const ENOUGH_LEFT = 1 / 2;

/**
 * Several processes reserve tokens of the same lock at a time, and what one of them leaves over can't be
 * taken back: many more, and together they would soon be ahead of the clock.
 */
const MOST_TOKENS = 32;

/** A process holds as many leases at once as there are permits, each used by one caller at a time. */
export function semaphoreRules(parts: CountedRulesParts): DeskRules {
  return {
    bid: bidder(parts),
    mayUse: ({ users }) => users.size === 0,
    mayBid: (tenures) => tenures.length < parts.kind.permits && !isPassing(tenures),
    mostTokens: MOST_TOKENS,
    isExclusive: false,
  };
}

/**
 * All who read share a lease, as long as it is kept up for them; whoever writes has one of its own.
 * One who is to write is bid for while others of this process still read: in the queue in Redis it
 * keeps back those who come later, here and elsewhere.
 */
export function readWriteRules(parts: CountedRulesParts): DeskRules {
  return {
    bid: bidder(parts),
    mayUse: (tenure, wanted) =>
      tenure.access === wanted.access &&
      (tenure.users.size === 0 || (wanted.access === 'read' && isShareable(tenure, wanted))),
    mayBid: (tenures, { access }) =>
      !tenures.some((tenure) => tenure.access === 'write') &&
      (access === 'write' || !isPassing(tenures)),
    mostTokens: MOST_TOKENS,
    isExclusive: false,
  };
}

function bidder({ key, kind, settings, connections, tally }: CountedRulesParts): DeskRules['bid'] {
  const keys = lockKeys(settings.prefix, key);
  const { clock, handoff } = settings;
  const shared = { connections, key, keys, kind, tally, clock, lapseMs: handoff.maxMs };
  return ({ access }) => new CountedBid({ ...shared, holder: newHolder(), access });
}

/** Its time is the time of all who use it, so it does only for those who want it just so. */
function isShareable({ lease }: Tenure, { leaseMs, autoExtend }: AcquireSettings): boolean {
  if (!autoExtend || !lease.autoExtends || lease.leaseMs !== leaseMs) return false;
  return lease.remainingMs() >= leaseMs * ENOUGH_LEFT;
}

/** One is about to be there for whoever comes first: no need to bid for one more. */
function isPassing(tenures: readonly Tenure[]): boolean {
  return tenures.some(({ passing }) => passing !== undefined);
}

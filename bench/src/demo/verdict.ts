import { counted, time } from './format.ts';
import type { Maintenance } from './maintenance.ts';
import type { Outage } from './outage.ts';
import type { Tally } from './tally.ts';

export interface Observed {
  readonly tally: Tally;
  readonly outage: Outage | undefined;
  readonly maintenance: Maintenance | undefined;
  /** Updates that were confirmed, and whether there should be any. */
  readonly confirmed: number;
  readonly hasWriter: boolean;
  /** Ended before its time, by the user or by an error. */
  readonly interrupted: boolean;
  /** What broke in the demo itself. */
  readonly errors: readonly string[];
}

/**
 * All that was wrong; nothing if all went as promised. A run that shows nothing, since nothing was
 * read, cached or written, is wrong as well: it must not pass for a proof.
 */
export function flawsOf(observed: Observed): string[] {
  const { tally, outage, maintenance, confirmed, hasWriter, interrupted, errors } = observed;
  const flaws = [...errors];
  if (tally.staleCount > 0)
    flaws.push(
      `${counted(tally.staleCount, 'stale read')} beyond the bound:`,
      ...tally.staleReads.map(
        ({ key, process, version, latenessMs }) =>
          `  ${key}: reader ${process} got version ${version} ${time(latenessMs)} after a newer one had been confirmed`,
      ),
    );
  if (tally.doubleLoadCount > 0)
    flaws.push(
      `${counted(tally.doubleLoadCount, 'double load')}:`,
      ...tally.doubleLoads.map(
        ({ first, second }) =>
          `  ${first.key}: reader ${first.process} loaded it for ${time(first.endedAtMs - first.beganAtMs)}, ` +
          `reader ${second.process} began as well ${time(second.beganAtMs - first.beganAtMs)} later`,
      ),
    );
  if (tally.failureCount > 0)
    flaws.push(
      `${counted(tally.failureCount, 'read')} failed:`,
      ...tally.failures.map((failure) => `  ${failure}`),
    );
  if (tally.reads === 0) flaws.push('nothing was read');
  else if (tally.bySource.local.count === 0) flaws.push('no read was answered from memory');
  if (interrupted) return flaws;
  if (hasWriter && confirmed === 0) flaws.push('no update was confirmed');
  if (outage !== undefined) {
    if (outage.awayMs === undefined) flaws.push('Redis was to be killed, and was not');
    else if (outage.readsMeanwhile === 0) flaws.push('no read was answered while Redis was away');
    else if (outage.cachingAgainAfterMs === undefined)
      flaws.push('no read was answered from memory after Redis had come back');
  }
  if (maintenance !== undefined) {
    if (maintenance.stoppedMs === undefined)
      flaws.push('the database was to be stopped, and was not');
    else if (maintenance.readsMeanwhile === 0)
      flaws.push('no read was answered while the database was stopped');
    else if (maintenance.agedMeanwhile === 0)
      flaws.push('nothing that had aged was served while the database was stopped');
  }
  return flaws;
}

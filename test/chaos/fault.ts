/** Something that was done to processes, connections or servers, on the clock that all share. */
export interface Fault {
  readonly what: string;
  /** Which process, key or server. */
  readonly whom: string;
  readonly beganNs: bigint;
  /** Undone, or done and answered. */
  readonly endedNs: bigint;
  /** What it takes away behind the back of whoever relies on it. */
  readonly removes?: 'all' | readonly string[] | undefined;
  /** For its time two masters may both take writes, of which only those of one will have been. */
  readonly forks?: boolean | undefined;
}

/** A time in which nothing is done to anybody. */
export interface Calm {
  readonly fromNs: bigint;
  readonly untilNs: bigint;
}

export const nsOf = (ms: number): bigint => BigInt(Math.round(ms * 1e6));

/** The times between faults, from the first to the last; those of no length are none. */
export function calms(faults: readonly Fault[], startedNs: bigint, endedNs: bigint): Calm[] {
  const found: Calm[] = [];
  let fromNs = startedNs;
  for (const fault of [...faults].sort((a, b) => Number(a.beganNs - b.beganNs))) {
    if (fault.beganNs > fromNs) found.push({ fromNs, untilNs: fault.beganNs });
    if (fault.endedNs > fromNs) fromNs = fault.endedNs;
  }
  if (endedNs > fromNs) found.push({ fromNs, untilNs: endedNs });
  return found;
}

/** Whether that moment lies in a fault, or less than that long after it. */
export function isDisturbed(faults: readonly Fault[], atNs: bigint, afterNs: bigint): boolean {
  return faults.some(({ beganNs, endedNs }) => atNs >= beganNs && atNs <= endedNs + afterNs);
}

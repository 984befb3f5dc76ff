import { best } from '../best.ts';
import { contentionOf } from '../contention.ts';
import { evenness, total } from '../evenness.ts';
import type { Effort } from '../harness.ts';
import { argumentsOf, twice, WAITING } from '../lockers/contestants.ts';
import { type Panel, type PanelRow, panelOf } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { median, ratio } from '../ratio.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import type { LockerTask } from '../roles/locker.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

const CALLERS = 50;
/** Of a round of others: who asks every 200 ms needs time to have asked. */
const LONGER = 2;
const ROUNDS_PART = 1 / 2;
/** How many of ours there have to be for one of the best peer. */
const FEWEST = 20;
/** How long one of ours may take. */
const LONGEST_US = 6;

export const locksInProcess: Scenario = {
  kind: 'study',
  name: 'locks-in-process',
  question: `How fast does a lock go round ${CALLERS} callers of one process, who do nothing under it?`,
  run: runInProcess,
};

async function runInProcess(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  try {
    await using lockers = await ProcessGroup.start<LockerTask, readonly number[]>(
      'locker',
      // Each has a lock of its own, so that whoever still has one is in nobody's way.
      twice(WAITING).map((each, place) => argumentsOf(each, url, `${namespace}:${place}`)),
    );
    const forMs = LONGER * effort.msPerRound;
    const rounds = Math.ceil(effort.rounds * ROUNDS_PART);
    const figures = await inTurn(lockers.members, rounds, async (locker) => {
      const contention = contentionOf(CALLERS, effort.msPerRound / 2, forMs);
      const shares = await locker.ask({ is: 'contend', ...contention });
      return { perSecond: (1000 * total(shares)) / forMs, evenness: evenness(shares) };
    });
    const panels = panelsOf(figures);
    return { panels, outcomes: outcomesOf(panels[0]) };
  } finally {
    await removeKeys(url, namespace);
  }
}

interface Shared {
  readonly perSecond: number;
  /** What the caller with the fewest had, of what the one with the most had. */
  readonly evenness: number;
}

function panelsOf(
  figures: readonly (readonly Shared[])[],
): readonly [rate: Panel, evenness: Panel] {
  const head = { setting: `${CALLERS} callers, one process`, better: 'more' } as const;
  return [
    panelOf({ ...head, figure: 'locks', unit: '/s' }, WAITING, figures, (each) => each.perSecond),
    panelOf(
      { ...head, figure: 'fewest / most of a caller', unit: 'count' },
      WAITING,
      figures,
      (each) => each.evenness,
    ),
  ];
}

/** What one takes, of what is done in a second. */
const microseconds = (perSecond: number): string => (1e6 / perSecond).toFixed(1);

function outcomesOf({ rows }: Panel): readonly Outcome[] {
  const [ours, ...peers] = rows as readonly [PanelRow, ...PanelRow[]];
  const peer = best(peers);
  const times = ratio(ours.rounds, peer.rounds);
  const perSecond = median(ours.rounds);
  return [
    judged(
      times >= FEWEST,
      `${ours.name} at least ${FEWEST} × as often as ${peer.name}; it is ${times.toFixed(2)} ×`,
    ),
    judged(
      1e6 / perSecond < LONGEST_US,
      `to take and release takes less than ${LONGEST_US} µs; it takes ${microseconds(perSecond)} µs`,
    ),
  ];
}

import { best, type Finding } from '../best.ts';
import type { Effort } from '../harness.ts';
import { costPanels, type LoadCost } from '../load.ts';
import {
  argumentsOf,
  type Contestant,
  contestantOf,
  NAMES,
  PEERS,
  twice,
} from '../lockers/contestants.ts';
import type { Panel } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { ratio } from '../ratio.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome, verdictOf } from '../report.ts';
import type { LockerTask } from '../roles/locker.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** The first is what the others are compared with. */
const CONTESTANTS = [
  contestantOf('raw'),
  contestantOf('redcache'),
  ...PEERS.map(contestantOf),
] as const satisfies readonly Contestant[];

type Way = 'one at a time' | '50 at once';
/** With about what is done in a millisecond, so that a round is as long as others. */
const WAYS: Readonly<Record<Way, { readonly concurrency: number; readonly callsPerMs: number }>> = {
  'one at a time': { concurrency: 1, callsPerMs: 8 },
  '50 at once': { concurrency: 50, callsPerMs: 20 },
};

/** How long one of ours may take, of the time that one of the best peer takes. */
const SLOWEST = 1.1;
/** How many of ours there have to be for one of the best peer, if many are under way. */
const FEWEST = 1.5;

export const locksUncontended: Scenario = {
  kind: 'study',
  name: 'locks-uncontended',
  question: 'What does it cost to take and release a lock that nobody else wants?',
  run: runUncontended,
};

async function runUncontended(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const panels: Panel[] = [];
  const outcomes: Outcome[] = [];
  try {
    await using lockers = await ProcessGroup.start<LockerTask, LoadCost>(
      'locker',
      twice(CONTESTANTS).map((each) => argumentsOf(each, url, namespace)),
    );
    for (const way of Object.keys(WAYS) as Way[]) {
      const { concurrency, callsPerMs } = WAYS[way];
      const task = { is: 'load', concurrency, calls: callsPerMs * effort.msPerRound } as const;
      const costs = await inTurn(lockers.members, effort.rounds, (locker) => locker.ask(task));
      panels.push(...costPanels(way, CONTESTANTS, costs));
      outcomes.push(outcomeOf(way, costs));
    }
  } finally {
    await removeKeys(url, namespace);
  }
  return { panels, outcomes };
}

function outcomeOf(way: Way, costs: readonly (readonly LoadCost[])[]): Outcome {
  const findings = CONTESTANTS.map(
    ({ name }, place): Finding => ({
      name,
      rounds: (costs[place] as readonly LoadCost[]).map((cost) => cost.callsPerSecond),
    }),
  );
  const [ours, ...peers] = findings.slice(1) as [Finding, ...Finding[]];
  const peer = best(peers);
  if (way === 'one at a time') {
    const times = ratio(peer.rounds, ours.rounds);
    return verdictOf(`the time of ${NAMES.redcache}, ${way},`, peer.name, SLOWEST, times);
  }
  const times = ratio(ours.rounds, peer.rounds);
  return judged(
    times >= FEWEST,
    `${way}, ${NAMES.redcache} does at least ${FEWEST} × what ${peer.name} does; it is ${times.toFixed(2)} ×`,
  );
}

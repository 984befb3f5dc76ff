import { contentionOf } from '../contention.ts';
import { evenness, total } from '../evenness.ts';
import type { Effort } from '../harness.ts';
import { argumentsOf, twice, WAITING } from '../lockers/contestants.ts';
import { type Panel, panelOf } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import type { LockerTask } from '../roles/locker.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

const PROCESSES = 4;
const CALLERS = 5;
/** For as many rounds as others have it would take too long, and be no clearer. */
const ROUNDS_PART = 1 / 3;
/** Of a round of others: a lock that is asked for every 200 ms has to go round often to be shared. */
const LONGER = 5;

export const locksAcross: Scenario = {
  kind: 'study',
  name: 'locks-across',
  question: `How fast does a lock go round ${PROCESSES} processes of ${CALLERS} callers, and how evenly?`,
  run: runAcross,
};

/** What one contention came to. */
interface Shared {
  readonly perSecond: number;
  /** What the process with the fewest had, of what the one with the most had. */
  readonly evenness: number;
}

async function runAcross(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const groups: ProcessGroup<LockerTask, readonly number[]>[] = [];
  try {
    for (const [place, contestant] of twice(WAITING).entries()) {
      const args = argumentsOf(contestant, url, `${namespace}:${place}`);
      groups.push(await ProcessGroup.start('locker', Array(PROCESSES).fill(args)));
    }
    const rounds = Math.ceil(effort.rounds * ROUNDS_PART);
    const figures = await inTurn(groups, rounds, (group) => share(group, effort));
    return { panels: panelsOf(figures), outcomes: [] };
  } finally {
    await Promise.all(groups.map((group) => group[Symbol.asyncDispose]()));
    await removeKeys(url, namespace);
  }
}

async function share(
  { members }: ProcessGroup<LockerTask, readonly number[]>,
  { msPerRound }: Effort,
): Promise<Shared> {
  const forMs = LONGER * msPerRound;
  const task = { is: 'contend', ...contentionOf(CALLERS, msPerRound, forMs) } as const;
  const callers = await Promise.all(members.map((member) => member.ask(task)));
  const shares = callers.map(total);
  return { perSecond: (1000 * total(shares)) / forMs, evenness: evenness(shares) };
}

function panelsOf(figures: readonly (readonly Shared[])[]): readonly Panel[] {
  const head = { setting: `${PROCESSES} processes of ${CALLERS} callers`, better: 'more' } as const;
  return [
    panelOf({ ...head, figure: 'locks', unit: '/s' }, WAITING, figures, (each) => each.perSecond),
    panelOf(
      { ...head, figure: 'fewest / most of a process', unit: 'count' },
      WAITING,
      figures,
      (each) => each.evenness,
    ),
  ];
}

import { BenchProcess } from '../child-process.ts';
import { type Effort, FULL } from '../harness.ts';
import { argumentsOf, type Contestant, contestantOf } from '../lockers/contestants.ts';
import { Monitor } from '../monitor.ts';
import { type Panel, panelOf } from '../panel.ts';
import { median } from '../ratio.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import type { LockerTask } from '../roles/locker.ts';
import type { Findings, Scenario } from '../scenario.ts';

const WAITERS = 1000;
const FULL_WAIT_MS = 10_000;
const ROUNDS_PART = 1 / 9;

/**
 * Ours alone, ours over a client whose cache has its own heartbeat of one command a second, and of the
 * peers, for contrast, one of those that ask least often, and the one that listens as well.
 */
const CONTESTANTS = [
  {
    name: 'redcache, client without a cache',
    standing: 'ours',
    library: 'redcache',
    pace: 'tuned',
  },
  contestantOf('redcache'),
  contestantOf('redlock'),
  contestantOf('simple-redis-mutex'),
] as const satisfies readonly Contestant[];

/** What a second of waiting of all of them may cost. */
const MOST_COMMANDS = 1;
const MOST_CPU = 0.01;

export const locksIdle: Scenario = {
  kind: 'study',
  name: 'locks-idle',
  question: `What does it cost that ${WAITERS.toLocaleString('en')} callers of one process wait for a lock?`,
  run: runIdle,
};

interface Waiting {
  readonly commandsPerSecond: number;
  /** How many there were of each, as text. */
  readonly commands: string;
  /** Part of a core that the process took. */
  readonly cpu: number;
}

async function runIdle(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const forMs = (FULL_WAIT_MS * effort.msPerRound) / FULL.msPerRound;
  try {
    const figures: Waiting[][] = CONTESTANTS.map(() => []);
    for (let round = 0; round < Math.ceil(effort.rounds * ROUNDS_PART); round += 1)
      // A lock of its own for each, since that of the last still stands.
      for (const [place, contestant] of CONTESTANTS.entries())
        figures[place]?.push(await wait(url, `${namespace}:${round}:${place}`, contestant, forMs));
    return {
      panels: panelsOf(forMs, figures),
      report: reportOf(figures),
      outcomes: outcomesOf(figures[0] as readonly Waiting[]),
    };
  } finally {
    await removeKeys(url, namespace);
  }
}

/** In processes that end with the wait, so that there is no first round to forget. */
async function wait(
  url: string,
  namespace: string,
  contestant: Contestant,
  forMs: number,
): Promise<Waiting> {
  const args = argumentsOf(contestant, url, namespace);
  await using holder = await BenchProcess.start<LockerTask, undefined>('locker', ...args);
  await holder.ask({ is: 'hold' });
  // The holder was there before: what it sends to keep the lock is not counted.
  await using monitor = await Monitor.open(url);
  await using waiters = await BenchProcess.start<LockerTask, number>('locker', ...args);
  await waiters.ask({ is: 'queue', waiters: WAITERS });
  const { sent, result } = await monitor.during(() => waiters.ask({ is: 'idle', forMs }));
  const commands = [...sent.byName].map(([name, count]) => `${count} × ${name}`).join(', ');
  return { commandsPerSecond: (1000 * sent.count) / forMs, commands, cpu: result };
}

const percent = (part: number): string => `${(100 * part).toFixed(2)} %`;

function middleOf(rounds: readonly Waiting[]): Omit<Waiting, 'commands'> {
  return {
    commandsPerSecond: median(rounds.map((each) => each.commandsPerSecond)),
    cpu: median(rounds.map((each) => each.cpu)),
  };
}

function panelsOf(forMs: number, figures: readonly (readonly Waiting[])[]): readonly Panel[] {
  const setting = `${WAITERS.toLocaleString('en')} waiters for ${forMs / 1000} s`;
  const head = { setting, better: 'less' } as const;
  return [
    panelOf(
      { ...head, figure: 'commands', unit: '/s' },
      CONTESTANTS,
      figures,
      (each) => each.commandsPerSecond,
    ),
    panelOf({ ...head, figure: 'CPU', unit: 'share' }, CONTESTANTS, figures, (each) => each.cpu),
  ];
}

/** Which commands they were. */
function reportOf(figures: readonly (readonly Waiting[])[]): readonly string[] {
  return CONTESTANTS.map(
    ({ name }, place) =>
      `${name}: ${figures[place]?.at(-1)?.commands || 'nothing'} in the last round`,
  );
}

function outcomesOf(rounds: readonly Waiting[]): readonly Outcome[] {
  const { commandsPerSecond, cpu } = middleOf(rounds);
  return [
    judged(
      commandsPerSecond < MOST_COMMANDS,
      `${WAITERS.toLocaleString('en')} who wait send less than ${MOST_COMMANDS} command a second; they send ${commandsPerSecond.toFixed(1)}`,
    ),
    judged(
      cpu < MOST_CPU,
      `they take less than ${percent(MOST_CPU)} of a core; they take ${percent(cpu)}`,
    ),
  ];
}

import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { argumentsOf, type Contestant, WAITING } from '../lockers/contestants.ts';
import { Monitor } from '../monitor.ts';
import { ProcessGroup } from '../process-group.ts';
import { quantile } from '../quantile.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import type { ContendersAnswer, ContendersTask } from '../roles/contenders.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { tableOf } from '../table.ts';

/** As many contenders at a time, to see what one more costs. */
const CONTENDERS = [5, 10, 20] as const;
const MOST_CONTENDERS = CONTENDERS[2];
const HOLD_MS = 50;
/** A round takes 20 seconds or so, and has 19 hand-overs between the most contenders. */
const ROUNDS_PART = 1 / 3;

/** From release to the next holder, between the most contenders. */
const LONGEST_MS = { p50: 1.5, p95: 4 } as const;
/** For a lock that is taken and released, whatever the number of those who wait. */
const MOST_COMMANDS = 4;

export const locksHandOver: Scenario = {
  kind: 'study',
  name: 'locks-hand-over',
  question: `How long is a lock nobody's between two holders on connections of their own, and how many commands does that take?`,
  run: runHandOver,
};

/** One way to lock, by so many contenders. */
interface HandedOver {
  readonly name: string;
  readonly contenders: number;
  readonly latenciesMs: readonly number[];
  readonly commandsEach: number;
}

type Contenders = BenchProcess<ContendersTask, ContendersAnswer>;

async function runHandOver(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const args = (contestant: Contestant, place: number): readonly string[] => [
    ...argumentsOf(contestant, url, `${namespace}:${place}`),
    String(MOST_CONTENDERS),
  ];
  try {
    const latencies = await latenciesOf(WAITING.map(args), effort);
    const found: HandedOver[] = [];
    for (const [place, { name, ...rest }] of WAITING.entries()) {
      const commands = await commandsOf(url, args({ name, ...rest }, place));
      for (const contenders of CONTENDERS)
        found.push({
          name,
          contenders,
          latenciesMs: latencies.get(contenders)?.[place] as readonly number[],
          commandsEach: commands.get(contenders) as number,
        });
    }
    return {
      report: CONTENDERS.map((count) => reportOf(count, found)),
      outcomes: outcomesOf(found),
    };
  } finally {
    await removeKeys(url, namespace);
  }
}

/** All hand-overs of each way to lock, by the number of contenders. */
async function latenciesOf(
  argumentsOfEach: readonly (readonly string[])[],
  effort: Effort,
): Promise<ReadonlyMap<number, readonly (readonly number[])[]>> {
  await using group = await ProcessGroup.start<ContendersTask, ContendersAnswer>(
    'contenders',
    argumentsOfEach,
  );
  const rounds = Math.ceil(effort.rounds * ROUNDS_PART);
  const latencies = new Map<number, readonly (readonly number[])[]>();
  for (const contenders of CONTENDERS) {
    const figures = await inTurn(group.members, rounds, (member) =>
      member.ask({ contenders, holdMs: HOLD_MS }),
    );
    latencies.set(
      contenders,
      figures.map((each) => each.flat()),
    );
  }
  return latencies;
}

/**
 * What is sent for each lock that is taken and released, by the number of contenders. By itself,
 * since the server has more to do while it is watched.
 */
async function commandsOf(
  url: string,
  args: readonly string[],
): Promise<ReadonlyMap<number, number>> {
  await using monitor = await Monitor.open(url);
  await using child: Contenders = await BenchProcess.start('contenders', ...args);
  // Scripts are loaded once, and not for each lock.
  await child.ask({ contenders: MOST_CONTENDERS, holdMs: 0 });
  const commands = new Map<number, number>();
  for (const contenders of CONTENDERS) {
    const { sent } = await monitor.during(() => child.ask({ contenders, holdMs: HOLD_MS }));
    commands.set(contenders, sent.count / contenders);
  }
  return commands;
}

const milliseconds = (ms: number): string => ms.toFixed(2);

function reportOf(contenders: number, found: readonly HandedOver[]): string {
  const these = found.filter((each) => each.contenders === contenders);
  const base = quantile((these[0] as HandedOver).latenciesMs, 0.5);
  return tableOf([
    [`${contenders} contenders`, 'p50 ms', '', 'p95 ms', 'commands for each lock'],
    ...these.map(({ name, latenciesMs, commandsEach }) => {
      const p50 = quantile(latenciesMs, 0.5);
      return [
        name,
        milliseconds(p50),
        `${(p50 / base).toFixed(2)} ×`,
        milliseconds(quantile(latenciesMs, 0.95)),
        commandsEach.toFixed(1),
      ];
    }),
  ]);
}

function outcomesOf(found: readonly HandedOver[]): readonly Outcome[] {
  const ours = found.filter(({ name }) => name === WAITING[0].name);
  const most = ours.at(-1) as HandedOver;
  const inTime = (name: keyof typeof LONGEST_MS, part: number): Outcome => {
    const ms = quantile(most.latenciesMs, part);
    return judged(
      ms <= LONGEST_MS[name],
      `a hand-over between ${most.contenders} contenders at most ${LONGEST_MS[name]} ms at ${name}; it is ${milliseconds(ms)} ms`,
    );
  };
  const each = ours.map(({ commandsEach }) => commandsEach);
  return [
    inTime('p50', 0.5),
    inTime('p95', 0.95),
    judged(
      Math.max(...each) <= MOST_COMMANDS,
      `at most ${MOST_COMMANDS} commands to take and release, for ${CONTENDERS.join(', ')} contenders; it is ${each.map((count) => count.toFixed(1)).join(', ')}`,
    ),
  ];
}

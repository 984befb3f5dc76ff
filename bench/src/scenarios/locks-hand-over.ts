import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { argumentsOf, type Contestant, twice, WAITING } from '../lockers/contestants.ts';
import { Monitor } from '../monitor.ts';
import type { Contender, Panel, PanelRow } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { quantile } from '../quantile.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import type { ContendersAnswer, ContendersTask } from '../roles/contenders.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** As many contenders at a time, to see what one more costs. */
const CONTENDERS: Readonly<Record<Effort['name'], readonly number[]>> = {
  full: [5, 20],
  quick: [5],
};
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
interface HandedOver extends Contender {
  readonly contenders: number;
  /** Of each round. */
  readonly latenciesMs: readonly (readonly number[])[];
  readonly commandsEach: number;
}

/** A list for each round. */
type Latencies = HandedOver['latenciesMs'];
const mostOf = ({ name }: Effort): number => Math.max(...CONTENDERS[name]);

type Contenders = BenchProcess<ContendersTask, ContendersAnswer>;

async function runHandOver(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const args = (contestant: Contestant, place: number): readonly string[] => [
    ...argumentsOf(contestant, url, `${namespace}:${place}`),
    String(mostOf(effort)),
  ];
  try {
    const latencies = await latenciesOf(twice(WAITING).map(args), effort);
    const found: HandedOver[] = [];
    for (const [place, contestant] of WAITING.entries()) {
      const { name, standing } = contestant;
      const commands = await commandsOf(url, args(contestant, place), CONTENDERS[effort.name]);
      for (const contenders of CONTENDERS[effort.name])
        found.push({
          name,
          standing,
          contenders,
          latenciesMs: latencies.get(contenders)?.[place] as Latencies,
          commandsEach: commands.get(contenders) as number,
        });
    }
    return {
      panels: CONTENDERS[effort.name].flatMap((count) =>
        panelsOf(count, found, latencies.get(count)?.at(-1) as Latencies),
      ),
      outcomes: outcomesOf(found, effort),
    };
  } finally {
    await removeKeys(url, namespace);
  }
}

/** All hand-overs of each way to lock, by the number of contenders. */
async function latenciesOf(
  argumentsOfEach: readonly (readonly string[])[],
  effort: Effort,
): Promise<ReadonlyMap<number, readonly Latencies[]>> {
  await using group = await ProcessGroup.start<ContendersTask, ContendersAnswer>(
    'contenders',
    argumentsOfEach,
  );
  const rounds = Math.ceil(effort.rounds * ROUNDS_PART);
  const latencies = new Map<number, readonly Latencies[]>();
  for (const contenders of CONTENDERS[effort.name])
    latencies.set(
      contenders,
      await inTurn(group.members, rounds, (member) => member.ask({ contenders, holdMs: HOLD_MS })),
    );
  return latencies;
}

/**
 * What is sent for each lock that is taken and released, by the number of contenders. By itself,
 * since the server has more to do while it is watched.
 */
async function commandsOf(
  url: string,
  args: readonly string[],
  counts: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  await using monitor = await Monitor.open(url);
  await using child: Contenders = await BenchProcess.start('contenders', ...args);
  // Scripts are loaded once, and not for each lock.
  await child.ask({ contenders: Math.max(...counts), holdMs: 0 });
  const commands = new Map<number, number>();
  for (const contenders of counts) {
    const { sent } = await monitor.during(() => child.ask({ contenders, holdMs: HOLD_MS }));
    commands.set(contenders, sent.count / contenders);
  }
  return commands;
}

const milliseconds = (ms: number): string => ms.toFixed(2);

function panelsOf(
  contenders: number,
  found: readonly HandedOver[],
  again: Latencies,
): readonly Panel[] {
  const these = found.filter((each) => each.contenders === contenders);
  const head = { setting: `${contenders} contenders`, better: 'less' } as const;
  const atPart = (latencies: Latencies, part: number): readonly number[] =>
    latencies.map((each) => quantile(each, part));
  const latency = (figure: string, part: number): Panel => ({
    ...head,
    figure,
    unit: 'ms',
    rows: these.map(
      ({ name, standing, latenciesMs }): PanelRow => ({
        name,
        standing,
        rounds: atPart(latenciesMs, part),
      }),
    ),
    again: atPart(again, part),
  });
  return [
    latency('p50', 0.5),
    latency('p95', 0.95),
    {
      ...head,
      figure: 'commands for each lock',
      unit: 'count',
      rows: these.map(({ name, standing, commandsEach }) => ({
        name,
        standing,
        rounds: [commandsEach],
      })),
    },
  ];
}

function outcomesOf(found: readonly HandedOver[], { name }: Effort): readonly Outcome[] {
  const ours = found.filter((each) => each.name === WAITING[0].name);
  const most = ours.at(-1) as HandedOver;
  const inTime = (name: keyof typeof LONGEST_MS, part: number): Outcome => {
    const ms = quantile(most.latenciesMs.flat(), part);
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
      `at most ${MOST_COMMANDS} commands to take and release, for ${CONTENDERS[name].join(', ')} contenders; it is ${each.map((count) => count.toFixed(1)).join(', ')}`,
    ),
  ];
}

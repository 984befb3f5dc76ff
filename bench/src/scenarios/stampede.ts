import type { Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import { Monitor } from '../monitor.ts';
import { nowMs } from '../now.ts';
import { ProcessGroup } from '../process-group.ts';
import { median } from '../ratio.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import { LOAD_MS, type StampederAnswer, type StampederTask } from '../roles/stampeder.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { tableOf } from '../table.ts';

const OURS: Library = 'redcache';
const LIBRARIES: readonly Library[] = [
  ...(['by hand', OURS, 'layered-loader', 'bentocache', 'cacheable', 'cache-manager'] as const),
  ...(['async-cache-dedupe, Redis', 'cachified, Redis'] as const),
];
const CALLERS = 100;
const PROCESSES = [1, 10] as const;
const KINDS = ['cold', 'expiring'] as const;
type Kind = (typeof KINDS)[number];
const CASES = PROCESSES.flatMap((processes) => KINDS.map((kind) => ({ kind, processes })));

/** Until then every process has got its task. */
const LEAD_MS = 150;
/** That a stampede of ten processes for a cold key may cost each of them. */
const MOST_COMMANDS = 7;
/** Each takes a second or two, and says the same nearly every time. */
const ROUNDS_OF = 1 / 5;

export const stampede: Scenario = {
  kind: 'study',
  name: 'stampede',
  question: `What does it cost that ${CALLERS} callers want a value at once, which takes ${LOAD_MS} ms to load?`,
  run: runStampede,
};

/** What one round came to. */
interface Outbreak {
  readonly loads: number;
  /** From the first load until the last caller had the value. */
  readonly ms: number;
}

type Members = ProcessGroup<StampederTask, StampederAnswer>['members'];

async function runStampede(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const rounds = Math.ceil(effort.rounds * ROUNDS_OF);
  const report: string[] = [];
  const outcomes: Outcome[] = [];
  const found = new Map<Library, readonly Found[]>();
  try {
    // A library is measured by itself, since the processes of the others would take its time.
    for (const [number, library] of LIBRARIES.entries())
      found.set(library, await measure(library, url, `${namespace}:${number}`, rounds));
  } finally {
    await removeKeys(url, namespace);
  }
  for (const [place, { kind, processes }] of CASES.entries()) {
    const rows = Array.from(found, ([library, each]) => rowOf(library, each[place] as Found));
    const header = [
      ...[`${processes} × ${CALLERS}, ${kind === 'cold' ? 'cold key' : 'expiring hot key'}`],
      ...['loads', 'most', 'commands/process', 'ms until all have it'],
    ];
    report.push(tableOf([header, ...rows]));
    const ours = found.get(OURS)?.[place] as Found;
    outcomes.push(...outcomesOf(kind, processes, ours));
  }
  return { report, outcomes };
}

interface Found {
  readonly outbreaks: readonly Outbreak[];
  /** In a round by itself: what counts them makes the server slower. */
  readonly commandsEach: number;
}

/** What was found of each of the cases. Rounds differ by their keys. */
async function measure(
  library: Library,
  url: string,
  namespace: string,
  rounds: number,
): Promise<readonly Found[]> {
  const most = Math.max(...PROCESSES);
  await using monitor = await Monitor.open(url);
  await using group = await ProcessGroup.start<StampederTask, StampederAnswer>(
    'stampeder',
    Array.from({ length: most }, () => [library, url, namespace]),
  );
  const found: Found[] = [];
  for (const [place, { kind, processes }] of CASES.entries()) {
    const members = group.members.slice(0, processes);
    const keyOf = (round: string | number): string => `${namespace}:${place}:${round}`;
    const outbreaks: Outbreak[] = [];
    // The first round is forgotten.
    for (let round = 0; round <= rounds; round += 1) {
      const outbreak = await breakOut(members, kind, keyOf(round));
      if (round > 0) outbreaks.push(outbreak);
    }
    const { sent } = await monitor.during(() => breakOut(members, kind, keyOf('counted')));
    found.push({ outbreaks, commandsEach: sent.count / processes });
  }
  return found;
}

async function breakOut(members: Members, is: Kind, key: string): Promise<Outbreak> {
  const atMs = nowMs() + LEAD_MS + (is === 'expiring' ? 2 * LOAD_MS : 0);
  const task = { is, key, callers: CALLERS, atMs };
  const answers = await Promise.all(members.map((member) => member.ask(task)));
  const loadsAtMs = answers.flatMap((answer) => answer.loadsAtMs);
  const lastMs = Math.max(...answers.map(({ doneAtMs }) => doneAtMs));
  return { loads: loadsAtMs.length, ms: lastMs - Math.min(...loadsAtMs) };
}

function rowOf(library: Library, { outbreaks, commandsEach }: Found): readonly string[] {
  const loads = outbreaks.map((each) => each.loads);
  return [
    library,
    median(loads).toString(),
    Math.max(...loads).toString(),
    commandsEach.toFixed(1),
    median(outbreaks.map(({ ms }) => ms)).toFixed(0),
  ];
}

function outcomesOf(kind: Kind, processes: number, found: Found): readonly Outcome[] {
  const what = `${processes} × ${CALLERS} callers, ${kind} key:`;
  const most = Math.max(...found.outbreaks.map(({ loads }) => loads));
  const once = judged(most === 1, `${what} one load; it is ${most} at most`);
  if (kind !== 'cold') return [once];
  return [
    once,
    judged(
      found.commandsEach <= MOST_COMMANDS,
      `${what} at most ${MOST_COMMANDS} commands a process; it is ${found.commandsEach.toFixed(1)}`,
    ),
  ];
}

import { contenderOf, type Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import { Monitor } from '../monitor.ts';
import { nowMs } from '../now.ts';
import { type Panel, panelOf, rowOf } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import { LOAD_MS, type StampederAnswer, type StampederTask } from '../roles/stampeder.ts';
import type { Findings, Scenario } from '../scenario.ts';

const OURS = 'redcache' satisfies Library;
/** The first does nothing against it. */
const LIBRARIES: readonly [Library, ...Library[]] = [
  ...(['by hand', OURS, 'layered-loader', 'bentocache', 'cacheable'] as const),
  ...(['cache-manager', 'async-cache-dedupe, Redis', 'cachified, Redis'] as const),
];
const CALLERS = 100;

type Kind = StampederTask['is'];
const KINDS: Readonly<Record<Kind, string>> = { cold: 'cold key', expiring: 'expiring hot key' };
interface Case {
  readonly kind: Kind;
  readonly processes: number;
}
/** A value that comes to its end takes its time: a quick look is one at cold keys. */
const CASES: Readonly<Record<Effort['name'], readonly Case[]>> = {
  full: [
    { kind: 'cold', processes: 1 },
    { kind: 'cold', processes: 10 },
    { kind: 'expiring', processes: 10 },
  ],
  quick: [{ kind: 'cold', processes: 5 }],
};

/** Until then every process has got its task. */
const LEAD_MS = 150;
/** That a stampede for a cold key may cost each process. */
const MOST_COMMANDS = 7;
/** Each takes a second or two, and says the same nearly every time. */
const ROUNDS: Readonly<Record<Effort['name'], number>> = { full: 2, quick: 1 };

export const stampede: Scenario = {
  kind: 'study',
  name: 'stampede',
  question: `What does it cost that ${CALLERS} callers in each process want a value at once, which takes ${LOAD_MS} ms to load?`,
  run: runStampede,
};

/** What one round came to. */
interface Outbreak {
  readonly loads: number;
  /** From the first load until the last caller had the value, or gave up. */
  readonly ms: number;
}

interface Found {
  readonly outbreaks: readonly Outbreak[];
  /** In a round by itself: what counts them makes the server slower. */
  readonly commandsEach: number;
}

type Stampeders = ProcessGroup<StampederTask, StampederAnswer>;

async function runStampede(url: string, { name: effort }: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const found: (readonly Found[])[] = [];
  try {
    // A library is measured by itself, since the processes of the others would take its time; the
    // first one once more at the end.
    for (const [number, library] of [...LIBRARIES, LIBRARIES[0]].entries())
      found.push(await measure(library, url, `${namespace}:${number}`, effort));
  } finally {
    await removeKeys(url, namespace);
  }
  const panels: Panel[] = [];
  const outcomes: Outcome[] = [];
  for (const [place, each] of CASES[effort].entries()) {
    const those = panelsOf(
      each,
      found.map((cases) => cases[place] as Found),
    );
    panels.push(...those);
    outcomes.push(...outcomesOf(each, those));
  }
  return { panels, outcomes };
}

/** What was found of each of the cases. Rounds differ by their keys. */
async function measure(
  library: Library,
  url: string,
  namespace: string,
  effort: Effort['name'],
): Promise<readonly Found[]> {
  const most = Math.max(...CASES[effort].map(({ processes }) => processes));
  await using monitor = await Monitor.open(url);
  await using group: Stampeders = await ProcessGroup.start(
    'stampeder',
    Array.from({ length: most }, () => [library, url, namespace]),
  );
  const found: Found[] = [];
  for (const { kind, processes } of CASES[effort]) {
    const members = group.members.slice(0, processes);
    const keyOf = (round: number): string => `${namespace}:${kind}:${processes}:${round}`;
    // What is counted in the first round is all that is taken of it.
    const { sent } = await monitor.during(() => breakOut(members, kind, keyOf(0)));
    const outbreaks: Outbreak[] = [];
    for (let round = 1; round <= ROUNDS[effort]; round += 1)
      outbreaks.push(await breakOut(members, kind, keyOf(round)));
    found.push({ outbreaks, commandsEach: sent.count / processes });
  }
  return found;
}

async function breakOut(members: Stampeders['members'], is: Kind, key: string): Promise<Outbreak> {
  const atMs = nowMs() + LEAD_MS + (is === 'expiring' ? 2 * LOAD_MS : 0);
  const task = { is, key, callers: CALLERS, atMs };
  const answers = await Promise.all(members.map((member) => member.ask(task)));
  const loadsAtMs = answers.flatMap((answer) => answer.loadsAtMs);
  const lastMs = Math.max(...answers.map(({ doneAtMs }) => doneAtMs));
  // Nobody may have loaded, where all have old values for good.
  const beginMs = loadsAtMs.length === 0 ? atMs : Math.min(...loadsAtMs);
  return { loads: loadsAtMs.length, ms: lastMs - beginMs };
}

function panelsOf(
  { kind, processes }: Case,
  found: readonly Found[],
): readonly [Panel, Panel, Panel] {
  const head = { setting: `${processes} × ${CALLERS}, ${KINDS[kind]}`, better: 'less' } as const;
  const contenders = LIBRARIES.map(contenderOf);
  const outbreaks = found.map((each) => each.outbreaks);
  const commands = found.map(({ commandsEach }) => [commandsEach]);
  return [
    panelOf(
      { ...head, figure: 'loads', unit: 'count' },
      contenders,
      outbreaks,
      (each) => each.loads,
    ),
    panelOf(
      { ...head, figure: 'commands for each process', unit: 'count' },
      contenders,
      commands,
      (count) => count,
    ),
    panelOf(
      { ...head, figure: 'until all have it', unit: 'ms' },
      contenders,
      outbreaks,
      ({ ms }) => ms,
    ),
  ];
}

function outcomesOf(
  { kind, processes }: Case,
  [loads, commands]: readonly [Panel, Panel, Panel],
): readonly Outcome[] {
  const what = `${processes} × ${CALLERS} callers, ${KINDS[kind]}:`;
  const most = Math.max(...rowOf(loads, OURS).rounds);
  const once = judged(most === 1, `${what} one load; it is ${most} at most`);
  if (kind !== 'cold') return [once];
  const [sent] = rowOf(commands, OURS).rounds as readonly [number];
  return [
    once,
    judged(
      sent <= MOST_COMMANDS,
      `${what} at most ${MOST_COMMANDS} commands for each process; it is ${sent.toFixed(1)}`,
    ),
  ];
}

import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { type Contender, type Panel, panelOf } from '../panel.ts';
import type { Holder } from '../roles/memory.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

export const memory: Scenario = {
  kind: 'study',
  name: 'memory',
  question:
    'How many bytes does an entry take, and what is left of those that went? (key of 20 characters, value of 100)',
  run: runMemory,
};

const HOLDERS: readonly (Contender & { readonly name: Holder })[] = [
  { name: 'Map', standing: 'limit' },
  { name: 'lru-cache', standing: 'peer' },
  { name: 'redcache', standing: 'ours' },
];
/** Those that can be told to keep no more than some. */
const BOUNDED = HOLDERS.slice(1);
const COUNTS: Readonly<Record<Effort['name'], readonly number[]>> = {
  full: [10_000, 1_000_000],
  quick: [10_000],
};
/** Keys that come by, and how many of them may stay. */
const PASSING: Readonly<Record<Effort['name'], number>> = { full: 1_000_000, quick: 100_000 };
const BOUND = 1000;

async function runMemory(_url: string, effort: Effort): Promise<Findings> {
  const panels: Panel[] = [];
  for (const count of COUNTS[effort.name]) {
    const setting = `${count.toLocaleString('en')} entries`;
    const head = { setting, figure: 'an entry', unit: 'bytes', better: 'less' } as const;
    const figures = await grown(HOLDERS, count, count, effort);
    panels.push(panelOf(head, HOLDERS, figures, (bytes) => bytes / count));
  }
  const passing = PASSING[effort.name];
  const head = {
    setting: `${passing.toLocaleString('en')} keys have come by, ${BOUND.toLocaleString('en')} are kept`,
    figure: 'memory grown by',
    unit: 'bytes',
    better: 'less',
  } as const;
  const figures = await grown(BOUNDED, passing, BOUND, effort);
  panels.push(panelOf(head, BOUNDED, figures, (bytes) => bytes));
  return { panels, outcomes: [] };
}

/** By how many bytes each has grown, the first of them twice in each round. */
function grown(
  holders: readonly (Contender & { readonly name: Holder })[],
  count: number,
  bound: number,
  { rounds }: Effort,
): Promise<readonly (readonly number[])[]> {
  const subjects = [...holders, ...holders.slice(0, 1)];
  return inTurn(subjects, Math.ceil(rounds / 5), async ({ name }) => {
    // In a process that has done nothing before.
    const args = [name, String(count), String(bound)];
    await using process = await BenchProcess.start<object, number>('memory', ...args);
    return await process.ask({});
  });
}

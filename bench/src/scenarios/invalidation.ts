import { contenderOf } from '../caches/libraries.ts';
import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { type Panel, panelOf } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { quantile } from '../quantile.ts';
import { removeKeys } from '../remove-keys.ts';
import type { HolderTask } from '../roles/holder.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** The first is what the others are compared with. */
const LIBRARIES = ['publish', 'client.get, written elsewhere', 'redcache', 'bentocache'] as const;
const PROCESSES = [1, 4, 8] as const;
/** Writes of a round. Of a hundred times the 99th is not yet the longest. */
const WRITES: Readonly<Record<Effort['name'], number>> = { full: 100, quick: 10 };
const ROUNDS_PART = 1 / 2;

export const invalidation: Scenario = {
  kind: 'study',
  name: 'invalidation',
  question: 'How long after a write in another process is the copy of a process gone?',
  run: runInvalidation,
};

type Holder = BenchProcess<HolderTask, number>;
type Holders = ProcessGroup<HolderTask, number>;

async function runInvalidation(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const args = [url, namespace, ...LIBRARIES];
  try {
    await using writer: Holder = await BenchProcess.start('holder', ...args);
    // All ways are in all processes: those that are not measured have nothing to do.
    await using holders: Holders = await ProcessGroup.start(
      'holder',
      Array.from({ length: Math.max(...PROCESSES) }, () => [url, namespace, ...LIBRARIES]),
    );
    const panels: Panel[] = [];
    let keys = 0;
    for (const processes of PROCESSES) {
      const rounds = Math.ceil(effort.rounds * ROUNDS_PART);
      const figures = await inTurn([...LIBRARIES, LIBRARIES[0]], rounds, async (library) => {
        const latenciesMs: number[] = [];
        for (let i = 0; i < WRITES[effort.name]; i += 1) {
          keys += 1;
          const task = { is: 'hold', library, key: `key:${keys}` } as const;
          latenciesMs.push(...(await measure(holders, processes, writer, task)));
        }
        return latenciesMs;
      });
      panels.push(...panelsOf(processes, figures));
    }
    return { panels, outcomes: [] };
  } finally {
    await removeKeys(url, namespace);
  }
}

/** How long after the write began each of so many processes had no copy any more. */
async function measure(
  holders: Holders,
  processes: number,
  writer: Holder,
  task: HolderTask & { readonly is: 'hold' },
): Promise<readonly number[]> {
  const members = holders.members.slice(0, processes);
  const [first, ...others] = members;
  // The first one loads, and the others find what it has stored.
  await first?.ask(task);
  await Promise.all(others.map((member) => member.ask(task)));
  const ends = members.map((member) => member.ask({ is: 'end' }));
  const beginMs = await writer.ask({ ...task, is: 'invalidate' });
  const latenciesMs = (await Promise.all(ends)).map((endMs) => endMs - beginMs);
  if (latenciesMs.some((ms) => ms < 0))
    throw new Error(`${task.library}: a copy was gone before anybody had written`);
  return latenciesMs;
}

function panelsOf(
  processes: number,
  figures: readonly (readonly (readonly number[])[])[],
): readonly Panel[] {
  const head = {
    setting: `${processes} ${processes === 1 ? 'process' : 'processes'}`,
    unit: 'ms',
    better: 'less',
  } as const;
  const contenders = LIBRARIES.map(contenderOf);
  return [
    panelOf({ ...head, figure: 'p50' }, contenders, figures, (each) => quantile(each, 0.5)),
    panelOf({ ...head, figure: 'p99' }, contenders, figures, (each) => quantile(each, 0.99)),
  ];
}

import type { Effort } from '../harness.ts';
import { costPanels, costRatio, type LoadCost } from '../load.ts';
import type { Contender, Panel } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import type { Seeing, Sending, WriterTask } from '../roles/writer.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

export const writes: Scenario = {
  kind: 'study',
  name: 'writes',
  question: 'What does it cost a write that this process reads its own writes?',
  run: runWrites,
};

/** The first is what the others are compared with. */
const WAYS: Readonly<Record<Seeing, Contender>> = {
  nothing: { name: 'client without a cache', standing: 'limit' },
  cache: { name: 'readYourWrites: false', standing: 'ours' },
  fence: { name: 'readYourWrites: true', standing: 'ours' },
  'plain-beside-fence': { name: 'client without a cache, beside one with', standing: 'ours' },
  tracing: { name: "node-redis's tracing channel", standing: 'peer' },
};
const SEEINGS = Object.keys(WAYS) as Seeing[];
const SENDINGS: readonly Sending[] = ['one at a time', '50 at once', 'pipelined'];
/** About what is sent in a millisecond, so that a round is as long as others. */
const CALLS_PER_MS: Readonly<Record<Sending, number>> = {
  'one at a time': 20,
  '50 at once': 80,
  pipelined: 100,
};

/** Six settings are six scenarios, and most of what they tell is in all of them. */
const ROUNDS_PART = 1 / 2;

async function runWrites(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  try {
    await using writers = await ProcessGroup.start<WriterTask, LoadCost>(
      'writer',
      // The first once more, in a process of its own as the others are.
      [...SEEINGS, SEEINGS[0] as Seeing].map((seeing) => [seeing, url, namespace]),
    );
    const panels: Panel[] = [];
    const report: string[] = [];
    for (const timed of [true, false])
      for (const sending of SENDINGS) {
        const task = { sending, timed, writes: CALLS_PER_MS[sending] * effort.msPerRound };
        const rounds = Math.ceil(effort.rounds * ROUNDS_PART);
        const costs = await inTurn(writers.members, rounds, (writer) => writer.ask(task));
        const contenders = SEEINGS.map((seeing) => WAYS[seeing]);
        panels.push(...costPanels(settingOf(task), contenders, costs));
        report.push(reportOf(task, costs));
      }
    return { panels, report, outcomes: [] };
  } finally {
    await removeKeys(url, namespace);
  }
}

function settingOf({ sending, timed }: WriterTask): string {
  return `SET, ${sending}, ${timed ? "node-redis's defaults" : 'timeout: 0'}`;
}

function reportOf(task: WriterTask, costs: readonly (readonly LoadCost[])[]): string {
  const of = (seeing: Seeing): readonly LoadCost[] =>
    costs[SEEINGS.indexOf(seeing)] as readonly LoadCost[];
  const more = 100 * (costRatio('clientUs', of('fence'), of('cache')) - 1);
  return `${settingOf(task)}: readYourWrites costs ${more.toFixed(1)} % of the client's CPU for a write.`;
}

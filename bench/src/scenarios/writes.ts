import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { costRatio, type LoadCost, medianCost } from '../load.ts';
import { removeKeys } from '../remove-keys.ts';
import type { Seeing, Sending, WriterTask } from '../roles/writer.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { tableOf } from '../table.ts';

export const writes: Scenario = {
  kind: 'study',
  name: 'writes',
  question: 'What does it cost a write that this process reads its own writes?',
  run: runWrites,
};

/** The first is what the others are compared with. */
const WAYS: Readonly<Record<Seeing, string>> = {
  nothing: 'client without a cache',
  cache: 'readYourWrites: false',
  fence: 'readYourWrites: true',
  'plain-beside-fence': 'client without a cache, beside one with',
  tracing: "node-redis's tracing channel",
};
const SENDINGS: readonly Sending[] = ['one at a time', '50 at once', 'pipelined'];
/** About what is sent in a millisecond, so that a round is as long as others. */
const CALLS_PER_MS: Readonly<Record<Sending, number>> = {
  'one at a time': 20,
  '50 at once': 80,
  pipelined: 100,
};

type Writer = BenchProcess<WriterTask, LoadCost>;

async function runWrites(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const writers: Writer[] = [];
  try {
    for (const seeing of Object.keys(WAYS))
      writers.push(await BenchProcess.start('writer', seeing, url, namespace));
    const report: string[] = [];
    for (const timed of [true, false])
      for (const sending of SENDINGS) {
        const task = { sending, timed, writes: CALLS_PER_MS[sending] * effort.msPerRound };
        const costs = await inTurn(writers, effort.rounds, (writer) => writer.ask(task));
        report.push(reportOf(task, costs));
      }
    return { report, outcomes: [] };
  } finally {
    await Promise.all(writers.map((writer) => writer[Symbol.asyncDispose]()));
    await removeKeys(url, namespace);
  }
}

function reportOf({ sending, timed }: WriterTask, costs: readonly (readonly LoadCost[])[]): string {
  const of = (seeing: Seeing): readonly LoadCost[] =>
    costs[Object.keys(WAYS).indexOf(seeing)] as readonly LoadCost[];
  const base = of('nothing');
  const rows = Object.entries(WAYS).map(([seeing, name]) => {
    const rounds = of(seeing as Seeing);
    const { clientUs, callsPerSecond } = medianCost(rounds);
    return [
      name,
      clientUs.toFixed(2),
      `${costRatio('clientUs', rounds, base).toFixed(2)} ×`,
      Math.round(callsPerSecond).toString(),
      `${costRatio('callsPerSecond', rounds, base).toFixed(2)} ×`,
    ];
  });
  const more = 100 * (costRatio('clientUs', of('fence'), of('cache')) - 1);
  return [
    tableOf([
      [
        `SET, ${sending}, ${timed ? "node-redis's defaults" : 'timeout: 0'}`,
        'client CPU µs',
        '',
        'writes/s',
        '',
      ],
      ...rows,
    ]),
    `readYourWrites costs ${more.toFixed(1)} % of the client's CPU for a write.`,
  ].join('\n');
}

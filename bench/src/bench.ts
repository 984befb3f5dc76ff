// `npm run bench`: the benchmarks.
import { cpus } from 'node:os';
import { GroundError, openGround } from './ground.ts';
import { type Effort, FULL, measureStage, QUICK } from './harness.ts';
import { outcomeOf, reportOf } from './report.ts';
import type { Findings, Scenario } from './scenario.ts';
import { client } from './scenarios/client.ts';
import { coldMiss } from './scenarios/cold-miss.ts';
import { getMany } from './scenarios/get-many.ts';
import { hit } from './scenarios/hit.ts';
import { locksAcross } from './scenarios/locks-across.ts';
import { locksHandOver } from './scenarios/locks-hand-over.ts';
import { locksIdle } from './scenarios/locks-idle.ts';
import { locksInProcess } from './scenarios/locks-in-process.ts';
import { locksUncontended } from './scenarios/locks-uncontended.ts';
import { memory } from './scenarios/memory.ts';
import { miss } from './scenarios/miss.ts';
import { modes } from './scenarios/modes.ts';
import { multi } from './scenarios/multi.ts';
import { redisHit } from './scenarios/redis-hit.ts';
import { stampede } from './scenarios/stampede.ts';
import { storm } from './scenarios/storm.ts';
import { writes } from './scenarios/writes.ts';
import { parseUsage, UsageError } from './usage-error.ts';

const SCENARIOS: readonly Scenario[] = [
  ...[
    hit,
    redisHit,
    coldMiss,
    stampede,
    getMany,
    client,
    miss,
    multi,
    modes,
    writes,
    storm,
    memory,
  ],
  ...[locksUncontended, locksInProcess, locksAcross, locksHandOver, locksIdle],
];
/** Two blanks more than the longest name. */
const NAME_WIDTH = 2 + Math.max(...SCENARIOS.map(({ name }) => name.length));

const HELP = `Usage: npm run bench -- [scenario …] [--quick]

${SCENARIOS.map(({ name, question }) => `  ${name.padEnd(NAME_WIDTH)}${question}`).join('\n')}

Without a name all are run. --quick: fewer and shorter rounds, for a first look.
Exit code 1: a goal was missed.
`;

process.exitCode = await bench(process.argv.slice(2));

async function bench(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseUsage({
      args: [...args],
      allowPositionals: true,
      options: { quick: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    const unknown = positionals.filter((name) => !SCENARIOS.some((each) => each.name === name));
    if (unknown.length > 0) throw new UsageError(`there is no scenario ${unknown.join(', ')}`);
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    const chosen = SCENARIOS.filter(
      ({ name }) => positionals.length === 0 || positionals.includes(name),
    );
    return (await runAll(chosen, values.quick ?? false)) ? 0 : 1;
  } catch (error) {
    const isUsage = error instanceof UsageError;
    if (!isUsage && !(error instanceof GroundError)) throw error;
    console.error(
      `redcache bench: ${error.message}${isUsage ? '; --help lists the scenarios' : ''}`,
    );
    return isUsage ? 2 : 1;
  }
}

/** Answers whether all goals were reached. */
async function runAll(scenarios: readonly Scenario[], quick: boolean): Promise<boolean> {
  await using ground = await openGround();
  console.log(`Node ${process.version} · ${cpus().length} × ${cpus()[0]?.model}`);
  let reached = true;
  for (const scenario of scenarios) {
    console.log(`\n${scenario.name}: ${scenario.question}`);
    const { report, outcomes } = await findingsOf(scenario, ground.url, quick ? QUICK : FULL);
    for (const text of report) console.log(text);
    for (const { line } of outcomes) console.log(line);
    reached &&= outcomes.every((outcome) => outcome.reached);
  }
  return reached;
}

async function findingsOf(scenario: Scenario, url: string, effort: Effort): Promise<Findings> {
  switch (scenario.kind) {
    case 'study':
      return scenario.run(url, effort);
    case 'timed': {
      await using stage = await scenario.open(url);
      const result = await measureStage(stage, effort);
      await stage.check();
      return {
        report: [reportOf(result)],
        outcomes: stage.goals.map((goal) => outcomeOf(goal, result)),
      };
    }
  }
}

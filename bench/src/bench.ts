// `npm run bench`: the benchmarks.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chosenOf } from './chosen.ts';
import { GroundError, openGround } from './ground.ts';
import { type Effort, FULL, measureStage, QUICK } from './harness.ts';
import { resultName, surroundingsOf } from './machine.ts';
import { durationText, Progress } from './progress.ts';
import { judged, outcomeOf, reportOf } from './report.ts';
import {
  RESULT_SCHEMA,
  type ResultFile,
  type ScenarioResult,
  writeResultFile,
} from './result-file.ts';
import type { Findings, Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { parseUsage, UsageError } from './usage-error.ts';

const RESULTS = fileURLToPath(new URL('../results', import.meta.url));
/** Two blanks more than the longest name. */
const NAME_WIDTH = 2 + Math.max(...SCENARIOS.map(({ name }) => name.length));

const HELP = `Usage: npm run bench -- [scenario …] [--quick] [--out file]

${SCENARIOS.map(({ name, question }) => `  ${name.padEnd(NAME_WIDTH)}${question}`).join('\n')}

A word stands for every scenario whose name has it as a part; without one all are run.
--quick: fewer and shorter rounds, for a first look, in two or three minutes instead of ten.
--out: where the figures of all rounds go; else a file in bench/results.
Exit code 1: a goal was missed.
`;

process.exitCode = await bench(process.argv.slice(2));

async function bench(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseUsage({
      args: [...args],
      allowPositionals: true,
      options: {
        quick: { type: 'boolean' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const chosen = chosenOf(SCENARIOS, positionals);
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    return (await runAll(chosen, values.quick ? QUICK : FULL, values.out)) ? 0 : 1;
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
async function runAll(
  chosen: readonly Scenario[],
  effort: Effort,
  out: string | undefined,
): Promise<boolean> {
  await using ground = await openGround();
  const date = new Date();
  const surroundings = await surroundingsOf(ground.url);
  const { machine, versions } = surroundings;
  console.log(
    `Node ${versions.node} · ${versions.redis} · ${machine.cores} × ${machine.cpu} · load ${machine.load.toFixed(1)}`,
  );
  const beginMs = performance.now();
  const scenarios: ScenarioResult[] = [];
  using progress = new Progress(process.stderr);
  for (const [place, scenario] of chosen.entries()) {
    progress.scenario(scenario.name, place + 1, chosen.length);
    const found = await resultOf(scenario, ground.url, effort);
    progress.clear();
    for (const text of found.texts) console.log(text);
    scenarios.push(found.result);
  }
  const file: ResultFile = {
    schema: RESULT_SCHEMA,
    date: date.toISOString(),
    effort: effort.name,
    ...surroundings,
    scenarios,
  };
  const path = out ?? join(RESULTS, `${fileName(date, file, chosen)}.json`);
  await writeResultFile(path, file);
  console.log(`\n${durationText(performance.now() - beginMs)}; all rounds are in ${path}`);
  return scenarios.every(({ outcomes }) => outcomes.every(({ reached }) => reached));
}

/** Says when it is not the whole of it. */
function fileName(
  date: Date,
  { machine, effort }: ResultFile,
  chosen: readonly Scenario[],
): string {
  const parts = [
    resultName(date, machine.cpu),
    ...(chosen.length < SCENARIOS.length ? ['some'] : []),
    ...(effort === 'quick' ? ['quick'] : []),
  ];
  return parts.join('.');
}

async function resultOf(
  scenario: Scenario,
  url: string,
  effort: Effort,
): Promise<{ readonly result: ScenarioResult; readonly texts: readonly string[] }> {
  const { name, question } = scenario;
  const beginMs = performance.now();
  const {
    panels = [],
    report = [],
    outcomes,
  } = await findingsOf(scenario, url, effort).catch(failed);
  const tookMs = Math.round(performance.now() - beginMs);
  return {
    result: { name, question, tookMs, panels, outcomes },
    texts: [
      `\n${name}: ${question} [${durationText(tookMs)}]`,
      ...reportOf(panels),
      ...report,
      ...outcomes.map(({ line }) => line),
    ],
  };
}

/** The others go on: what they find is worth as much. */
function failed(error: Error): Findings {
  console.error(error);
  return { outcomes: [judged(false, `to be measured; it failed: ${error.message}`)] };
}

async function findingsOf(scenario: Scenario, url: string, effort: Effort): Promise<Findings> {
  switch (scenario.kind) {
    case 'study':
      return scenario.run(url, effort);
    case 'timed': {
      await using stage = await scenario.open(url);
      const panels = await measureStage(stage, effort);
      await stage.check();
      return { panels, outcomes: stage.goals.map((goal) => outcomeOf(goal, panels[0])) };
    }
  }
}

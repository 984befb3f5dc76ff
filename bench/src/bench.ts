// `npm run bench`: the benchmarks.
import { cpus } from 'node:os';
import { GroundError, openGround } from './ground.ts';
import { FULL, measureStage, QUICK, type Scenario } from './harness.ts';
import { outcomeOf, reportOf } from './report.ts';
import { hit } from './scenarios/hit.ts';
import { parseUsage, UsageError } from './usage-error.ts';

const SCENARIOS: readonly Scenario[] = [hit];

const HELP = `Usage: npm run bench -- [scenario …] [--quick]

${SCENARIOS.map(({ name, question }) => `  ${name.padEnd(8)}${question}`).join('\n')}

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
    await using stage = await scenario.open(ground.url);
    console.log(`\n${scenario.name}: ${scenario.question}`);
    const result = await measureStage(stage, quick ? QUICK : FULL);
    await stage.check();
    console.log(reportOf(result));
    for (const goal of stage.goals) {
      const outcome = outcomeOf(goal, result);
      console.log(outcome.line);
      reached &&= outcome.reached;
    }
  }
  return reached;
}

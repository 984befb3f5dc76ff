import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { anyLife, emptyTally } from './life.ts';

/**
 * The model of `engine.test.ts` for as long as one likes: `npm run soak -- --minutes 60`, or with
 * `--steps` until there were so many. Lives are lived in batches, each with a seed of its own, one
 * more than that of the batch before; a batch that failed is lived again with `--seed` and its number.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    steps: { type: 'string' },
    seed: { type: 'string' },
  },
});

const LIVES_AT_ONCE = 1_000;
const REPORT_MS = 5_000;

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new Error(`--${name} must be a number, not '${text}'`);
}

const steps = values.steps === undefined ? Infinity : numberOf('steps', values.steps);
// Whoever counts in steps waits for all of them.
const minutes = values.steps === undefined ? numberOf('minutes', values.minutes) : Infinity;
const first = values.seed === undefined ? Date.now() % 2 ** 31 : numberOf('seed', values.seed);

const tally = emptyTally();
const startMs = performance.now();
const elapsedMs = (): number => performance.now() - startMs;

process.on('unhandledRejection', (reason) => {
  console.error('I14: a rejection that nobody handled', reason);
  process.exit(1);
});

console.log(`soak: from seed ${first}`);
let seed = first;
let reportedMs = 0;
do {
  const result = await fc.check(anyLife(tally), { numRuns: LIVES_AT_ONCE, seed });
  if (result.failed) {
    console.error(fc.defaultReportMessage(result));
    console.error(result.errorInstance);
    console.error(`soak: failed; again with: npm run soak -- --seed ${seed} --steps 1`);
    process.exit(1);
  }
  if (elapsedMs() - reportedMs >= REPORT_MS) {
    reportedMs = elapsedMs();
    const seconds = Math.round(reportedMs / 1_000);
    console.log(`soak: ${seconds} s, seed ${seed}, ${tally.lives} lives, ${tally.steps} steps`);
  }
  seed += 1;
} while (tally.steps < steps && elapsedMs() < minutes * 60_000);
console.log(`soak: passed from seed ${first} to ${seed - 1}: ${JSON.stringify(tally)}`);

// `npm run mutants`: leaves out each line of core, locks and cache-aside that is marked `// guard: <what
// it protects>` (`-- guard:` in a script), one at a time, and fails if the tests of its package, and for
// core the model, are as green without it.
//
// What follows `--` names the marked lines that are tried, by a part of their place (`packages/locks`,
// `store/guard.ts`, `session.ts:210`); left out: all. `--model`: those of core by the model alone,
// which then need not find them all.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vitest/node';
import { markedLines, withoutLine } from './marked-lines.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules/vitest/vitest.mjs');

/**
 * Whose lines are marked. `projects`: all tests that may miss one; `stages`: in which order they are
 * asked, those that are likely to find it first; `near`: where its own tests are, if there are any.
 */
const PACKAGES = {
  core: {
    projects: ['core', 'model'],
    stages: (near) => [
      ['--project', 'core', 'test/engine/', ...near],
      ['--project', 'model'],
      ['--project', 'core'],
    ],
  },
  locks: {
    projects: ['locks'],
    // The three models find what the others miss, and take ten times as long.
    stages: () => [
      ['--project', 'locks', '--exclude', '**/*exclusion.test.ts'],
      ['--project', 'locks', 'exclusion.test.ts'],
    ],
  },
  'cache-aside': {
    projects: ['cache-aside'],
    stages: (near) => [
      [
        ...['--project', 'cache-aside', ...near],
        ...['test/story', 'test/scripts', 'test/groups/', 'test/testing/'],
      ],
      ['--project', 'cache-aside'],
    ],
  },
};

const running = new Set();
const byModelAlone = process.argv.includes('--model');
const wanted = process.argv.slice(2).filter((each) => each !== '--model');

const mutants = findMutants();
if (mutants.length === 0) fail('no line is marked // guard:');

const startMs = performance.now();
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL');
    process.exit(130);
  });

// With all lines in place nothing may be found, or whatever is wrong would count for every mutant.
const touched = new Set(mutants.map((mutant) => mutant.name));
const projects = byModelAlone ? ['model'] : [...touched].flatMap((name) => PACKAGES[name].projects);
const ofProjects = projects.flatMap((name) => ['--project', name]);
const whole = await run(undefined, ofProjects, Infinity);
if (whole.found !== undefined) fail(`already without a mutant: ${whole.found}`);
console.log(`${mutants.length} marked lines; ${secondsOf(whole.tookMs)} for the whole of them`);

const survivors = [];
const queue = [...mutants];
await Promise.all(Array.from({ length: Math.max(1, availableParallelism() - 1) }, work));

const tookMs = performance.now() - startMs;
console.log(
  `${mutants.length - survivors.length} of ${mutants.length} found in ${secondsOf(tookMs)}`,
);
if (survivors.length > 0 && !byModelAlone)
  fail(`not missed by any test:\n${survivors.map(({ place }) => `  ${place}`).join('\n')}`);

function findMutants() {
  const names = byModelAlone ? ['core'] : Object.keys(PACKAGES);
  return names
    .flatMap(mutantsOf)
    .filter(({ place }) => wanted.length === 0 || wanted.some((each) => place.includes(each)));
}

function mutantsOf(name) {
  const source = join(root, 'packages', name, 'src');
  const files = readdirSync(source, { recursive: true }).filter((each) => each.endsWith('.ts'));
  return files.sort().flatMap((file) => {
    const path = join(source, file);
    const code = readFileSync(path, 'utf8');
    return markedLines(code).map((marked) => {
      const place = `${relative(root, path)}:${marked.line} (${marked.why})`;
      // What cannot be compiled is found by everything, and would show nothing.
      try {
        parseAst(withoutLine(code, marked.line), { lang: 'ts' });
      } catch (error) {
        fail(`${place} cannot be left out: ${error.message}`);
      }
      return { ...marked, name, path, file, place };
    });
  });
}

async function work() {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const { found, tookMs } = await findOut(mutant);
    console.log(`${mutant.place} ${found ?? 'NOT FOUND'} [${secondsOf(tookMs)}]`);
    if (found === undefined) survivors.push(mutant);
  }
}

/** Those that are likely to find it first; the rest only if need be. */
async function findOut(mutant) {
  const near = join('test', dirname(mutant.file));
  const isNear =
    dirname(mutant.file) !== '.' && existsSync(join(root, 'packages', mutant.name, near));
  const stages = PACKAGES[mutant.name].stages(isNear ? [near] : []);
  let tookMs = 0;
  for (const stage of byModelAlone ? stages.slice(1, 2) : stages) {
    const result = await run(mutant, stage, Math.max(60_000, 4 * whole.tookMs));
    tookMs += result.tookMs;
    if (result.found !== undefined) return { found: result.found, tookMs };
  }
  return { found: undefined, tookMs };
}

/** `found`: who found anything wrong, if anyone did. */
function run(mutant, args, atMostMs) {
  return new Promise((done) => {
    const beginMs = performance.now();
    const child = spawn(
      process.execPath,
      [vitest, 'run', '--config', join(root, 'scripts/mutants.config.mjs'), '--bail', '1', ...args],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...(mutant && { REDCACHE_MUTANT: JSON.stringify(mutant) }) },
      },
    );
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    let isLate = false;
    const timer =
      atMostMs === Infinity
        ? undefined
        : setTimeout(() => {
            isLate = true;
            child.kill('SIGKILL');
          }, atMostMs);
    child.once('close', (code) => {
      clearTimeout(timer);
      running.delete(child);
      const tookMs = performance.now() - beginMs;
      const [found] = output.match(/^found by .*$/m) ?? [];
      if (isLate) done({ found: 'found by its taking for ever', tookMs });
      else if (code === 0 && found === undefined) done({ found: undefined, tookMs });
      else if (code === 1 && found !== undefined) done({ found, tookMs });
      // Vitest itself did not run, which says nothing of the mutant.
      else fail(`${mutant?.place ?? 'without a mutant'}: vitest ended with ${code}\n${output}`);
    });
  });
}

function secondsOf(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function fail(message) {
  for (const child of running) child.kill('SIGKILL');
  console.error(`redcache: ${message}`);
  process.exit(1);
}

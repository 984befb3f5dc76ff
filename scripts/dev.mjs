// `npm start`, `npm test` and the other jobs come here: sets up whatever is missing, then runs the
// job. Needs Node, npm and git alone.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allOnPath, findServer } from '../test/support/redis.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const [job = 'test', ...rest] = process.argv.slice(2);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node 20.19 or newer is needed, not ${process.version}.`);

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' };
// Turbo asks its tasks for colours; without a terminal nobody sees them.
if (!process.stdout.isTTY) env.NO_COLOR = '1';
env.PATH = [join(root, 'node_modules/.bin'), dirname(process.execPath), env.PATH].join(delimiter);

const pnpm = findPnpm();
const jobs = {
  check,
  test: async () => {
    // Looked for first: without a server nobody should have to wait for the rest to learn it.
    await findServer(env).catch((error) => fail(error.message));
    await check();
    // Thresholds hold for the whole suite, so a run of some files measures nothing.
    await node('node_modules/vitest/vitest.mjs', 'run', ...(rest.length ? rest : ['--coverage']));
  },
  demo: async () => {
    await compile();
    await node('bench/dist/demo.js', ...rest);
  },
  bench: async () => {
    await compile();
    await node('--expose-gc', 'bench/dist/bench.js', ...rest);
  },
  'bench:check': async () => {
    await compile();
    await node('bench/dist/bench-check.js', ...rest);
  },
  'bench:publish': async () => {
    await compile();
    await node('bench/dist/bench-publish.js', ...rest);
  },
};
if (!Object.hasOwn(jobs, job))
  fail(`Unknown job: ${job}. There is: ${Object.keys(jobs).join(', ')}.`);
await run([...pnpm, 'install', '--frozen-lockfile']);
await jobs[job]();

/** Everything that can be checked without running a test; says all that is wrong, not the first. */
function check() {
  const tasks = ['compile', 'lint', 'dead-code', 'check:package'];
  const how = ['--output-logs=new-only', '--continue=dependencies-successful'];
  return run([...pnpm, 'exec', 'turbo', 'run', ...tasks, ...how]);
}

function compile() {
  return run([...pnpm, 'exec', 'tsc', '-b']);
}

function node(...args) {
  return run([process.execPath, ...args]);
}

/** The pnpm that package.json pins: the one on the PATH if it is that version, else through npx. */
function findPnpm() {
  const wanted = manifest.packageManager.split('@')[1].split('+')[0];
  const [own] = allOnPath('pnpm');
  if (own) {
    // Not in the project, where pnpm would answer with the version that it pins.
    const { status, stdout } = spawnSync(own, ['--version'], { cwd: '/', encoding: 'utf8', env });
    if (status === 0 && stdout.trim() === wanted) return [own];
  }
  return ['npx', '--yes', `pnpm@${wanted}`];
}

/** Runs a command to its end; ends this process as the command ended if it failed. */
function run([file, ...args]) {
  return new Promise((done) => {
    const child = spawn(file, args, {
      cwd: root,
      stdio: 'inherit',
      env,
      shell: process.platform === 'win32',
    });
    // Ctrl-C reaches the command as well, which ends in its own time; this process waits for it.
    const wait = () => {};
    const pass = () => child.kill('SIGTERM');
    process.on('SIGINT', wait).on('SIGTERM', pass);
    child.once('error', (error) => fail(`${file}: ${error.message}`));
    child.once('exit', (code, signal) => {
      process.off('SIGINT', wait).off('SIGTERM', pass);
      if (code !== 0) process.exit(code ?? 128 + constants.signals[signal]);
      done();
    });
  });
}

function fail(message) {
  console.error(`redcache: ${message}`);
  process.exit(1);
}

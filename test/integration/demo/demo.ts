import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../support/eventually.ts';
import { type Exit, ManagedProcess } from '../../support/managed-process.ts';
import { packageRoot } from '../../support/package-root.ts';

const SCRIPT = fileURLToPath(new URL('../bench/dist/demo.js', packageRoot));
/** Set for the demo and inherited by all it starts, which tells its processes from others. */
const MARK = 'REDCACHE_DEMO_OF_TEST';

export interface DemoRun {
  readonly exit: Exit;
  /** What it wrote to standard output and to standard error. */
  readonly output: string;
  readonly errors: string;
  /** The processes of it that still run; always none where there is no `/proc`. */
  left(): number[];
}

export interface RunningDemo {
  readonly ended: Promise<DemoRun>;
  left(): number[];
  hasWritten(what: RegExp): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

export function runDemo(args: readonly string[]): Promise<DemoRun> {
  return startDemo(args).ended;
}

/** Starts the compiled demo as a user would, on servers of its own. */
export function startDemo(args: readonly string[]): RunningDemo {
  if (!existsSync(SCRIPT)) throw new Error(`${SCRIPT} is missing: run the build`);
  const mark = randomUUID();
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, REDIS_URL: ___, ...env } = process.env;
  const demo = ManagedProcess.start(process.execPath, [SCRIPT, ...args], {
    env: { ...env, [MARK]: mark, NO_COLOR: '1' },
    output: 'pipe',
  });
  let output = '';
  let errors = '';
  demo.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  demo.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const left = (): number[] => processesWith(`${MARK}=${mark}`);
  const closed = new Promise<void>((resolve) => demo.child.once('close', () => resolve()));
  return {
    ended: Promise.all([demo.exited, closed]).then(([exit]) => ({ exit, output, errors, left })),
    left,
    hasWritten: async (what) => {
      await eventually(
        () => ({ output, errors, exit: demo.exit }),
        (now) => now.exit !== undefined || what.test(now.output),
        { what: `the demo to write ${what}` },
      );
      if (!what.test(output)) throw new Error(`the demo ended early:\n${output}${errors}`);
    },
    signal: (signal) => void demo.kill(signal),
  };
}

/** Those that were started with this in their environment, and have not ended. */
function processesWith(variable: string): number[] {
  if (!existsSync('/proc/self/environ')) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => environmentOf(pid).includes(variable)).map(Number);
}

/** Empty for a process that has ended, or is another user's. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

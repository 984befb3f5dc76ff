import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { eventually } from './eventually.ts';

/** How a process ended: by itself with a code, or by a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** A file descriptor that takes both outputs, or pipes for the caller to read. */
  readonly output: number | 'pipe';
  readonly ipc?: boolean;
}

/**
 * The shell becomes the program (so the process id and the exit are the program's own) and leaves a
 * watcher behind that reads the lifeline, descriptor 4. Its end of file means that this process is
 * gone, however it went, and SIGKILL ends the program even while it is stopped. A line means that
 * the program has ended already and its id may soon be another's.
 */
const SHELL = [
  '( read -r over <&4 || kill -9 $$ ) >/dev/null 2>&1 3>&- &',
  'exec "$@" </dev/null 4<&-',
].join('\n');

let endsWithParent = false;

/**
 * A test runner's worker that has something left to do lives on when the runner was killed, and its
 * children with it. Losing the channel to the parent is the one sign of that; whoever starts managed
 * processes and is a child itself goes then, and does not disconnect from its parent before.
 */
function endWithParent(): void {
  if (endsWithParent || process.send === undefined) return;
  endsWithParent = true;
  // Not process.exit, which a test runner may have replaced.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}

/** A child process that never outlives this one. */
export class ManagedProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly child: ChildProcess;
  #exit: Exit | undefined;

  private constructor(child: ChildProcess, pid: number) {
    this.child = child;
    this.pid = pid;
    const lifeline = child.stdio[4] as Duplex;
    // The program is gone before its lifeline is told: writing to it may fail, and that is fine.
    lifeline.on('error', () => {});
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        lifeline.end('over\n');
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** Throws: if there is no `sh`. A missing program shows as exit code 127. */
  static start(
    file: string,
    args: readonly string[],
    { cwd, env, output, ipc = false }: ProcessOptions,
  ): ManagedProcess {
    endWithParent();
    const child = spawn('sh', ['-c', SHELL, 'sh', file, ...args], {
      cwd,
      env,
      // A session of its own: Ctrl-C reaches the runner, which then ends this in its own order.
      detached: true,
      serialization: 'advanced',
      stdio: ['ignore', output, output, ipc ? 'ipc' : 'ignore', 'pipe'],
    });
    if (child.pid === undefined) throw new Error('sh could not be started');
    return new ManagedProcess(child, child.pid);
  }

  /** How it ended, if it has. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Lets this process end while that one runs (which then ends as well). */
  unref(): void {
    this.child.unref();
    for (const stream of this.child.stdio)
      (stream as (Readable & { unref?(): void }) | null)?.unref?.();
  }

  /** Ends it at once, also while it is paused; resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    // Whoever waits for the end is not let go before it, even with nothing else left to do.
    if (this.#exit === undefined) this.child.ref();
    this.#signal(signal);
    return this.exited;
  }

  /** Stops it where it is: its sockets stay open and answer nothing. */
  async pause(): Promise<void> {
    this.#signal('SIGSTOP');
    if (!existsSync('/proc/self/stat')) return;
    await eventually(
      () => this.#exit !== undefined || stateOf(this.pid) === 'T',
      (stopped) => stopped,
      { what: `process ${this.pid} to stop` },
    );
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  #signal(signal: NodeJS.Signals): void {
    // Once it is reaped, its id is no longer ours to signal.
    if (this.#exit === undefined) this.child.kill(signal);
  }
}

/** The letter Linux gives to what the process does: R, S, T (stopped), Z (gone, not yet reaped). */
function stateOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2)[0];
}

/** Whether a process of that id exists; one that has ended and awaits its parent does not count. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
  try {
    return stateOf(pid) !== 'Z';
  } catch {
    return !existsSync('/proc/self/stat');
  }
}

/** `exit 1`, `SIGKILL`: for messages. A shell's 128 + n is told as the signal it stands for. */
export function sayExit({ code, signal }: Exit): string {
  if (signal !== null) return signal;
  const name = Object.entries(constants.signals).find(([, n]) => n + 128 === code)?.[0];
  return name ?? `exit ${code}`;
}

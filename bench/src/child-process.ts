import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RoleName } from './roles.ts';

const SCRIPT = fileURLToPath(import.meta.resolve('./child.js'));

/** Characters of what a quiet process said last. */
const MOST_SAID = 4000;

/**
 * A process of its own for what must not share one with its rivals: V8's knowledge of a function, a
 * heap, an event loop, a hook that concerns every client. It ends with this process at the latest.
 */
export class BenchProcess<Task, Answer> implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start<Task, Answer>(
    role: RoleName,
    ...args: readonly string[]
  ): Promise<BenchProcess<Task, Answer>> {
    const child = fork(SCRIPT, [role, ...args], { execArgv: ['--expose-gc'] });
    const started = new BenchProcess<Task, Answer>(child);
    await started.#message();
    return started;
  }

  /**
   * One whose libraries are expected to complain: what it writes to its standard error is shown when
   * it ended, and not before.
   */
  static async startQuietly<Task, Answer>(
    role: RoleName,
    ...args: readonly string[]
  ): Promise<BenchProcess<Task, Answer>> {
    const child = fork(SCRIPT, [role, ...args], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-MOST_SAID);
    });
    child.once('exit', (code) => {
      if (code !== 0 && code !== null) process.stderr.write(said);
    });
    const started = new BenchProcess<Task, Answer>(child);
    await started.#message();
    return started;
  }

  /** One task at a time. Throws: when the process ended instead; it has said why on its own. */
  async ask(task: Task): Promise<Answer> {
    const answer = this.#message();
    this.#child.send({ task });
    return ((await answer) as { readonly answer: Answer }).answer;
  }

  async #message(): Promise<unknown> {
    const over = new AbortController();
    const { signal } = over;
    try {
      const [message] = await Promise.race([
        once(this.#child, 'message', { signal }),
        once(this.#child, 'exit', { signal }).then(([code, name]) => {
          throw new Error(`a process of the benchmark ended (${code ?? name})`);
        }),
      ]);
      return message;
    } finally {
      over.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }
}

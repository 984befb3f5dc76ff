import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assertNever } from '@redcache/core/toolkit';
import type { Country } from './database.ts';
import type { FromReader, ReaderReport, ReaderTask, ToReader } from './protocol.ts';

const SCRIPT = fileURLToPath(import.meta.resolve('./reader.js'));
/** A reader ends when its reads have, the longest of which is the cache's `timeout.hard`. */
const END_WITHIN_MS = 35_000;

export interface FleetHandlers {
  query(code: string): Promise<Country>;
  onReport(report: ReaderReport): void;
  /** A reader ended that was not asked to, or did not when it was. */
  onLost(reason: string): void;
}

/** A reader process; `ready` and `done` resolve when it has said so, or is gone. */
interface Reader {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly gone: Promise<void>;
}

/** The reader processes. None outlives this process: they end when their channel to it closes. */
export class Fleet implements AsyncDisposable {
  readonly #readers: readonly Reader[];
  readonly #handlers: FleetHandlers;
  #stopping = false;

  constructor(tasks: readonly ReaderTask[], handlers: FleetHandlers) {
    this.#handlers = handlers;
    this.#readers = tasks.map((task) => this.#launch(task));
  }

  /** Resolves when every reader is connected to Redis, or has ended. */
  async ready(): Promise<void> {
    await Promise.all(this.#readers.map(({ ready }) => ready));
  }

  start(): void {
    for (const { child } of this.#readers) tell(child, { is: 'start' });
  }

  /** Resolves when all have reported their last read and are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const late = setTimeout(() => {
      this.#handlers.onLost('a reader did not end in time, since some of its reads did not');
      this.#kill();
    }, END_WITHIN_MS);
    await Promise.all(
      this.#readers.map(async ({ child, done, gone }) => {
        tell(child, { is: 'stop' });
        await done;
        // Not before: what it has sent last may still be on its way when the process has ended.
        if (child.connected) child.disconnect();
        await gone;
      }),
    );
    clearTimeout(late);
  }

  /** Ends what is left at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#kill();
    await Promise.all(this.#readers.map(({ gone }) => gone));
  }

  #launch(task: ReaderTask): Reader {
    const child = fork(SCRIPT, [JSON.stringify(task)], { serialization: 'advanced' });
    const gone = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        resolve();
        if (!this.#stopping)
          this.#handlers.onLost(
            `reader ${task.process} ended by itself (${signal ?? `exit code ${code}`})`,
          );
      });
    });
    const said = (is: FromReader['is']): Promise<void> =>
      new Promise((resolve) => {
        child.on('message', (message: FromReader) => {
          if (message.is === is) resolve();
        });
        void gone.then(resolve);
      });
    child.on('message', (message: FromReader) => this.#hear(child, message));
    return { child, ready: said('ready'), done: said('done'), gone };
  }

  #hear(child: ChildProcess, message: FromReader): void {
    switch (message.is) {
      case 'ready':
      case 'done':
        return;
      case 'query': {
        const { id, code } = message;
        this.#handlers.query(code).then(
          (row) => tell(child, { is: 'row', id, row }),
          (error: unknown) => tell(child, { is: 'no-row', id, message: String(error) }),
        );
        return;
      }
      case 'report':
        this.#handlers.onReport(message);
        return;
      default:
        assertNever(message);
    }
  }

  #kill(): void {
    // Only those that still run: Node does not signal the id of a process it knows to be gone.
    for (const { child } of this.#readers) child.kill('SIGKILL');
  }
}

function tell(child: ChildProcess, message: ToReader): void {
  // One that is gone has nothing to be told; its end is noticed by itself.
  if (child.connected) child.send(message, () => {});
}

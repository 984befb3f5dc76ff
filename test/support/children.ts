import { EventEmitter, on } from 'node:events';
import type { ChildFailure, Handlers, ToChild, ToParent } from './child.ts';
import { compiledChild } from './compiled.ts';
import { type Exit, ManagedProcess, sayExit } from './managed-process.ts';

export interface ChildrenOptions {
  /** How many; one if not said. */
  readonly count?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** For Node itself, such as `--expose-gc`. */
  readonly nodeArgs?: readonly string[];
}

/** How much of a child's output is kept, from its end. */
const MAX_OUTPUT_CHARS = 64 * 1024;

/** A child could not do what it was asked: its own error, or its end. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
  /** The `code` of the child's own error. */
  readonly code: unknown;
  constructor(message: string, code?: unknown) {
    super(message);
    this.code = code;
  }
}

type Pending = { resolve(value: unknown): void; reject(error: Error): void };
type Result<H extends Handlers, K extends keyof H> = Awaited<ReturnType<H[K]>>;

/** One child process that serves requests. */
export class Child<H extends Handlers = Handlers> {
  readonly index: number;
  readonly exited: Promise<Exit>;
  readonly #process: ManagedProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #barriers = new Set<string>();
  readonly #events = new EventEmitter();
  readonly #ready: Promise<void>;
  #nextId = 1;
  #output = '';

  constructor(index: number, process: ManagedProcess) {
    this.index = index;
    this.#process = process;
    this.exited = process.exited;
    this.#events.setMaxListeners(0);
    for (const stream of [process.child.stdout, process.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARS);
      });
    process.child.on('message', (message) => this.#hear(message as ToParent));
    this.#ready = new Promise((resolve, reject) =>
      this.#pending.set(0, { resolve: () => resolve(), reject }),
    );
    this.#ready.catch(() => {});
    // 'close' and not 'exit': by then all it has said is here.
    process.child.once('close', () => this.#end());
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The end of what it has written to both outputs. */
  get output(): string {
    return this.#output;
  }

  /** Resolves when the child serves. Throws: {@link ChildError} if it ended before. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Throws: {@link ChildError} with the child's error, or with its output if it ended first. */
  request<K extends keyof H & string>(name: K, ...input: Parameters<H[K]>): Promise<Result<H, K>> {
    if (this.#process.exit !== undefined) return Promise.reject(this.#gone());
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending['resolve'], reject });
      this.#tell({ is: 'request', id, name, input });
    });
  }

  /** The next event of that name the child emits from now on. */
  async event(name: string): Promise<unknown> {
    if (this.#process.exit !== undefined) throw this.#gone();
    for await (const [heard, value] of on(this.#events, 'event', { close: ['gone'] }))
      if (heard === name) return value;
    throw this.#gone();
  }

  /** Hears every event of that name from now on, those too that it sent before it was killed. */
  onEvent(name: string, listener: (value: unknown) => void): void {
    this.#events.on('event', (heard, value) => {
      if (heard === name) listener(value);
    });
  }

  /** Resolves when the child waits at the barrier. */
  async arrival(barrier: string): Promise<void> {
    while (!this.#barriers.has(barrier)) {
      if (this.#process.exit !== undefined) throw this.#gone();
      await new Promise<void>((resolve) => {
        this.#events.once('barrier', resolve);
        this.#events.once('gone', resolve);
      });
    }
  }

  /** Lets it pass the barrier it waits at. */
  pass(barrier: string): void {
    this.#barriers.delete(barrier);
    this.#tell({ is: 'go', barrier });
  }

  /** Resolves when it is gone, also if it was paused. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    return this.#process.kill(signal);
  }

  /** SIGSTOP: it does nothing, its timers included, until {@link resume}. */
  pause(): Promise<void> {
    return this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  #tell(message: ToChild): void {
    // A failure to send means that it is gone, which 'close' says with more to it.
    this.#process.child.send(message, () => {});
  }

  #hear(message: ToParent): void {
    switch (message.is) {
      case 'ready':
        this.#settle(0, ({ resolve }) => resolve(undefined));
        return;
      case 'reply':
        this.#settle(message.id, ({ resolve }) => resolve(message.value));
        return;
      case 'failure':
        this.#settle(message.id, ({ reject }) => reject(this.#failed(message.error)));
        return;
      case 'event':
        this.#events.emit('event', message.name, message.value);
        return;
      case 'at-barrier':
        this.#barriers.add(message.barrier);
        this.#events.emit('barrier');
    }
  }

  #settle(id: number, how: (pending: Pending) => void): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending !== undefined) how(pending);
  }

  #end(): void {
    for (const id of [...this.#pending.keys()])
      this.#settle(id, ({ reject }) => reject(this.#gone()));
    this.#events.emit('gone');
  }

  #failed({ name, message, code, stack }: ChildFailure): ChildError {
    return new ChildError(
      `child ${this.index}: ${name}: ${message}\n${stack ?? ''}${this.#said()}`,
      code,
    );
  }

  #gone(): ChildError {
    const { exit } = this.#process;
    return new ChildError(
      `child ${this.index} has ended (${exit ? sayExit(exit) : 'channel closed'})${this.#said()}`,
    );
  }

  #said(): string {
    return this.#output === '' ? '' : `\nit wrote:\n${this.#output}`;
  }
}

/** Copies of one script. None outlives this process, however it ends. */
export class Children<H extends Handlers = Handlers> implements AsyncDisposable {
  readonly all: readonly Child<H>[];

  constructor(all: readonly Child<H>[]) {
    this.all = all;
  }

  /** Asks all the same, at the same time; answers in the order of the children. */
  requestAll<K extends keyof H & string>(
    name: K,
    ...input: Parameters<H[K]>
  ): Promise<Result<H, K>[]> {
    return Promise.all(this.all.map((child) => child.request(name, ...input)));
  }

  /** Waits until every child is at the barrier, then lets all go together. */
  async release(barrier = 'start'): Promise<void> {
    await Promise.all(this.all.map((child) => child.arrival(barrier)));
    for (const child of this.all) child.pass(barrier);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((child) => child.kill()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/**
 * Starts copies of `test/children/<script>`, which calls `serve`; resolves when all serve. Name its
 * handlers as the type argument: `startChildren<typeof import('../children/reader.ts').handlers>`.
 *
 * Throws: if the script is not compiled as it stands; {@link ChildError} if one ends at once.
 */
export async function startChildren<H extends Handlers>(
  script: string,
  { count = 1, args = [], env = {}, nodeArgs = [] }: ChildrenOptions = {},
): Promise<Children<H>> {
  const file = compiledChild(script);
  const children = new Children<H>(
    Array.from({ length: count }, (_, index) => {
      const process_ = ManagedProcess.start(
        process.execPath,
        ['--enable-source-maps', ...nodeArgs, file, ...args],
        { env: { ...childEnvironment(), ...env }, output: 'pipe', ipc: true },
      );
      return new Child<H>(index, process_);
    }),
  );
  try {
    await Promise.all(children.all.map((child) => child.ready()));
  } catch (error) {
    await children.stop();
    throw error;
  }
  return children;
}

/** This process's, without what the test runner says to Node. */
function childEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...rest } = process.env;
  return rest;
}

import { nowMs } from '../now.ts';
import type { Database } from './database.ts';
import type { Read } from './read-log.ts';

/** When in the run it begins. */
const AT_RATIO = 0.65;

type Stoppable = Pick<Database, 'stop' | 'start'>;

interface Stopped {
  readonly fromMs: number;
  /** Infinite as long as it lasts. */
  readonly toMs: number;
}

/**
 * Stops the database for a while in the second half of the run, for long enough that every value ages
 * meanwhile, and sees what that does to the reads. Nothing is updated then.
 */
export class Maintenance {
  readonly #database: Stoppable;
  readonly #forMs: number;
  readonly #prepare: () => Promise<void>;
  readonly #resume: () => void;
  /** Reads that began while the database was stopped, and those that got what had aged. */
  readsMeanwhile = 0;
  agedMeanwhile = 0;
  #stopped: Stopped | undefined;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #end = (): void => {};
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  /** `prepare` before, and `resume` after it. */
  constructor(parts: {
    readonly database: Stoppable;
    readonly forMs: number;
    prepare(): Promise<void>;
    resume(): void;
  }) {
    this.#database = parts.database;
    this.#forMs = parts.forMs;
    this.#prepare = parts.prepare;
    this.#resume = parts.resume;
  }

  get isNow(): boolean {
    return this.#stopped?.toMs === Number.POSITIVE_INFINITY;
  }

  /** `undefined` as long as it has not been over. */
  get stoppedMs(): number | undefined {
    if (this.#stopped === undefined || this.isNow) return undefined;
    return this.#stopped.toMs - this.#stopped.fromMs;
  }

  start(runMs: number, onError: (error: unknown) => void): void {
    this.#timer = setTimeout(() => {
      this.#work = this.#happen().catch(onError);
    }, runMs * AT_RATIO);
  }

  /** Resolves when the database answers, at once if it was stopped. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#end();
    await this.#work;
  }

  /** Every read that is reported goes through here. */
  see({ beganAtMs, source }: Read): void {
    const stopped = this.#stopped;
    if (stopped === undefined || beganAtMs < stopped.fromMs || beganAtMs >= stopped.toMs) return;
    this.readsMeanwhile += 1;
    if (source === 'aged') this.agedMeanwhile += 1;
  }

  async #happen(): Promise<void> {
    await this.#prepare();
    const fromMs = nowMs();
    this.#database.stop();
    this.#stopped = { fromMs, toMs: Number.POSITIVE_INFINITY };
    let timer: NodeJS.Timeout | undefined;
    const time = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#forMs);
    });
    await Promise.race([time, this.#ended]);
    clearTimeout(timer);
    this.#stopped = { fromMs, toMs: nowMs() };
    this.#database.start();
    this.#resume();
  }
}

import {
  type Argument,
  type CommandPort,
  type Connection,
  type SendOptions,
  UnavailableError,
} from '@redcache/core';
import { isServerError, runScript } from '@redcache/core/toolkit';
import type { BatchedScript } from './scripts/batched.ts';

/** More in one script would keep the server from its other clients for longer than they notice. */
const MOST_CALLS = 32;
/** More that cannot go together are not gathered: to find out costs more than it spares. */
const MOST_BATCHES = 8;

/** Calls of one script that have yet to leave. */
interface Batch {
  readonly script: BatchedScript;
  /** What the calls have in common. */
  readonly shared: readonly string[];
  readonly keys: string[];
  readonly holders: string[];
  readonly calls: Call[];
}

interface Call {
  resolve(reply: unknown): void;
  reject(error: unknown): void;
}

/**
 * A connection on which calls of the same script, for different keys, go together: the first of a turn
 * leaves at once, those that follow it leave as one when the turn is over, which is when the client
 * writes to its socket anyway. So a server that is asked for many locks at a time parses, looks up and
 * answers one command for many, and so does this process.
 *
 * Commands that concern one key leave in the order of the calls.
 */
export class BatchingPort implements CommandPort {
  readonly #port: CommandPort;
  readonly #isUp: () => boolean;
  #mayBatch: boolean;
  /** A call has left in this turn. */
  #isTurn = false;
  #batches: readonly Batch[] = [];

  /** `mayBatch`: all keys are in one place, as far as is known. */
  constructor(port: CommandPort, { mayBatch, isUp }: { mayBatch: boolean; isUp: () => boolean }) {
    this.#port = port;
    this.#mayBatch = mayBatch;
    this.#isUp = isUp;
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    this.#flush();
    return this.#port.send(args, options);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    return this.#port.onConnection(listener);
  }

  /** Sends: EVALSHA, EVAL once on NOSCRIPT, for this key alone or with others of the same turn. */
  call(
    script: BatchedScript,
    key: string,
    shared: readonly string[],
    holder: string,
  ): Promise<unknown> {
    if (!this.#mayBatch) return this.#alone(script, key, shared, holder);
    if (!this.#isTurn) {
      this.#isTurn = true;
      process.nextTick(this.#onTurn);
      return this.#alone(script, key, shared, holder);
    }
    return new Promise((resolve, reject) => {
      const { keys, holders, calls } = this.#batchFor(script, shared, key);
      keys.push(key);
      holders.push(holder);
      calls.push({ resolve, reject });
    });
  }

  #alone(
    script: BatchedScript,
    key: string,
    shared: readonly string[],
    holder: string,
  ): Promise<unknown> {
    return runScript(this.#port, script, [key], [...shared, holder]);
  }

  /**
   * The batch that a call belongs to. What was asked of the same key before leaves first: in a batch no
   * call sees what another has done.
   */
  #batchFor(script: BatchedScript, shared: readonly string[], key: string): Batch {
    const batch = this.#batches.find(
      (each) => each.script === script && each.shared.every((arg, i) => arg === shared[i]),
    );
    const isFull =
      batch === undefined
        ? this.#batches.length === MOST_BATCHES
        : batch.keys.length === MOST_CALLS;
    if (isFull || this.#batches.some(({ keys }) => keys.includes(key))) this.#flush();
    else if (batch !== undefined) return batch;
    const begun: Batch = { script, shared, keys: [], holders: [], calls: [] };
    this.#batches = [...this.#batches, begun];
    return begun;
  }

  readonly #onTurn = (): void => {
    this.#isTurn = false;
    this.#flush();
  };

  #flush(): void {
    if (this.#batches.length === 0) return;
    const batches = this.#batches;
    this.#batches = [];
    for (const batch of batches) void this.#run(batch);
  }

  /** Never rejects. */
  async #run(batch: Batch): Promise<void> {
    const { script, shared, keys, holders, calls } = batch;
    try {
      const reply = await this.#runLater(script, keys, [...shared, ...holders]);
      const answers = calls.length === 1 ? [reply] : (reply as readonly unknown[]);
      for (const [i, call] of calls.entries())
        if (answers[i] instanceof Error) call.reject(answers[i]);
        else call.resolve(answers[i]);
    } catch (error) {
      if (calls.length > 1 && this.#isForSome(error)) this.#runAlone(batch);
      else for (const { reject } of calls) reject(error);
    }
  }

  /** Whether the server refused, before it ran anything, what it may allow for each key by itself. */
  #isForSome(error: unknown): boolean {
    if (!isServerError(error)) return false;
    // A node of a cluster that is used as if it were alone: no two keys need be in one slot.
    if (error.message.startsWith('CROSSSLOT ')) this.#mayBatch = false;
    else if (!/^(NOPERM|TRYAGAIN) /.test(error.message)) return false;
    return true;
  }

  #runAlone({ script, shared, keys, holders, calls }: Batch): void {
    for (const [i, { resolve, reject }] of calls.entries())
      this.#runLater(script, [keys[i] as string], [...shared, holders[i] as string]).then(
        resolve,
        reject,
      );
  }

  /** The connection was up when the call was made; lost since, the client would keep it for a later one. */
  async #runLater(
    script: BatchedScript,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<unknown> {
    if (!this.#isUp()) throw new UnavailableError('Redis is not connected: nothing was sent');
    return runScript(this.#port, script, keys, args);
  }
}

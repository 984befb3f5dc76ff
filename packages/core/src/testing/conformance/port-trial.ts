import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { systemClock } from '../../clock.ts';
import type { Argument, Connection, TrackingPort } from '../../ports.ts';

/** What an embedder brings for each case: his client behind its port, and somebody else. */
export interface PortUnderTest {
  readonly port: TrackingPort;
  /** Closes the client behind the port for good, at once, whatever is outstanding. */
  close(): unknown;
  /** A connection of its own to the same server, of any kind: the writes of others come from it. */
  readonly others: {
    send(args: readonly string[]): Promise<unknown>;
    close(): unknown;
  };
}

/** How a promise ended, so that a rejection is looked at and never unhandled. */
export type Outcome =
  | { readonly is: 'answered'; readonly value: unknown }
  | { readonly is: 'rejected'; readonly reason: unknown };

/** Facts about a port by their names. */
export type Cases = Readonly<Record<string, (trial: PortTrial) => Promise<void>>>;

const POLL_MS = 5;

/** One port at work: what it has told so far, and ways to wait that end. */
export class PortTrial {
  readonly port: TrackingPort;
  /** What was heard, in the order in which it was: `up`, `down`, `closed`, `push KEY`, `flush`. */
  readonly heard: string[] = [];
  readonly #subject: PortUnderTest;
  readonly #deadlineMs: number;
  readonly #id: string = crypto.randomUUID();
  #connection: Connection | undefined;
  #closed = false;

  constructor(subject: PortUnderTest, deadlineMs: number) {
    this.#subject = subject;
    this.#deadlineMs = deadlineMs;
    this.port = subject.port;
    this.port.onConnection((connection) => {
      this.#connection = connection;
      this.heard.push(connection);
    });
    this.port.onPush((invalidation) => {
      if (invalidation.kind === 'flush') this.heard.push('flush');
      // A key that is no text shows as what it is.
      else
        this.heard.push(
          ...invalidation.keys.map((key) => `push ${typeof key === 'string' ? key : inspect(key)}`),
        );
    });
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** A name that nobody else uses on this server; it is no ASCII, so that decoding shows. */
  key(name: string): string {
    return `redcache:conformance:${this.#id}:${name}:ключ`;
  }

  send(...args: readonly Argument[]): Promise<unknown> {
    return this.within(this.port.send(args), `the answer to ${args[0]}`);
  }

  sendForBytes(...args: readonly Argument[]): Promise<unknown> {
    return this.within(this.port.send(args, { replies: 'buffers' }), `the answer to ${args[0]}`);
  }

  async others(...args: readonly string[]): Promise<unknown> {
    return await this.within(this.#subject.others.send(args), `the others' ${args[0]}`);
  }

  track(...how: readonly string[]): Promise<unknown> {
    return this.send('CLIENT', 'TRACKING', 'ON', ...how);
  }

  /** Every push that the server sent before this call has been told when it resolves. */
  async drain(): Promise<void> {
    await this.send('PING');
  }

  /** A port may begin with being down; what is heard counts from its first `up` on. */
  async begin(): Promise<void> {
    await this.until(() => this.#connection === 'up', 'the connection to be up');
    this.heard.splice(0, this.heard.indexOf('up'));
  }

  /** Has the server end the connection; what comes of it is the port's to tell. */
  async cut(): Promise<void> {
    await this.others('CLIENT', 'KILL', 'ID', String(await this.send('CLIENT', 'ID')));
  }

  async cutAndUp(): Promise<void> {
    const { length } = this.heard;
    await this.cut();
    await this.until(() => this.heard.includes('up', length), 'up after a loss');
  }

  /** Sends what the server does not answer until the connection ends. */
  block(): Promise<Outcome> {
    return this.outcome(this.port.send(['BLPOP', this.key('nothing'), '0']), 'a waiting command');
  }

  outcome(promise: Promise<unknown>, what: string): Promise<Outcome> {
    return this.within(
      promise.then(
        (value): Outcome => ({ is: 'answered', value }),
        (reason: unknown): Outcome => ({ is: 'rejected', reason }),
      ),
      `${what} to settle`,
    );
  }

  async until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    let over = false;
    const holding = (async () => {
      while (!over && !(await holds()))
        await new Promise<void>((resolve) => systemClock.setTimer(POLL_MS, resolve));
    })();
    try {
      await this.within(holding, what);
    } finally {
      over = true;
    }
  }

  /** A promise that hangs is a failure that says what hung. */
  within<T>(promise: Promise<T>, what: string): Promise<T> {
    const ended = new Promise<T>((resolve, reject) => {
      const timer = systemClock.setTimer(this.#deadlineMs, () =>
        reject(
          new assert.AssertionError({
            message: `waited ${this.#deadlineMs} ms for ${what}; heard: ${this.heard.join(', ')}`,
          }),
        ),
      );
      promise.then(resolve, reject).finally(() => timer.cancel());
    });
    // A case that has failed elsewhere looks at it no more.
    ended.catch(() => {});
    return ended;
  }

  async closeClient(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.within(Promise.resolve(this.#subject.close()), 'the client to close');
  }

  async end(): Promise<void> {
    try {
      await this.closeClient();
    } finally {
      await this.#subject.others.close();
    }
  }
}

export const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

import type { Connection, TrackingPort } from '../ports.ts';
import type { Invalidation } from '../tracking/invalidation.ts';

/** A command that was sent and waits for the test to answer it. */
export interface SentCommand {
  readonly args: readonly string[];
  reply(value: unknown): void;
  fail(error: unknown): void;
}

/**
 * A client without a server: a {@link TrackingPort} whose replies, pushes and connection are the
 * test's to give, in any order. It starts `down`.
 */
export class FakeClient implements TrackingPort {
  /** Sent and not answered yet, oldest first. */
  readonly sent: SentCommand[] = [];
  readonly #onPush = new Set<(invalidation: Invalidation) => void>();
  readonly #onConnection = new Set<(connection: Connection) => void>();
  #connection: Connection = 'down';

  send(args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T): void => {
          this.sent.splice(this.sent.indexOf(command), 1);
          how(value);
        };
      const command: SentCommand = { args, reply: settle(resolve), fail: settle(reject) };
      this.sent.push(command);
    });
  }

  onPush(listener: (invalidation: Invalidation) => void): () => void {
    this.#onPush.add(listener);
    return () => this.#onPush.delete(listener);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    this.#onConnection.add(listener);
    listener(this.#connection);
    return () => this.#onConnection.delete(listener);
  }

  /** Listeners that were not taken back: nothing may be left after a close. */
  get listeners(): number {
    return this.#onPush.size + this.#onConnection.size;
  }

  /** The oldest unanswered command, which must begin with these words. */
  next(...words: readonly string[]): SentCommand {
    const command = this.sent[0];
    if (command === undefined) throw new Error(`nothing was sent; expected ${words.join(' ')}`);
    if (words.some((word, i) => command.args[i] !== word))
      throw new Error(`sent ${command.args.join(' ')}; expected ${words.join(' ')}`);
    return command;
  }

  push(...keys: readonly string[]): void {
    for (const listener of [...this.#onPush]) listener({ kind: 'keys', keys });
  }

  flush(): void {
    for (const listener of [...this.#onPush]) listener({ kind: 'flush' });
  }

  /** Losing the connection rejects what is unanswered, as node-redis does. */
  connection(connection: Connection): void {
    this.#connection = connection;
    if (connection !== 'up')
      for (const command of [...this.sent]) command.fail(new Error('the connection was lost'));
    for (const listener of [...this.#onConnection]) listener(connection);
  }

  /** Comes up and answers the `CLIENT TRACKING ON` of whoever is attached. */
  async connect(): Promise<void> {
    this.connection('up');
    for (const command of [...this.sent])
      if (command.args.join(' ') === 'CLIENT TRACKING ON') command.reply('OK');
    await settled();
  }
}

/** Lets every continuation that is ready run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

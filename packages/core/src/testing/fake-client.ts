import type { Argument, Connection, SendOptions, TrackingPort } from '../ports.ts';
import type { Invalidation } from '../tracking/invalidation.ts';

/** A command that was sent and waits for the test to answer it. */
export interface SentCommand {
  readonly args: readonly Argument[];
  readonly options?: SendOptions | undefined;
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

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T): void => {
          this.sent.splice(this.sent.indexOf(command), 1);
          how(value);
        };
      const command: SentCommand = {
        args,
        options,
        reply: settle(resolve),
        fail: settle(reject),
      };
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

  /**
   * Comes up and answers what `attach` asks of a new connection: tracking is on, and the push of the
   * probe key arrives.
   */
  async connect(): Promise<void> {
    this.connection('up');
    for (let asked = true; asked; asked = await this.#answerHandshake());
  }

  /** Answers the oldest question whether the connection is still tracked. */
  beat(): void {
    this.sent.find(({ args }) => args.join(' ') === 'CLIENT TRACKINGINFO')?.reply(TRACKED);
  }

  async #answerHandshake(): Promise<boolean> {
    const asked = [...this.sent].filter((command) => this.#answer(command));
    await settled();
    return asked.length > 0;
  }

  #answer({ args, reply }: SentCommand): boolean {
    const words = args.join(' ');
    const isProbe = String(args[1]).startsWith('redcache:probe:');
    if (words.startsWith('CLIENT TRACKING O') || words === 'CLIENT CACHING YES') reply('OK');
    else if (words === 'CLIENT TRACKINGINFO') reply(TRACKED);
    else if (words === 'PING') reply('PONG');
    else if (isProbe && args[0] === 'GET') reply(null);
    else if (isProbe && args[0] === 'SET') {
      reply('OK');
      this.push(args[1] as string);
    } else return false;
    return true;
  }
}

/** What `CLIENT TRACKINGINFO` answers while tracking is on. */
const TRACKED = { flags: ['on'], redirect: -1, prefixes: [] } as const;

/** Lets every continuation that is ready run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

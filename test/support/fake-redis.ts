import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type ClientCommand, FakeConnection } from './fake-connection.ts';
import type { FakeKeyspace, KeyspaceOutcome } from './fake-keyspace.ts';
import { encode } from './resp.ts';

/**
 * What the server says by itself to a command: bytes, bytes that depend on the command, or `null` to
 * leave it to the test.
 */
export type AutomaticAnswer = Buffer | null | ((command: ClientCommand) => Buffer | null);

export interface FakeRedisOptions {
  /** By name, such as `GET` or `CLIENT TRACKING`; before those of the keys and of the handshake. */
  readonly answers?: Readonly<Record<string, AutomaticAnswer>>;
  /** Answers the commands it knows as a server with these keys would, pushes included. */
  readonly keys?: FakeKeyspace;
  /**
   * What becomes of the probes by which a cache sees to it that pushes arrive (`GET` and `SET` of
   * `redcache:probe:…`). `pushed` (default): answered, the push right behind the answer to `SET`.
   * `unpushed`: answered, as behind a proxy that drops pushes. `left`: to the test, as other commands.
   */
  readonly probes?: 'pushed' | 'unpushed' | 'left';
}

/** How long {@link FakeRedis.next} waits: far longer than any client needs to send. */
const NEXT_DEADLINE_MS = 10_000;

const OK = encode.simple('OK');
const bulks = (pairs: Record<string, string>): (readonly [Buffer, Buffer])[] =>
  Object.entries(pairs).map(([name, value]) => [encode.bulk(name), encode.bulk(value)] as const);

/** What any client says before its first command, and to keep its connection. */
const HANDSHAKE: Readonly<Record<string, AutomaticAnswer>> = {
  HELLO: ({ connection }) =>
    encode.map(
      ...bulks({ server: 'redis', version: '7.0.15' }),
      [encode.bulk('proto'), encode.integer(3)],
      [encode.bulk('id'), encode.integer(connection.id)],
      ...bulks({ mode: 'standalone', role: 'master' }),
      [encode.bulk('modules'), encode.array()],
    ),
  AUTH: OK,
  SELECT: OK,
  READONLY: OK,
  PING: ({ args: [text] }) => (text === undefined ? encode.simple('PONG') : encode.bulk(text)),
  'CLIENT SETINFO': OK,
  'CLIENT SETNAME': OK,
  'CLIENT TRACKING': OK,
  'CLIENT CACHING': OK,
  'CLIENT NO-EVICT': OK,
  'CLIENT NO-TOUCH': OK,
  'CLIENT ID': ({ connection }) => encode.integer(connection.id),
  'CLIENT INFO': ({ connection }) => encode.bulk(`id=${connection.id} name= db=0 resp=3`),
  'CLIENT TRACKINGINFO': encode.map(
    [encode.bulk('flags'), encode.array(encode.bulk('on'))],
    [encode.bulk('redirect'), encode.integer(0)],
    [encode.bulk('prefixes'), encode.array()],
  ),
  'CLIENT MAINT_NOTIFICATIONS': encode.error('ERR unknown subcommand'),
};

interface Waiting {
  readonly name: string;
  take(command: ClientCommand): void;
  giveUp(why: string): void;
}

/**
 * A server in this process that speaks RESP3 and lets the test choose every byte: the handshake is
 * answered, that of a cache included; all other commands wait for {@link next}. Replies that the server gives by itself never
 * overtake a command that the test has yet to answer, nor cut a frame in two.
 */
export class FakeRedis implements AsyncDisposable {
  readonly #server: Server;
  readonly #answers: Readonly<Record<string, AutomaticAnswer>>;
  readonly #keys: FakeKeyspace | undefined;
  readonly #probes: NonNullable<FakeRedisOptions['probes']>;
  readonly #connections: FakeConnection[] = [];
  readonly #commands: ClientCommand[] = [];
  readonly #untaken: ClientCommand[] = [];
  readonly #waiting: Waiting[] = [];
  /** Sockets this process has dialled, so that a connection finds its other end. */
  readonly #dialled = new Set<Socket>();
  readonly #onDial = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    this.#dialled.add(socket);
    socket.once('close', () => this.#dialled.delete(socket));
  };

  private constructor(server: Server, options: FakeRedisOptions) {
    const { answers = {}, keys, probes = 'pushed' } = options;
    this.#server = server;
    this.#answers = answers;
    this.#keys = keys;
    this.#probes = probes;
    subscribe('net.client.socket', this.#onDial);
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async start(options: FakeRedisOptions = {}): Promise<FakeRedis> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeRedis(server, options);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** All that ever were, oldest first. */
  get connections(): readonly FakeConnection[] {
    return this.#connections;
  }

  /** All that was ever received, the handshake included, oldest first. */
  get commands(): readonly ClientCommand[] {
    return this.#commands;
  }

  /**
   * The oldest command of that name that is neither answered by the server nor taken yet; waits for
   * it if need be. It is then the test's to answer.
   */
  async next(name: string): Promise<ClientCommand> {
    const at = this.#untaken.findIndex((command) => command.is(name));
    if (at >= 0) return this.#untaken.splice(at, 1)[0] as ClientCommand;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      };
      const waiting: Waiting = {
        name,
        take: (command) => {
          end();
          resolve(command);
        },
        giveUp: (why) => {
          end();
          const others = this.#untaken.map((command) => command.words.join(' ')).join(', ');
          reject(new Error(`no ${name}: ${why}; not taken: ${others || 'nothing'}`));
        },
      };
      const timer = setTimeout(
        () => waiting.giveUp(`none in ${NEXT_DEADLINE_MS} ms`),
        NEXT_DEADLINE_MS,
      );
      this.#waiting.push(waiting);
    });
  }

  /** A write by somebody else, to the keys of this server; readers that track them are told. */
  writeFromElsewhere(...words: readonly string[]): void {
    if (this.#keys === undefined) throw new Error('this server has no keys');
    const outcome = this.#keys.run(words, undefined);
    if (outcome === undefined) throw new Error(`the keys know no ${words[0]}`);
    for (const [connection, push] of outcome.pushes) connection.say(push);
  }

  async close(): Promise<void> {
    unsubscribe('net.client.socket', this.#onDial);
    for (const waiting of [...this.#waiting]) waiting.giveUp('the server was closed');
    for (const connection of this.#connections) connection.reset();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(socket: Socket): void {
    const connection: FakeConnection = new FakeConnection(this.#connections.length + 1, socket, {
      onCommand: (command) => this.#take(command),
      onClose: () => this.#keys?.forget(connection),
      // A port of this side may serve towards several servers; one that still connects has no other.
      otherEnd: () =>
        [...this.#dialled].find(
          ({ localPort, remotePort }) =>
            localPort === socket.remotePort &&
            (remotePort === undefined || remotePort === socket.localPort),
        ),
    });
    this.#connections.push(connection);
  }

  #take(command: ClientCommand): void {
    this.#commands.push(command);
    const told = answerOf(this.#answers, command);
    const outcome = told === undefined ? this.#run(command) : undefined;
    const answer = told ?? outcome?.reply ?? answerOf(HANDSHAKE, command) ?? null;
    if (told !== null && answer !== null) {
      command.answerInTurn(answer);
      for (const [connection, push] of outcome?.pushes ?? []) connection.say(push);
      return;
    }
    const waiting = this.#waiting.find(({ name }) => command.is(name));
    if (waiting !== undefined) waiting.take(command);
    else this.#untaken.push(command);
  }

  #run(command: ClientCommand): KeyspaceOutcome | undefined {
    return (
      (this.#probes === 'left' ? undefined : this.#probe(command)) ??
      this.#keys?.run(command.words, command.connection)
    );
  }

  #probe({ name, args: [key = ''], connection }: ClientCommand): KeyspaceOutcome | undefined {
    if (!key.startsWith('redcache:probe:')) return undefined;
    if (name === 'GET') return { reply: encode.nil(), pushes: [] };
    if (name !== 'SET') return undefined;
    const isPushed = this.#probes === 'pushed';
    return { reply: OK, pushes: isPushed ? [[connection, encode.invalidate(key)]] : [] };
  }
}

/** `null` leaves it to the test, `undefined` says nothing. */
function answerOf(
  answers: Readonly<Record<string, AutomaticAnswer>>,
  command: ClientCommand,
): Buffer | null | undefined {
  const [first = '', second = ''] = command.words.map((word) => word.toUpperCase());
  const pair = `${first} ${second}`;
  const answer = pair in answers ? answers[pair] : answers[first];
  return typeof answer === 'function' ? answer(command) : answer;
}

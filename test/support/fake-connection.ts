import type { Socket } from 'node:net';
import { encode, RespReader } from './resp.ts';

/** How long the client may take to read a piece before the test is told that it does not. */
const READ_DEADLINE_MS = 10_000;

/** A command as a client sent it. */
export class ClientCommand {
  readonly connection: FakeConnection;
  /** Name and arguments as sent. */
  readonly words: readonly string[];
  /** What the server says by itself once all before it are answered. */
  automatic: Buffer | undefined;

  constructor(connection: FakeConnection, words: readonly string[]) {
    this.connection = connection;
    this.words = words;
  }

  get name(): string {
    return (this.words[0] ?? '').toUpperCase();
  }

  get args(): readonly string[] {
    return this.words.slice(1);
  }

  /** Whether it is `GET`, or `CLIENT TRACKING`: as many words as the name has. */
  is(name: string): boolean {
    const wanted = name.toUpperCase().split(' ');
    return wanted.every((word, i) => this.words[i]?.toUpperCase() === word);
  }

  /** Answers it now. Throws: if an older command of this connection has no answer yet. */
  reply(bytes: Buffer): void {
    if (this.connection.oldestUnanswered !== this)
      throw new Error(`${this.words.join(' ')} is not the oldest unanswered command`);
    this.connection.write(bytes);
  }

  /** Answers it as soon as all before it are answered. */
  answerInTurn(bytes: Buffer): void {
    this.automatic = bytes;
    this.connection.sayWhatIsDue();
  }
}

interface Owner {
  onCommand(command: ClientCommand): void;
  onClose(): void;
  /** The client's own socket, if the client lives in this process. */
  otherEnd(): Socket | undefined;
}

/** A client's connection to the fake server. */
export class FakeConnection {
  readonly id: number;
  /** Resolves when the client has closed it, or the test. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #owner: Owner;
  readonly #incoming = new RespReader();
  readonly #outgoing = new RespReader();
  /** Commands that await their answer, and pushes to send after the answers before them. */
  readonly #turns: (ClientCommand | Buffer)[] = [];
  #outbox: Buffer[] | undefined;

  constructor(id: number, socket: Socket, owner: Owner) {
    this.id = id;
    this.#socket = socket;
    this.#owner = owner;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.once('close', () => owner.onClose());
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  get oldestUnanswered(): ClientCommand | undefined {
    return this.#turns.find((turn) => turn instanceof ClientCommand);
  }

  /**
   * Sends these bytes, whatever they are, as one piece. Each complete reply among them counts as the
   * answer to the oldest unanswered command.
   */
  write(bytes: Buffer): void {
    this.#put(bytes);
    this.sayWhatIsDue();
  }

  /**
   * Sends each piece so that the client sees a `data` event for it alone: the next one leaves when
   * the client has read this one and all that follows from it in that turn has run.
   *
   * Throws: if the client is not in this process, hangs up or does not read.
   */
  async writePieces(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      this.#put(piece);
      await this.#untilRead();
    }
    this.sayWhatIsDue();
  }

  /** From now on what the server says by itself waits in the {@link outbox}. */
  hold(): void {
    this.#outbox ??= [];
  }

  /** Frames that wait for {@link deliver}, oldest first; replies and pushes as a server orders them. */
  get outbox(): readonly Buffer[] {
    return this.#outbox ?? [];
  }

  /**
   * Sends what is held in one piece, or cut as told; goes on holding.
   */
  async deliver(cut: (bytes: Buffer) => readonly Buffer[] = (bytes) => [bytes]): Promise<void> {
    const bytes = Buffer.concat(this.#outbox?.splice(0) ?? []);
    for (const piece of cut(bytes)) {
      this.#socket.write(piece);
      await this.#untilRead();
    }
  }

  /** Ends holding; what is held goes out at once. */
  release(): void {
    const held = this.#outbox ?? [];
    this.#outbox = undefined;
    if (held.length > 0) this.#socket.write(Buffer.concat(held));
  }

  /** A push the server makes by itself: in turn with its answers, never inside another frame. */
  say(push: Buffer): void {
    this.#turns.push(push);
    this.sayWhatIsDue();
  }

  /** Ends it as a server does that closes a connection. */
  end(): void {
    this.#socket.end();
  }

  /** Ends it as a server does that dies. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Says what the server has to say by itself, as far as the test has answered what is its own. */
  sayWhatIsDue(): void {
    if (!this.#outgoing.atBoundary) return;
    for (let turn = this.#turns[0]; turn !== undefined; turn = this.#turns[0]) {
      const frame = turn instanceof ClientCommand ? turn.automatic : turn;
      if (frame === undefined) return;
      this.#turns.shift();
      this.#emit(frame);
    }
  }

  #emit(frame: Buffer): void {
    if (this.#outbox !== undefined) this.#outbox.push(frame);
    else this.#socket.write(frame);
  }

  #put(bytes: Buffer): void {
    for (const frame of this.#outgoing.push(bytes)) if (frame.is === 'reply') this.#settleOldest();
    this.#socket.write(bytes);
  }

  #settleOldest(): void {
    const at = this.#turns.findIndex((turn) => turn instanceof ClientCommand);
    if (at >= 0) this.#turns.splice(at, 1);
  }

  #receive(chunk: Buffer): void {
    for (const frame of this.#incoming.push(chunk)) {
      if (frame.is === 'push' || !Array.isArray(frame.value)) {
        this.#socket.end(encode.error('ERR Protocol error: expected an array of bulk strings'));
        return;
      }
      const command = new ClientCommand(this, frame.value.map(String));
      this.#turns.push(command);
      this.#owner.onCommand(command);
    }
  }

  async #untilRead(): Promise<void> {
    const other = this.#owner.otherEnd();
    if (other === undefined) throw new Error('pieces need a client in this very process');
    const deadlineAtMs = performance.now() + READ_DEADLINE_MS;
    while (other.bytesRead < this.#socket.bytesWritten) {
      if (other.destroyed) throw new Error('the client hung up before it had read all');
      if (performance.now() > deadlineAtMs) throw new Error('the client does not read');
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Its promise callbacks have run by now; give what it put off to the next turn its turn as well.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

import { connect, type Socket } from 'node:net';
import { encode, type Frame, type Reply, ReplyError, RespReader } from './resp.ts';

export interface RawConnectionOptions {
  readonly port: number;
  readonly host?: string;
  /** 3 says HELLO first; 2 says nothing. */
  readonly protocol?: 2 | 3;
}

type Waiting = { resolve(value: Reply): void; reject(error: Error): void };

/**
 * One connection without a client library: sends commands as they are and keeps what arrives, replies
 * and pushes, in the order of arrival.
 */
export class RawConnection implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #reader = new RespReader();
  readonly #waiting: Waiting[] = [];
  #arrived: Frame[] = [];
  #ended: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      try {
        for (const frame of this.#reader.push(chunk)) this.#take(frame);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the connection was closed')));
  }

  /** Throws: the socket's error if nobody listens there. */
  static async open({
    port,
    host = '127.0.0.1',
    protocol = 3,
  }: RawConnectionOptions): Promise<RawConnection> {
    const socket = connect({ port, host, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const connection = new RawConnection(socket);
    if (protocol === 3) await connection.send('HELLO', '3');
    connection.takeArrived();
    return connection;
  }

  /** Rejects with {@link ReplyError} if the server answers one. */
  send(...command: readonly string[]): Promise<Reply> {
    return this.pipeline([command])[0] as Promise<Reply>;
  }

  /** Sends all in one write; one promise each. */
  pipeline(commands: readonly (readonly string[])[]): Promise<Reply>[] {
    const ended = this.#ended;
    if (ended !== undefined) return commands.map(() => Promise.reject(ended));
    const replies = commands.map(
      () => new Promise<Reply>((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    this.#socket.write(Buffer.concat(commands.map((command) => encode.command(...command))));
    return replies;
  }

  /**
   * What has arrived since the last look, in order. Redis queues a push at the moment of the change
   * and answers in order, so a PING sent now comes after every push that is due: none can be missed.
   */
  async arrivals(): Promise<Frame[]> {
    const pong = this.send('PING');
    await pong;
    const arrived = this.takeArrived();
    arrived.pop();
    return arrived;
  }

  /** The pushes among the {@link arrivals}, as their keys, or `null` for a flush. */
  async pushes(): Promise<(readonly Reply[] | null)[]> {
    const arrived = await this.arrivals();
    return arrived.flatMap((frame) =>
      frame.is === 'push' && frame.kind === 'invalidate' ? [frame.data[0] as Reply[] | null] : [],
    );
  }

  /** What has arrived so far, without asking the server. */
  takeArrived(): Frame[] {
    const arrived = this.#arrived;
    this.#arrived = [];
    return arrived;
  }

  close(): void {
    this.#socket.destroy();
    this.#end(new Error('the connection was closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #take(frame: Frame): void {
    this.#arrived.push(frame);
    if (frame.is === 'push') return;
    const waiting = this.#waiting.shift();
    if (frame.value instanceof ReplyError) waiting?.reject(frame.value);
    else waiting?.resolve(frame.value);
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

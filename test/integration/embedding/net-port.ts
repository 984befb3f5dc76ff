import { connect, type Socket } from 'node:net';
import { type Argument, decodePush, type SendOptions, type TrackingPort } from '@redcache/core';
import { ListenedPort } from './listened-port.ts';
import { encode, FrameReader, ReplyError } from './resp3.ts';

interface Waiting {
  readonly wantsBytes: boolean;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** How long a server may take until it has answered the HELLO of a new connection. */
const HANDSHAKE_MS = 5_000;
const FIRST_RETRY_MS = 10;
const LONGEST_RETRY_MS = 1_000;

/** A client without a client library: one connection to one server, which comes back when it is lost. */
export class NetPort extends ListenedPort implements TrackingPort {
  readonly #address: { readonly port: number; readonly host: string };
  #socket: Socket | undefined;
  #waiting: Waiting[] = [];
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;

  constructor(address: { readonly port: number; readonly host: string }) {
    super();
    this.#address = address;
    this.#open();
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    if (this.connection !== 'up' || this.#socket === undefined)
      return Promise.reject(new Error(`the connection is ${this.connection}`));
    return this.#write(this.#socket, args, options?.replies === 'buffers');
  }

  /** Asks nobody: over a silent network no end of a connection is ever agreed on. */
  replace(): void {
    if (this.#socket === undefined) return;
    this.#lose(this.#socket);
    this.#retryNow();
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#end('closed');
  }

  #open(): void {
    const socket = connect({ ...this.#address, noDelay: true });
    const reader = new FrameReader(() => this.#waiting[0]?.wantsBytes === true);
    this.#socket = socket;
    socket.setTimeout(HANDSHAKE_MS, () => this.#lose(socket));
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#lose(socket));
    socket.on('data', (chunk) => this.#read(socket, reader, chunk));
    this.#write(socket, ['HELLO', '3']).then(
      () => this.#ready(socket),
      () => this.#lose(socket),
    );
  }

  #ready(socket: Socket): void {
    if (socket !== this.#socket) return;
    socket.setTimeout(0);
    this.#retryMs = FIRST_RETRY_MS;
    this.tell('up');
  }

  #write(socket: Socket, args: readonly Argument[], wantsBytes = false): Promise<unknown> {
    // What is sent in one tick leaves as one piece.
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    socket.write(encode(args));
    return new Promise((resolve, reject) => this.#waiting.push({ wantsBytes, resolve, reject }));
  }

  #read(socket: Socket, reader: FrameReader, chunk: Buffer): void {
    try {
      for (const frame of reader.push(chunk)) {
        if (frame.is === 'push') this.pushed(decodePush(frame.items));
        else this.#answered(frame.value);
        // A listener may have replaced the connection: the rest of the bytes are nobody's.
        if (socket !== this.#socket) return;
      }
    } catch (error) {
      socket.destroy(error as Error);
    }
  }

  #answered(value: unknown): void {
    const waiting = this.#waiting.shift();
    if (value instanceof ReplyError) waiting?.reject(value);
    else waiting?.resolve(value);
  }

  #lose(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#end('down');
    // Whoever was told may have closed it.
    if (this.connection !== 'down') return;
    this.#retry = setTimeout(() => this.#open(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #retryNow(): void {
    clearTimeout(this.#retry);
    this.#open();
  }

  #end(as: 'down' | 'closed'): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#socket?.destroy();
    this.#socket = undefined;
    this.tell(as);
    for (const { reject } of waiting) reject(new Error('the connection was lost'));
  }
}

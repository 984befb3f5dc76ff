import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/**
 * A connection that is as little work as can be for what hears a million pushes: bytes are counted,
 * not parsed.
 */
export class RawLine {
  readonly #socket: Socket;
  readonly #needle: Buffer;
  #found = 0;
  #ends = 0;
  #end: { readonly bytes: Buffer; readonly seen: () => void; readonly fail: Fail } | undefined;
  /** What was received last and may be the beginning of something. */
  #tail: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, needle: string) {
    this.#socket = socket;
    this.#needle = Buffer.from(needle);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('close', () => this.#end?.fail(new Error('the server closed the connection')));
    socket.on('error', () => {});
  }

  /** In protocol 3. `needle`: what is to be counted. */
  static async open(url: string, needle: string): Promise<RawLine> {
    const { protocol, hostname, port, username, password } = new URL(url);
    const where = { host: hostname, port: Number(port || 6379) };
    const socket = protocol === 'rediss:' ? connectTls(where) : connectPlain(where);
    await once(socket, protocol === 'rediss:' ? 'secureConnect' : 'connect');
    const line = new RawLine(socket, needle);
    const auth = password === '' ? [] : ['AUTH', username || 'default', password];
    await line.send(frame('HELLO', '3', ...auth.map(decodeURIComponent)));
    return line;
  }

  /** How often the needle has come. */
  get found(): number {
    return this.#found;
  }

  /** Sends commands, made by {@link frame}; resolves when the last of them has been answered. */
  async send(...commands: readonly Buffer[]): Promise<void> {
    this.#ends += 1;
    const end = `end-of-commands-${this.#ends}.`;
    const seen = new Promise<void>((resolve, fail) => {
      this.#end = { bytes: Buffer.from(end), seen: resolve, fail };
    });
    this.#socket.write(Buffer.concat([...commands, frame('ECHO', end)]));
    await seen;
  }

  close(): void {
    this.#end = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#tail, chunk]);
    const end = this.#end;
    if (end !== undefined && bytes.includes(end.bytes)) {
      this.#end = undefined;
      end.seen();
    }
    let from = 0;
    for (;;) {
      const at = bytes.indexOf(this.#needle, from);
      if (at < 0) break;
      this.#found += 1;
      from = at + this.#needle.length;
    }
    // Of what was counted nothing may be seen again.
    const longest = Math.max(this.#needle.length, end?.bytes.length ?? 0) - 1;
    this.#tail = bytes.subarray(Math.max(from, bytes.length - longest));
  }
}

type Fail = (reason: Error) => void;

/** One command as it travels. */
export function frame(...args: readonly string[]): Buffer {
  const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
  return Buffer.from(`*${args.length}\r\n${parts.join('')}`);
}

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** A row has another version from then on. */
export interface Change {
  readonly key: string;
  readonly version: number;
  /** The process that asked for it. */
  readonly by: string;
  readonly atNs: bigint;
}

/** Who has read a row within this time is most likely loading it. */
const LATELY_NS = 50_000_000n;

/**
 * The database behind the caches: a version for each key, which rises with every change. It is reached
 * over TCP, so that a process may end or be stopped with a change under way, and it never fails.
 */
export class SourceOfTruth implements AsyncDisposable {
  /** In their order. */
  readonly changes: Change[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #versions = new Map<string, number>();
  readonly #readAtNs = new Map<string, bigint>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(): Promise<SourceOfTruth> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SourceOfTruth(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Processes that seem to be loading something just now. */
  get readers(): readonly string[] {
    const sinceNs = process.hrtime.bigint() - LATELY_NS;
    return [...this.#readAtNs].filter(([, atNs]) => atNs >= sinceNs).map(([by]) => by);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** One question a line: its number, who asks, what for, and the keys; its answer has that number. */
  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const lines = createInterface({ input: socket });
    // Who was killed leaves a reset behind, of which both tell.
    for (const each of [socket, lines]) each.on('error', () => {});
    lines.on('line', (line) => {
      const [id, by, what, ...keys] = JSON.parse(line) as [number, string, string, ...string[]];
      const versions = what === 'change' ? this.#change(by, keys) : this.#read(by, keys);
      socket.write(`${JSON.stringify([id, ...versions])}\n`);
    });
  }

  #read(by: string, keys: readonly string[]): number[] {
    this.#readAtNs.set(by, process.hrtime.bigint());
    return keys.map((key) => this.#versions.get(key) ?? 0);
  }

  #change(by: string, keys: readonly string[]): number[] {
    return keys.map((key) => {
      const version = (this.#versions.get(key) ?? 0) + 1;
      this.#versions.set(key, version);
      this.changes.push({ key, version, by, atNs: process.hrtime.bigint() });
      return version;
    });
  }
}

import { eventually } from './eventually.ts';
import type { Host, ServerProcess, ServerSpec } from './host.ts';
import { RawConnection } from './raw-connection.ts';
import type { Reply } from './resp.ts';

/**
 * What a server was started as; a failover may have changed it since (`ROLE` tells). A spare can join
 * a cluster and belongs to none yet.
 */
export type NodeRole = 'master' | 'replica' | 'sentinel' | 'spare';

/** A server that ended while it was to start. `portTaken`: another process was quicker. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError';
  readonly portTaken: boolean;
  constructor(port: number, ending: string, log: string) {
    super(`the server for port ${port} ended (${ending}) while starting; it said:\n${log}`);
    this.portTaken = log.includes('Address already in use');
  }
}

/** One server of a deployment, to talk to and to maltreat. */
export class ServerNode {
  readonly host = '127.0.0.1';
  readonly role: NodeRole;
  readonly #host: Host;
  readonly #spec: ServerSpec;
  #process: ServerProcess | undefined;
  #running = false;

  constructor(role: NodeRole, host: Host, spec: ServerSpec) {
    this.role = role;
    this.#host = host;
    this.#spec = spec;
  }

  get port(): number {
    return this.#spec.port;
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  /** Of the process that runs or ran last: on this machine, or inside its container. */
  get pid(): number {
    if (this.#process === undefined) throw new Error(`port ${this.port} was never started`);
    return this.#process.pid;
  }

  /**
   * Starts the server and waits until it answers as itself.
   *
   * Throws: {@link ServerStartError} if it ends instead.
   */
  async start(): Promise<void> {
    const server = await this.#host.start(this.#spec);
    this.#process = server;
    this.#running = true;
    await eventually(
      async () => {
        if (server.ending !== undefined) return 'ended';
        const info = await this.ask('INFO', 'server');
        // On the port of a server that could not have it, another one answers.
        return String(info).includes(`process_id:${server.pid}\r`) ? 'answers' : 'another server';
      },
      (state) => state === 'ended' || state === 'answers',
      { what: `the server on port ${this.port} to answer` },
    );
    if (server.ending !== undefined)
      throw new ServerStartError(
        this.port,
        server.ending,
        (this.#host.logOf(this.port) ?? '').split('\n').slice(-15).join('\n'),
      );
    // While it loads its data it answers nothing but INFO.
    await eventually(
      () => this.ask('PING'),
      (pong) => pong === 'PONG',
    );
  }

  /** Whether it was started and has not been killed since; a paused one runs. */
  get running(): boolean {
    return this.#running;
  }

  /** SIGKILL; resolves when the process is gone. Its port refuses connections from then on. */
  async kill(): Promise<void> {
    this.#running = false;
    await this.#process?.kill();
  }

  /** SIGSTOP: connections stay open, new ones are accepted by the system, nothing is answered. */
  async pause(): Promise<void> {
    await this.#process?.pause();
  }

  /** SIGCONT: what was sent meanwhile is answered. */
  async resume(): Promise<void> {
    await this.#process?.resume();
  }

  /** Kills it if it still runs and starts it anew, same port and arguments; resolves when it answers. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /**
   * One command on a connection of its own, in protocol 2.
   *
   * Throws: `ReplyError` if the server answers an error, the socket's error if nobody is there.
   */
  async ask(...command: readonly string[]): Promise<Reply> {
    const connection = await RawConnection.open({ port: this.port, protocol: 2 });
    try {
      return await connection.send(...command);
    } finally {
      connection.close();
    }
  }
}

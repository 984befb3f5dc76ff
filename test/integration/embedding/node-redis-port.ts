import { errorMonitor } from 'node:events';
import { type Connection, decodePush, type Invalidation, type TrackingPort } from '@redcache/core';
import { BasicPooledClientSideCache, createClient, type RedisClientOptions } from 'redis';

/** Hears the pushes of one connection, and caches nothing. */
class Pushes extends BasicPooledClientSideCache {
  readonly #told: (invalidation: Invalidation) => void;

  constructor(told: (invalidation: Invalidation) => void) {
    super();
    this.#told = told;
  }

  /** Tracking is switched on by whoever attaches to the port. */
  override trackingOn(): string[] {
    return ['PING'];
  }

  override invalidate(key: Buffer | string | null): void {
    const invalidation = decodePush(['invalidate', key === null ? null : [key]]);
    if (invalidation !== undefined) this.#told(invalidation);
  }
}

type Client = ReturnType<typeof createClient>;

/**
 * One node-redis client as a port, without the adapter that comes with the package. node-redis tells
 * of pushes only to its cache, key by key, so it is given one that passes them on.
 */
export class NodeRedisPort implements TrackingPort {
  readonly #client: Client;
  readonly #pushListeners = new Set<(invalidation: Invalidation) => void>();
  readonly #connectionListeners = new Set<(connection: Connection) => void>();
  #connection: Connection = 'down';
  #isReplacing = false;

  /** Connects. It needs a strategy for reconnecting that never gives up. */
  constructor(options: RedisClientOptions & { socket: { reconnectStrategy: () => number } }) {
    const cache = new Pushes((invalidation) => {
      for (const listener of [...this.#pushListeners]) listener(invalidation);
    });
    this.#client = createClient({ ...options, RESP: 3, clientSideCache: cache }) as Client;
    this.#client.on('error', () => {});
    this.#client.on('ready', () => this.#tell('up'));
    // Before it rejects what was outstanding. Of a reply it cannot read it says so here as well.
    this.#client.on(errorMonitor, () => {
      if (!this.#client.isReady) this.#tell('down');
    });
    this.#client.on('end', () => {
      if (!this.#isReplacing) this.#tell('closed');
    });
    this.#connect();
  }

  async send(args: readonly string[]): Promise<unknown> {
    // What is not sent now would wait in node-redis for the next connection.
    if (this.#connection !== 'up') throw new Error(`the connection is ${this.#connection}`);
    // Its own deadline would cost an abort timer for each command.
    return await this.#client.sendCommand(args, { timeout: 0 });
  }

  onPush(listener: (invalidation: Invalidation) => void): () => void {
    const told = (invalidation: Invalidation): void => listener(invalidation);
    this.#pushListeners.add(told);
    return () => this.#pushListeners.delete(told);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    const told = (connection: Connection): void => listener(connection);
    this.#connectionListeners.add(told);
    told(this.#connection);
    return () => this.#connectionListeners.delete(told);
  }

  /** `close()` would wait for answers that a silent network never brings. */
  replace(): void {
    if (this.#connection !== 'up') return;
    this.#isReplacing = true;
    this.#client.destroy();
    this.#isReplacing = false;
    this.#tell('down');
    this.#connect();
  }

  close(): void {
    if (this.#connection === 'closed') return;
    if (this.#client.isOpen) this.#client.destroy();
    this.#tell('closed');
  }

  #connect(): void {
    // Whoever was told may have closed it.
    if (this.#connection === 'closed') return;
    // It rejects only for a client that was closed meanwhile.
    this.#client.connect().catch(() => {});
  }

  #tell(connection: Connection): void {
    if (connection === this.#connection || this.#connection === 'closed') return;
    this.#connection = connection;
    for (const listener of [...this.#connectionListeners]) listener(connection);
  }
}

import { errorMonitor } from 'node:events';
import {
  type Argument,
  decodePush,
  type Invalidation,
  type SendOptions,
  type TrackingPort,
} from '@redcache/core';
import {
  BasicPooledClientSideCache,
  createClient,
  RESP_TYPES,
  type RedisClientOptions,
} from 'redis';
import { ListenedPort } from './listened-port.ts';

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

const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

/**
 * One node-redis client as a port, without the adapter that comes with the package. node-redis tells
 * of pushes only to its cache, key by key, so it is given one that passes them on.
 */
export class NodeRedisPort extends ListenedPort implements TrackingPort {
  readonly #client: Client;
  #isReplacing = false;

  /** Connects. It needs a strategy for reconnecting that never gives up. */
  constructor(options: RedisClientOptions & { socket: { reconnectStrategy: () => number } }) {
    super();
    const cache = new Pushes((invalidation) => this.pushed(invalidation));
    this.#client = createClient({ ...options, RESP: 3, clientSideCache: cache }) as Client;
    this.#client.on('error', () => {});
    this.#client.on('ready', () => this.tell('up'));
    // Before it rejects what was outstanding. Of a reply it cannot read it says so here as well.
    this.#client.on(errorMonitor, () => {
      if (!this.#client.isReady) this.tell('down');
    });
    this.#client.on('end', () => {
      if (!this.#isReplacing) this.tell('closed');
    });
    this.#connect();
  }

  async send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    // What is not sent now would wait in node-redis for the next connection.
    if (this.connection !== 'up') throw new Error(`the connection is ${this.connection}`);
    // Its own deadline would cost an abort timer for each command.
    return await this.#client.sendCommand(args, {
      timeout: 0,
      ...(options?.replies === 'buffers' && BYTES),
    });
  }

  /** `close()` would wait for answers that a silent network never brings. */
  replace(): void {
    if (this.connection !== 'up') return;
    this.#isReplacing = true;
    this.#client.destroy();
    this.#isReplacing = false;
    this.tell('down');
    this.#connect();
  }

  close(): void {
    if (this.connection === 'closed') return;
    if (this.#client.isOpen) this.#client.destroy();
    this.tell('closed');
  }

  #connect(): void {
    // Whoever was told may have closed it.
    if (this.connection === 'closed') return;
    // It rejects only for a client that was closed meanwhile.
    this.#client.connect().catch(() => {});
  }
}

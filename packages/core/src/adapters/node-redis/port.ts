import { errorMonitor } from 'node:events';
import type { createClient } from 'redis';
import { ConfigError } from '../../errors.ts';
import type { CommandPort, Connection } from '../../ports.ts';
import { optionsOfOurs, sendUnobserved } from './command-hook.ts';

/** One connection of node-redis, recognised by what it can do. Pools, clusters and sentinels are not. */
export interface SingleClient
  extends Pick<ReturnType<typeof createClient>, 'clientSideCache' | 'isReady' | 'isOpen'> {
  sendCommand(
    args: readonly (string | Buffer)[],
    options?: { timeout?: number; typeMapping?: object },
  ): Promise<unknown>;
  on(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  off(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  duplicate(overrides?: object): unknown;
  connect(): Promise<unknown>;
}

/** A client of node-redis as its cache sees it: one connection at a time, whoever made it. */
export type ConnectionClient = SingleClient & {
  readonly options: { readonly database?: number };
  prependListener(event: string, listener: () => void): unknown;
  destroy(): void;
};

const ports = new WeakMap<object, CommandPort>();

/**
 * Commands over one node-redis connection, for code that must not know node-redis. Strings are
 * decoded as UTF-8 whatever type mapping the client has.
 *
 * Listeners are on the client only while somebody listens here.
 * Throws: `ConfigError` for what is no single client.
 */
export function portOf(client: SingleClient): CommandPort {
  let port = ports.get(client);
  if (port === undefined) {
    checkSingle(client);
    port = new NodeRedisPort(client);
    ports.set(client, port);
  }
  return port;
}

/** Only what is one connection can select a database; all else a cluster has as well. */
function checkSingle(client: SingleClient): void {
  const has = (name: keyof SingleClient | 'select'): boolean =>
    typeof (client as unknown as Record<string, unknown> | null)?.[name] === 'function';
  if (
    !has('select') ||
    !has('sendCommand') ||
    !has('duplicate') ||
    !has('on') ||
    typeof client.isReady !== 'boolean'
  )
    throw new ConfigError(
      'client must be a node-redis client made with createClient(); pools, clusters and sentinels ' +
        'are not supported yet',
    );
}

class NodeRedisPort implements CommandPort {
  readonly #client: SingleClient;
  readonly #options: object;
  readonly #listeners = new Set<(connection: Connection) => void>();
  #last: Connection = 'down';

  constructor(client: SingleClient) {
    this.#client = client;
    this.#options = optionsOfOurs(client);
  }

  send(args: readonly string[]): Promise<unknown> {
    return sendUnobserved(this.#client, args, this.#options);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    const told = (connection: Connection): void => listener(connection);
    if (this.#listeners.size === 0) this.#watch();
    this.#listeners.add(told);
    told(this.#last);
    return () => {
      if (this.#listeners.delete(told) && this.#listeners.size === 0) this.#unwatch();
    };
  }

  #watch(): void {
    this.#last = this.#client.isReady ? 'up' : 'down';
    this.#client.on('ready', this.#onReady);
    // A monitor hears errors before the listeners do, and is none itself: a client without an error
    // listener still fails as its owner expects.
    this.#client.on(errorMonitor, this.#onError);
    this.#client.on('end', this.#onEnd);
  }

  #unwatch(): void {
    this.#client.off('ready', this.#onReady);
    this.#client.off(errorMonitor, this.#onError);
    this.#client.off('end', this.#onEnd);
  }

  readonly #onReady = (): void => this.#tell('up');
  readonly #onError = (): void => {
    if (!this.#client.isReady) this.#tell('down');
  };
  // connect() may be called again on a client that was closed.
  readonly #onEnd = (): void => this.#tell('closed');

  #tell(connection: Connection): void {
    if (connection === this.#last) return;
    this.#last = connection;
    for (const listener of [...this.#listeners]) listener(connection);
  }
}

import { errorMonitor } from 'node:events';
import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { SingleClient } from '../clients.ts';
import { optionsOfOurs, sendOurs, sendUnobserved } from '../command-hook.ts';
import { ConnectionListeners, keepListened } from './listeners.ts';

/** Commands over the one connection of a client. */
export class SinglePort implements CommandPort {
  readonly #client: SingleClient;
  readonly #options: object;
  readonly #listeners = new ConnectionListeners(
    () => this.#watch(),
    () => this.#unwatch(),
  );

  constructor(client: SingleClient) {
    this.#client = client;
    this.#options = optionsOfOurs(client);
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    // Nearly always: what is sent with it is known.
    if (options === undefined) return sendUnobserved(this.#client, args, this.#options);
    return sendOurs(this.#client, args, options);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    return this.#listeners.add(listener);
  }

  #watch(): Connection {
    keepListened(this.#client);
    this.#client.on('ready', this.#onReady);
    // A monitor hears errors before the listeners do, and is none itself: a client without an error
    // listener still fails as its owner expects.
    this.#client.on(errorMonitor, this.#onError);
    this.#client.on('end', this.#onEnd);
    return this.#client.isReady ? 'up' : 'down';
  }

  #unwatch(): void {
    this.#client.off('ready', this.#onReady);
    this.#client.off(errorMonitor, this.#onError);
    this.#client.off('end', this.#onEnd);
  }

  readonly #onReady = (): void => this.#listeners.tell('up');
  readonly #onError = (): void => {
    if (!this.#client.isReady) this.#listeners.tell('down');
  };
  // connect() may be called again on a client that was closed.
  readonly #onEnd = (): void => this.#listeners.tell('closed');
}

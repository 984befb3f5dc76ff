import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { ConnectionClient, SentinelClient } from '../clients.ts';
import { Borrower, type Lend } from './borrower.ts';
import { ConnectionListeners, keepListened } from './listeners.ts';
import { notSent } from './patience.ts';

/**
 * Commands to the master that sentinels name.
 *
 * Not by `sendCommand`, which keeps a command until there is a master again and repeats one whose
 * connection was lost. After a failover it was down for a moment, even if nobody saw it: the new
 * master may not know what the old one did. While one is under way it counts as up all the same,
 * since node-redis may give up, and then looks again only when it is asked something.
 */
export class SentinelPort implements CommandPort {
  readonly #sentinel: SentinelClient;
  readonly #borrower: Borrower;
  #last: ConnectionClient | undefined;
  readonly #listeners = new ConnectionListeners(
    () => this.#watch(),
    () => this.#unwatch(),
  );

  constructor(sentinel: SentinelClient) {
    this.#sentinel = sentinel;
    const lend = lenderOf(sentinel);
    this.#borrower = new Borrower((use) =>
      lend((client) => {
        this.#last = client;
        return use(client);
      }),
    );
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    // The sentinels still name the one it is reconnecting to. To wait for it would have node-redis
    // ask them again and again without a pause.
    const { isReady } = this.#sentinel;
    if (isReady && this.#last?.isOpen === true && !this.#last.isReady)
      return Promise.reject(notSent());
    return this.#borrower.send(args, options);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    return this.#listeners.add(listener);
  }

  #watch(): Connection {
    keepListened(this.#sentinel);
    this.#sentinel.on('ready', this.#onReady);
    this.#sentinel.on('end', this.#onEnd);
    return this.#sentinel.isOpen ? 'up' : 'down';
  }

  #unwatch(): void {
    this.#sentinel.off('ready', this.#onReady);
    this.#sentinel.off('end', this.#onEnd);
  }

  readonly #onReady = (): void => {
    this.#listeners.tell('down');
    this.#listeners.tell('up');
  };
  readonly #onEnd = (): void => this.#listeners.tell('closed');
}

/** Lends a client that is connected to the master. */
export function lenderOf(sentinel: SentinelClient): Lend {
  return (use) => sentinel._execute(false, use as never);
}

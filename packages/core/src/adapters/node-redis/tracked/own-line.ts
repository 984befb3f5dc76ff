import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { TrackingSession } from '../../../tracking/session.ts';
import type { ConnectionClient } from '../clients.ts';
import { portOf } from '../port.ts';
import { ConnectionListeners } from '../ports/listeners.ts';
import { isBrief, notSent, Patience } from '../ports/patience.ts';
import type { ClientSideCache } from '../provider.ts';
import { sendTracked } from './announced.ts';
import { OwnClient } from './own-client.ts';

/**
 * One tracked connection of our own beside the many of a pool or a sentinel, in the same cache as
 * those: what must be read, locked and filled on one connection has it here.
 *
 * It is opened as soon as the user's client can show where, at the latest for the first command, which
 * waits for it; and opened anew when its own strategy for reconnecting has given up. So it counts as
 * up from the start, and as down only between a loss and the next connection.
 */
export class OwnLine implements CommandPort {
  readonly #model: () => Promise<ConnectionClient>;
  readonly #cache: ClientSideCache;
  readonly #patience = new Patience();
  #own: OwnClient | undefined;
  #stopListening: () => void = () => {};
  #opening: Promise<void> | undefined;
  /** Commands that wait for it; those that come behind them wait as well. */
  #unsent = 0;
  #isClosed = false;
  /** Counts what was dropped, so that one that was opened for what is gone is left alone. */
  #drops = 0;
  #connection: Connection;
  readonly #listeners = new ConnectionListeners(
    () => this.#connection,
    () => {},
  );

  /** `model`: answers a client that leads to where the line is to lead. `connection`: as it is now. */
  constructor(
    model: () => Promise<ConnectionClient>,
    cache: ClientSideCache,
    connection: 'up' | 'down',
  ) {
    this.#model = model;
    this.#cache = cache;
    this.#connection = connection;
  }

  /** That of the connection there is now. */
  get session(): TrackingSession | undefined {
    return this.#own?.session;
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    const client = this.#own?.client;
    if (client?.isReady === true && this.#unsent === 0)
      return sendTracked(this.#cache, client, args, options);
    return this.#sendLater(args, options);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Opens it if it can be done now; otherwise the first command does. */
  tryToOpen(): void {
    this.#ready().catch(() => {});
  }

  /**
   * What it led to is there no more, or somewhere else. `as`: what to expect next. What was read there
   * may still be suspected of being right until another one stands, unless it was given up.
   */
  drop(as: 'moving' | 'given up'): void {
    this.#drops += 1;
    this.#stopListening();
    const own = this.#own;
    this.#own = undefined;
    this.#opening = undefined;
    if (own !== undefined && as === 'moving') this.#cache.connectionOf(own.client).abandon();
    own?.close();
    this.tell('down');
  }

  tell(connection: Connection): void {
    this.#connection = connection;
    this.#listeners.tell(connection);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.drop('given up');
    this.tell('closed');
  }

  async #sendLater(args: readonly Argument[], options: SendOptions | undefined): Promise<unknown> {
    this.#unsent += 1;
    try {
      await this.#patience.with(this.#ready());
    } finally {
      this.#unsent -= 1;
    }
    const client = this.#own?.client;
    if (client?.isReady !== true) throw notSent();
    return sendTracked(this.#cache, client, args, options);
  }

  /** Resolves when it may be ready. Rejects if it can't be soon. */
  #ready(): Promise<void> {
    if (this.#isClosed) return Promise.reject(notSent());
    const own = this.#own;
    if (own?.client.isReady === true) return Promise.resolve();
    if (own?.client.isOpen === true)
      return own.isNew && isBrief(own.downForMs) ? own.connected : Promise.reject(notSent());
    if (this.#opening === undefined) {
      const opening = this.#open().finally(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  /** Throws: `ConfigError` when there are two copies of @redis/client; `UnavailableError`. */
  async #open(): Promise<void> {
    const drops = this.#drops;
    const model = await this.#model();
    if (drops !== this.#drops) throw notSent();
    this.#own?.close();
    const own = new OwnClient(model, this.#cache);
    this.#own = own;
    this.#stopListening();
    this.#stopListening = portOf(own.client).onConnection((connection) => {
      if (connection === 'up') this.tell('up');
      // Whoever waits for the first connection waits for no second one.
      else if (!own.isNew) this.tell('down');
      if (connection === 'closed') queueMicrotask(() => this.#check(own));
    });
    await own.connected;
  }

  /** One that has given up does not come back, and the next command opens another. */
  #check(own: OwnClient): void {
    // A silent connection is closed and replaced in one turn.
    if (this.#own === own && !own.client.isOpen) this.tell('up');
  }
}

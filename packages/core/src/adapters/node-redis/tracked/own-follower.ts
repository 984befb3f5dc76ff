import { UnavailableError } from '../../../errors.ts';
import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { ConnectionClient, SentinelClient } from '../clients.ts';
import { portOf } from '../port.ts';
import { ConnectionListeners, keepListened } from '../ports/listeners.ts';
import { notSent } from '../ports/patience.ts';
import type { ClientSideCache } from '../provider.ts';
import { OwnClient } from './own-client.ts';

/**
 * A tracked connection to the master that sentinels name: whenever the user's client has found
 * another master it is closed, and one to that is opened.
 */
export class OwnFollower implements CommandPort {
  readonly #sentinel: SentinelClient;
  readonly #cache: ClientSideCache;
  readonly #borrow: () => Promise<ConnectionClient>;
  #own: OwnClient | undefined;
  #stopListening: () => void = () => {};
  #connection: Connection = 'down';
  readonly #listeners = new ConnectionListeners(
    () => this.#connection,
    () => {},
  );
  /** Counts what was heard of masters, so that an answer about an earlier one is left alone. */
  #changes = 0;

  /** `borrow`: answers a client of the sentinel that is connected to the master. */
  constructor(
    sentinel: SentinelClient,
    cache: ClientSideCache,
    borrow: () => Promise<ConnectionClient>,
  ) {
    this.#sentinel = sentinel;
    this.#cache = cache;
    this.#borrow = borrow;
    keepListened(sentinel);
    sentinel.on('reconnecting', this.#drop);
    sentinel.on('ready', this.#onReady);
    sentinel.on('end', this.#drop);
  }

  get tracks(): boolean {
    return this.#own?.tracks === true;
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    const client = this.#own?.client;
    return client?.isReady === true
      ? portOf(client).send(args, options)
      : Promise.reject(notSent());
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Throws: `ConfigError` when there are two copies of @redis/client, `UnavailableError` when there is
   * no master now.
   */
  async open(): Promise<void> {
    const changes = this.#changes;
    const model = await this.#borrow();
    if (changes !== this.#changes) throw new UnavailableError('the master is changing');
    this.#use(new OwnClient(model, this.#cache));
  }

  close(): void {
    this.#sentinel.off('reconnecting', this.#drop);
    this.#sentinel.off('ready', this.#onReady);
    this.#sentinel.off('end', this.#drop);
    this.#drop();
  }

  readonly #onReady = (): void => {
    this.#drop();
    // If it is gone again by then, the next one is told of.
    this.open().catch(() => {});
  };

  readonly #drop = (): void => {
    this.#changes += 1;
    this.#stopListening();
    this.#own?.close();
    this.#own = undefined;
    this.#tell('down');
  };

  #use(own: OwnClient): void {
    this.#own = own;
    this.#stopListening = portOf(own.client).onConnection((connection) =>
      this.#tell(connection === 'up' ? 'up' : 'down'),
    );
  }

  #tell(connection: Connection): void {
    this.#connection = connection;
    this.#listeners.tell(connection);
  }
}

import type { Timer } from '../../../clock.ts';
import { ConfigError, UnavailableError } from '../../../errors.ts';
import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { ConnectionClient, SentinelClient } from '../clients.ts';
import { portOf } from '../port.ts';
import { ConnectionListeners, keepListened } from '../ports/listeners.ts';
import { notSent } from '../ports/patience.ts';
import type { ClientSideCache } from '../provider.ts';
import { OwnClient } from './own-client.ts';

/** The new master may take no connections yet, or the sentinels have to find yet another one. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * A tracked connection to the master that sentinels name: whenever the user's client has found
 * another master it is closed, and one to that is opened. The client says only once that it has found
 * one, so what can't be opened then, or is given up later, is tried again until it is closed.
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
  #retry: Timer | undefined;
  #pauseMs = FIRST_PAUSE_MS;

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
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#open();
  };

  readonly #drop = (): void => {
    this.#changes += 1;
    this.#retry?.cancel();
    this.#stopListening();
    this.#own?.close();
    this.#own = undefined;
    this.#tell('down');
  };

  #open(): void {
    const changes = this.#changes;
    this.open().catch((error: unknown) => {
      // If it is gone again by now, the next one is told of. Two copies of a library stay two.
      if (changes === this.#changes && !(error instanceof ConfigError)) this.#openLater();
    });
  }

  #openLater(): void {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    this.#retry = this.#cache.engine.clock.setTimer(pauseMs, () => this.#open());
    this.#retry.unref?.();
  }

  #use(own: OwnClient): void {
    this.#own = own;
    this.#stopListening = portOf(own.client).onConnection((connection) => {
      if (connection === 'up') this.#pauseMs = FIRST_PAUSE_MS;
      this.#tell(connection === 'up' ? 'up' : 'down');
    });
    // The strategy of the user's client has given it up.
    own.client.on('terminated', () => {
      if (this.#own !== own) return;
      this.#drop();
      this.#openLater();
    });
  }

  #tell(connection: Connection): void {
    this.#connection = connection;
    this.#listeners.tell(connection);
  }
}

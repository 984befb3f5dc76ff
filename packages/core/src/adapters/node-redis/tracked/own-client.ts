import type { Clock } from '../../../clock.ts';
import { ConfigError } from '../../../errors.ts';
import type { TrackingSession } from '../../../tracking/session.ts';
import { type ConnectionClient, type SingleClient, selfOf } from '../clients.ts';
import type { ClientSideCache } from '../provider.ts';

/**
 * One more connection to where another client connects, tracked whatever that one is. Reconnects as
 * it does; its errors are not reported, since whoever waits on it has deadlines of his own.
 */
export class OwnClient {
  readonly client: ConnectionClient;
  readonly session: TrackingSession;
  /** Resolves when the first try to connect has come to an end, whatever came of it. */
  readonly connected: Promise<void>;
  readonly #clock: Clock;
  #downSinceMs: number | undefined;
  #isNew = true;
  #isClosed = false;

  /** Throws: `ConfigError` when there are two copies of @redis/client. */
  constructor(model: SingleClient, cache: ClientSideCache, overrides: object = {}) {
    this.client = duplicate(model, cache, overrides);
    this.#clock = cache.engine.clock;
    this.#downSinceMs = this.#clock.nowMs();
    this.client.on('error', () => {
      if (!this.client.isReady) this.#downSinceMs ??= this.#clock.nowMs();
    });
    this.client.on('ready', () => {
      this.#isNew = false;
      this.#downSinceMs = undefined;
    });
    // node-redis forgets a socket that is still connecting when it is destroyed: it would stay open,
    // and keep the process alive.
    this.client.on('connect', () => {
      if (this.#isClosed) this.client.destroy();
    });
    this.connected = this.client.connect().then(
      () => {},
      () => {},
    );
    // From the start, so that what comes up first is tracked before anything is sent.
    this.session = cache.connectionOf(this.client).session;
  }

  /** It has never been connected. */
  get isNew(): boolean {
    return this.#isNew;
  }

  get downForMs(): number {
    return this.#downSinceMs === undefined ? 0 : this.#clock.nowMs() - this.#downSinceMs;
  }

  get tracks(): boolean {
    return this.session.state.is === 'tracking';
  }

  close(): void {
    this.#isClosed = true;
    this.client.destroy();
  }
}

/** Throws: `ConfigError` when there are two copies of @redis/client. Connects to nothing. */
export function checkCopies(model: SingleClient, cache: ClientSideCache): void {
  duplicate(model, cache, {}).destroy();
}

function duplicate(
  model: SingleClient,
  cache: ClientSideCache,
  overrides: object,
): ConnectionClient {
  const made = model.duplicate({ ...overrides, clientSideCache: cache, RESP: 3 }) as SingleClient;
  const client = selfOf(made);
  if (client.clientSideCache === cache) return client;
  client.destroy();
  throw new ConfigError(
    'two copies of @redis/client are installed, so node-redis ignores the cache of redcache: ' +
      'see `npm ls @redis/client`',
  );
}

import { errorMonitor } from 'node:events';
import { callSafely } from '../../channels.ts';
import type { Clock, Timer } from '../../clock.ts';
import type { ConnectionClient } from './clients.ts';

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 2_000;

/** node-redis has no deadline for its handshake: behind a silent network it would wait for ever. */
const HANDSHAKE_MS = 5_000;

/** What ends a client for good; a call of one of them by somebody else ends the replacement too. */
const ENDINGS = ['destroy', 'close', 'quit', 'disconnect', 'QUIT'] as const;

/**
 * Replaces the connection of a client of node-redis by a new one, and keeps trying until it stands:
 * `connect()` after `destroy()` gives up where the client's own strategy for reconnecting does.
 */
export class Replacement {
  readonly #client: ConnectionClient;
  readonly #clock: Clock;
  readonly #onEnded: () => void;
  /** Puts the client's own methods back. */
  readonly #restores: (() => void)[] = [];
  #isUnderWay = false;
  /** We are calling `connect()`, and nobody else is. */
  #isCalling = false;
  #attempt = 0;
  #delayMs = FIRST_DELAY_MS;
  /** Until we try again. */
  #timer: Timer | undefined;
  /** Until we give up. */
  #deadline: Timer | undefined;

  /** `onEnded`: somebody has ended the client for good while it was being replaced. */
  constructor(client: ConnectionClient, clock: Clock, onEnded: () => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onEnded = onEnded;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /**
   * Destroys the connection and connects again in the same tick, so that no command of the user's
   * meets a closed client. Commands on the old connection reject with node-redis's own
   * `DisconnectsClientError`, sent or not; subscriptions come back.
   *
   * Does nothing for a client that is not ready: node-redis is connecting it by itself, and a second
   * loop beside the first would leave a connection that nobody closes.
   */
  begin(): void {
    if (this.#isUnderWay || !this.#client.isReady || !this.#client.isOpen) return;
    this.#isUnderWay = true;
    this.#delayMs = FIRST_DELAY_MS;
    callSafely('end', () => this.#client.destroy());
    this.#listen();
    this.#connect();
  }

  #connect(): void {
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#isCalling = true;
    const connecting = this.#client.connect();
    this.#isCalling = false;
    connecting.then(
      () => {
        if (attempt === this.#attempt) this.#stop();
      },
      () => {
        if (attempt !== this.#attempt) return;
        // Without a listener for errors, or with one that throws, node-redis stops in the middle: it
        // counts as open and connects no more.
        if (this.#client.isOpen) this.#destroy();
        this.#connectLater();
      },
    );
  }

  /** Jitter, since all processes lose a server at once. */
  #connectLater(): void {
    this.#attempt += 1;
    this.#deadline?.cancel();
    this.#timer = this.#clock.setTimer(this.#delayMs * (0.5 + Math.random() / 2), () =>
      this.#connect(),
    );
    this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
  }

  /** Not before: a socket that is still connecting has a deadline, and cannot be destroyed. */
  readonly #onSocket = (): void => {
    this.#deadline?.cancel();
    this.#deadline = this.#clock.setTimer(HANDSHAKE_MS, () => {
      // The loop of `connect()` notices only in a later turn that its client was destroyed.
      this.#destroy();
      this.#connectLater();
    });
  };

  /** It waits and tries again by itself, and the user's commands wait with it. */
  readonly #onFailure = (): void => this.#deadline?.cancel();

  /** Ends what is under way of a client that is to connect again. */
  #destroy(): void {
    this.#restore();
    this.#client.destroy();
    this.#listen();
  }

  /**
   * To what node-redis says of its attempts. A client that is closed does not say that it was closed
   * again, or is being connected by somebody else, so its methods have to.
   */
  #listen(): void {
    this.#client.on('connect', this.#onSocket);
    this.#client.on(errorMonitor, this.#onFailure);
    this.#restores.push(() => {
      this.#client.off('connect', this.#onSocket);
      this.#client.off(errorMonitor, this.#onFailure);
    });
    for (const name of ENDINGS)
      this.#replace(name, (call) => {
        this.#stop();
        try {
          return call();
        } finally {
          this.#onEnded();
        }
      });
    this.#replace('connect', (call) => {
      // While it is connecting node-redis refuses another.
      if (!this.#isCalling && !this.#client.isOpen) this.#stop();
      return call();
    });
  }

  #replace(name: string, by: (call: () => unknown) => unknown): void {
    const client = this.#client as unknown as Record<string, unknown>;
    const original = client[name];
    if (typeof original !== 'function') return;
    const isOwn = Object.hasOwn(client, name);
    this.#restores.push(() => {
      if (isOwn) client[name] = original;
      else delete client[name];
    });
    client[name] = (...args: unknown[]): unknown => by(() => original.apply(client, args));
  }

  #restore(): void {
    for (const restore of this.#restores.splice(0)) restore();
  }

  #stop(): void {
    this.#isUnderWay = false;
    this.#attempt += 1;
    this.#timer?.cancel();
    this.#deadline?.cancel();
    this.#restore();
  }
}

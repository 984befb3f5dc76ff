import type { Clock, CommandPort, Fence, Timer } from '@redcache/core';
import { publish } from '../channels.ts';
import type { Keyspace } from '../redis/keyspace.ts';

/** What is to be done again once Redis answers, where a delete alone makes nothing good. */
export type Remedy = (port: CommandPort) => Promise<unknown>;

/** More keys than this are not remembered (I12). */
const MAX_KEYS = 10_000;
/** A server that is loading or failing over refuses for the moment, over a connection that lasts. */
const RETRY_MS = 500;

/**
 * Keys whose delete or write went unanswered: nobody knows what Redis holds (I13). Each stays fenced,
 * so that nothing of it is kept in this process, until Redis has confirmed a delete of it: the
 * unanswered command itself when the server was only slow, or another one, sent first thing when a
 * connection is up again. Until then nobody may believe what Redis answers about the key: a read that
 * had not left when the old connection was lost is ahead of that delete on the new one.
 */
export class UncertainKeys {
  readonly #keyspace: Pick<Keyspace, 'port' | 'together'>;
  readonly #clock: Clock;
  readonly #fences = new Map<string, Set<Fence>>();
  readonly #remedies = new Map<string, Remedy>();
  readonly #stop: () => void;
  #isUp = false;
  #isClosed = false;
  #retry: Timer | undefined;

  constructor(keyspace: Pick<Keyspace, 'port' | 'together'>, clock: Clock) {
    this.#keyspace = keyspace;
    this.#clock = clock;
    this.#stop = keyspace.port.onConnection((connection) => {
      this.#isUp = connection === 'up';
      if (this.#isUp) this.#deleteAgain(this.#fences.keys()); // guard: I13
    });
  }

  get size(): number {
    return this.#fences.size;
  }

  has(key: string): boolean {
    return this.#fences.has(key);
  }

  /**
   * `fences`: one for each key. `reply`: the unanswered command, if it was sent at all; its late
   * answer settles the matter. `remedy`: what is sent behind the delete of the first key.
   */
  add(
    fences: ReadonlyMap<string, Fence>,
    reply: Promise<unknown> | undefined,
    remedy?: Remedy,
  ): void {
    const [first] = fences.keys();
    if (remedy !== undefined && first !== undefined) this.#remedies.set(first, remedy);
    for (const [key, fence] of fences) {
      const others = this.#fences.get(key);
      if (others === undefined) this.#fences.set(key, new Set([fence]));
      else others.add(fence);
      publish('redcache:cache:uncertain', () => ({ key }));
      if (this.#fences.size > MAX_KEYS) this.#dropOldest(); // guard: I12
    }
    if (this.#isClosed) {
      this.#giveUp();
      return;
    }
    // Its own keys alone: many may fail at once.
    const failed = (): void => {
      if (this.#isUp) this.#deleteAgain(fences.keys());
    };
    const answered = (): void => {
      for (const [key, fence] of fences) this.#settle(key, [fence]);
    };
    if (reply === undefined) failed();
    else reply.then(answered, failed);
  }

  /** Nobody will make good what is uncertain now, or turns out to be. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#retry?.cancel();
    this.#giveUp();
  }

  #giveUp(): void {
    for (const key of [...this.#fences.keys()]) this.#settle(key, this.#fences.get(key) ?? []);
  }

  #deleteAgain(uncertain: Iterable<string>): void {
    const { port } = this.#keyspace;
    for (const keys of this.#keyspace.together([...uncertain].filter((key) => this.has(key)))) {
      // Those of a write that goes unanswered while this delete is under way are not settled by it.
      const known = keys.map((key) => [key, [...(this.#fences.get(key) ?? [])]] as const);
      const remedies = keys.flatMap((key) => this.#remedies.get(key) ?? []);
      Promise.all([port.send(['DEL', ...keys]), ...remedies.map((remedy) => remedy(port))]).then(
        () => {
          for (const [key, fences] of known) this.#settle(key, fences);
        },
        () => this.#refused(),
      );
    }
  }

  /** If the connection was lost instead, the next one tries again by itself. */
  #refused(): void {
    if (!this.#isUp || this.#isClosed || this.#retry !== undefined) return;
    this.#retry = this.#clock.setTimer(RETRY_MS, () => {
      this.#retry = undefined;
      if (this.#isUp) this.#deleteAgain(this.#fences.keys());
    });
  }

  #settle(key: string, settled: Iterable<Fence>): void {
    const fences = this.#fences.get(key);
    for (const fence of [...settled]) {
      fence.settle();
      fences?.delete(fence);
    }
    if (fences === undefined || fences.size > 0) return;
    this.#fences.delete(key);
    this.#remedies.delete(key);
  }

  #dropOldest(): void {
    const [key] = this.#fences.keys();
    if (key === undefined) return;
    this.#settle(key, this.#fences.get(key) ?? []);
    publish('redcache:cache:uncertain-dropped', () => ({ key }));
  }
}

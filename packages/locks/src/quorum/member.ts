import type { CommandPort } from '@redcache/core';
import { LockBid } from '../bid/lock-bid.ts';
import type { Connections } from '../connections.ts';
import type { LockKeys } from '../keys.ts';
import type { Heard } from '../lease/listen.ts';
import { readLockValue } from '../lock-value.ts';
import { raiseFence } from '../scripts/raise-fence.ts';
import { EchoFilter } from './echo-filter.ts';

/** One of the places that a lock stands in: a key, and the way to its server. */
export interface Place {
  readonly connections: Connections;
  readonly keys: LockKeys;
}

/** A quorum counts its extensions itself, once for all servers. */
const UNCOUNTED = { extended: (): void => {} };

/** One server of a quorum, as seen by one bid. */
export class Member {
  readonly server: number;
  readonly #key: string;
  readonly #place: Place;
  /** Knows the connection as every bid for this key does; it never asks for the lock. */
  readonly #observer: LockBid;
  readonly #filters = new Set<EchoFilter>();
  #holds = 0;

  constructor(server: number, key: string, place: Place) {
    this.server = server;
    this.#key = key;
    this.#place = place;
    this.#observer = this.bidUnder('');
  }

  bidUnder(holder: string): LockBid {
    return new LockBid({ ...this.#place, key: this.#key, holder, tally: UNCOUNTED, isVote: true });
  }

  get isUp(): boolean {
    return this.#observer.isUp;
  }

  get hears(): boolean {
    return this.#observer.hears;
  }

  onEars(tell: () => void): () => void {
    return this.#observer.onEars(tell);
  }

  findEars(): Promise<void> {
    return this.#observer.findEars();
  }

  /** As {@link Listen}, of pushes only those that our own writes don't explain. */
  listen(tell: (heard: Heard) => void): () => void {
    const filter = new EchoFilter(() => tell('push'));
    this.#filters.add(filter);
    const stop = this.#observer.listen((heard) => {
      if (heard === 'push') {
        filter.pushed(this.#holds > 0);
        return;
      }
      filter.forget();
      tell(heard);
    });
    return () => {
      this.#filters.delete(filter);
      stop();
    };
  }

  /** The key is about to be read again: what was pushed before says nothing more. */
  forgetPushes(): void {
    for (const filter of this.#filters) filter.forget();
  }

  /** Sends a write of ours, and has its echoes counted. */
  async write<T>(send: () => Promise<T>, echoesOf: (answer: T) => number): Promise<T> {
    const resume = this.hold();
    try {
      const answer = await send();
      const echoes = echoesOf(answer);
      for (const filter of this.#filters) filter.confirmed(echoes);
      return answer;
    } finally {
      resume();
    }
  }

  /** What is pushed is judged when the answer is called, and nobody else holds. */
  hold(): () => void {
    this.#holds += 1;
    return () => {
      this.#holds -= 1;
      if (this.#holds === 0) for (const filter of this.#filters) filter.judge();
    };
  }

  /**
   * Sees to it that no token up to `token` is given out here any more.
   *
   * Sends: EVALSHA `raise-fence` (1 key), EVAL once on NOSCRIPT.
   */
  raiseFence(token: bigint, leaseMs: number): Promise<void> {
    return this.#ask((port) => raiseFence(port, this.#place.keys, { token, leaseMs }));
  }

  /** Sends: GET. Resolves: whose lock it is here, if anybody's. */
  async readHolder(): Promise<string | undefined> {
    const value = await this.#ask((port) => port.send(['GET', this.#place.keys.lock]));
    return value === null ? undefined : readLockValue(String(value))?.holder;
  }

  #ask<T>(command: (port: CommandPort) => Promise<T>): Promise<T> {
    return this.#place.connections.current.ask(this.#key, command, (reply) => reply);
  }
}

import {
  ConfigError,
  type Connection,
  isRedcacheError,
  OutcomeUnknownError,
  type TrackingCache,
  UnavailableError,
} from '@redcache/core';
import type { Connected } from '@redcache/core/node-redis';
import { type Budget, isServerError, ShortLivedMap } from '@redcache/core/toolkit';
import { BatchingPort } from './batching-port.ts';
import type { Heard } from './lease/listen.ts';
import { Natives } from './natives.ts';

/** The way to Redis: one connection, and the engine that hears its pushes, if any do come. */
export class Link {
  readonly port: BatchingPort;
  readonly engine: TrackingCache;
  readonly natives: Natives;
  readonly #tracks: Connected['tracks'];
  readonly #budget: Budget;
  readonly #stop: () => void;
  readonly #watching = new ShortLivedMap<symbol, (heard: Heard) => void>();
  #connection: Connection = 'down';

  constructor({ port, engine, tracks }: Connected, budget: Budget, hasSlots = false) {
    this.port = new BatchingPort(port, { mayBatch: !hasSlots, isUp: () => this.isUp });
    this.engine = engine;
    this.natives = new Natives(this.port);
    this.#tracks = tracks;
    this.#budget = budget;
    this.#stop = this.port.onConnection((connection) => {
      this.#connection = connection;
      this.natives.forget();
      for (const tell of this.#watching.values()) tell(this.isUp ? 'up' : 'down');
    });
  }

  get isUp(): boolean {
    return this.#connection === 'up';
  }

  /** Whether whoever reads the key here is told when it changes. */
  tracks(key: string): boolean {
    return this.#tracks(key);
  }

  /** Listens to one key, and to how the connection is, which it is told now. Answers how to stop. */
  watch(key: string, tell: (heard: Heard) => void): () => void {
    const watching = Symbol();
    this.#watching.set(watching, tell);
    const stop = this.engine.onInvalidation(key, tell);
    tell(this.isUp ? 'up' : 'down');
    return () => {
      this.#watching.delete(watching);
      stop();
    };
  }

  /**
   * Sends, or does not: what node-redis keeps for after a reconnect would run long after its caller
   * has gone.
   *
   * Throws: {@link UnavailableError} if nothing was sent or the server refused for the moment;
   * {@link OutcomeUnknownError} if the connection was lost before the answer, or the slot of the key
   * is moving and a script got as far as a key that has gone; `ConfigError` if the
   * key holds another type, unless `otherType` says what that means; any other error of the server as
   * it is.
   */
  send<T, R>(
    key: string,
    command: (port: BatchingPort) => Promise<R>,
    read: (reply: R) => T,
    otherType?: T,
  ): Promise<T> {
    if (!this.isUp)
      return Promise.reject(new UnavailableError(`lock '${key}': Redis is not connected`, { key }));
    return command(this.port).then(read, (error: unknown) => {
      if (otherType !== undefined && isWrongType(error)) return otherType;
      throw explained(key, error);
    });
  }

  /** As {@link send}; throws {@link OutcomeUnknownError} as well when the time for an answer is over. */
  ask<T, R>(
    key: string,
    command: (port: BatchingPort) => Promise<R>,
    read: (reply: R) => T,
    otherType?: T,
  ): Promise<T> {
    return this.#budget.require(this.send(key, command, read, otherType), {
      timedOut: () => {
        const message = `lock '${key}': Redis did not answer within ${this.#budget.budgetMs} ms`;
        return new OutcomeUnknownError(message, { key });
      },
    });
  }

  close(): void {
    this.#stop();
  }
}

/** What a server says that will soon answer otherwise: loading, failing over, busy. */
const FOR_THE_MOMENT =
  /^(LOADING|BUSY|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNKILLABLE)\b/;

/** The key holds a type that no lock is kept in. */
function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.includes('WRONGTYPE');
}

/**
 * While a slot of a cluster moves its keys go one by one. Only those that a script declares are looked
 * for before it runs; at another one that has gone it ends, with what it wrote until then.
 */
const ENDED_IN_A_MOVING_SLOT = /\bnon local key\b/;

function explained(key: string, cause: unknown): unknown {
  // The port says itself that nothing was sent.
  if (isRedcacheError(cause)) return cause;
  if (isWrongType(cause))
    return new ConfigError(
      `lock '${key}': its key in Redis, or one beside it, holds another type of value`,
      { key, cause },
    );
  if (!isServerError(cause))
    return new OutcomeUnknownError(`lock '${key}': the connection was lost before the answer`, {
      key,
      cause,
    });
  if (ENDED_IN_A_MOVING_SLOT.test(cause.message))
    return new OutcomeUnknownError(`lock '${key}': its slot is moving to another server`, {
      key,
      cause,
    });
  if (FOR_THE_MOMENT.test(cause.message))
    return new UnavailableError(`lock '${key}': Redis refused for the moment`, { key, cause });
  return cause;
}

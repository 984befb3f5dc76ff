import { EventEmitter } from 'node:events';
import { attach, createTrackingCache, type TrackingCache } from '@redcache/core';
import { clientSideCache } from '@redcache/core/node-redis';
import { assertIdle, assertStoreValid, settled } from '@redcache/core/testing';
import { type Cache, type CacheOptions, createCache } from '../../src/index.ts';
import type { ModelConnection, ModelRedis } from './model-redis.ts';

/** A client of node-redis as far as a cache looks at it, over a connection to the model. */
class ModelClient extends EventEmitter {
  readonly clientSideCache: object;
  readonly #connection: ModelConnection;

  constructor(connection: ModelConnection, engine: TrackingCache) {
    super();
    this.#connection = connection;
    this.clientSideCache = Object.defineProperty(clientSideCache(), 'engine', { value: engine });
    this.on('error', () => {});
  }

  get isReady(): boolean {
    return this.#connection.state === 'up';
  }

  get isOpen(): boolean {
    return this.#connection.state !== 'closed';
  }

  sendCommand(args: string[]): Promise<unknown> {
    return this.#connection.send(args);
  }

  select(): never {
    throw new Error('the model has one database');
  }

  duplicate(): never {
    throw new Error('the model has no second connection');
  }

  connect(): never {
    throw new Error('the model connects by itself');
  }
}

export interface ModelProcess {
  readonly cache: Cache;
  readonly engine: TrackingCache;
  readonly connection: ModelConnection;
  /** Throws if anything is left after a close. */
  assertNothingLeft(): void;
}

/** A whole cache, as an application has it, in a process of its own. */
export async function startProcess(
  redis: ModelRedis,
  options: Partial<CacheOptions> = {},
): Promise<ModelProcess> {
  const connection = redis.connection();
  const engine = createTrackingCache({ clock: redis.clock });
  const client = new ModelClient(connection, engine);
  const before = client.eventNames().length;
  // As node-redis does it: the error before its cache hears of the loss, ready after tracking is on.
  connection.onConnection((state) => {
    if (state === 'down') client.emit('error', new Error('Socket closed unexpectedly'));
    if (state === 'closed') client.emit('end');
  });
  attach(engine, connection);
  connection.onConnection((state) => {
    if (state === 'up') client.emit('ready');
  });
  const cache = createCache({ client: client as never, clock: redis.clock, ...options });
  connection.become('up');
  await quiet(connection);
  return {
    cache,
    engine,
    connection,
    assertNothingLeft: () => {
      assertStoreValid(engine);
      assertIdle(engine);
      const names = client.eventNames().length;
      if (names !== before) throw new Error(`${names - before} listeners left on the client`);
    },
  };
}

/** Lets servers and connections do all there is to do, without any time passing. */
export async function quiet(...connections: readonly ModelConnection[]): Promise<void> {
  for (;;) {
    await settled();
    if (connections.every((each) => each.toExecute === 0 && each.toDeliver === 0)) return;
    for (const connection of connections) connection.execute();
    for (const connection of connections) connection.deliver();
  }
}

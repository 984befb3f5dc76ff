import { EventEmitter } from 'node:events';
import { createTrackingCache, type TrackingCache } from '@redcache/core';
import { clientSideCache } from '@redcache/core/node-redis';
import { assertIdle, assertStoreValid, settled } from '@redcache/core/testing';
import { type Cache, type CacheOptions, createCache } from '../../src/index.ts';
import type { ModelConnection, ModelRedis } from './model-redis.ts';

/** Without heartbeats, so that the timers of the clock are those of the cache. */
const CACHE = { maxStaleness: false } as const;

/**
 * A client of node-redis as far as its cache and ours look at it, over a connection to the model: says
 * what becomes of the connection by events, and hands pushes to its cache.
 */
class ModelClient extends EventEmitter {
  readonly clientSideCache: ReturnType<typeof clientSideCache>;
  readonly options = {};
  readonly #connection: ModelConnection;

  constructor(connection: ModelConnection, engine: TrackingCache) {
    super();
    this.#connection = connection;
    const cache = clientSideCache(CACHE);
    this.clientSideCache = Object.defineProperty(cache, 'engine', { value: engine });
    this.on('error', () => {});
    connection.onPush((push) => {
      if (push.kind === 'flush') cache.invalidate(null);
      else for (const key of push.keys) cache.invalidate(key);
    });
    connection.onConnection((state) => {
      if (state === 'up') this.emit('ready');
      if (state === 'down') this.emit('error', new Error('Socket closed unexpectedly'));
      if (state === 'closed') this.emit('end');
    });
    // As at the first command or the first `ready` of a client of node-redis.
    cache.connectionOf(this as never);
  }

  /** Of all events; but for the one of ours that keeps node-redis's views of a client from going deaf. */
  get listening(): number {
    const events = this.eventNames().filter((name) => String(name) !== 'Symbol(redcache.kept)');
    return events.reduce((sum, name) => sum + this.listenerCount(name), 0);
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
  const before = client.listening;
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
      const left = client.listening - before;
      if (left !== 0) throw new Error(`${left} listeners left on the client`);
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

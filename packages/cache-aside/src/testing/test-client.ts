import { EventEmitter } from 'node:events';
import { type Argument, type Clock, createTrackingCache, type TrackingCache } from '@redcache/core';
import { type AnyClient, ClientSideCache } from '@redcache/core/node-redis';
import type { InProcessConnection } from './connection.ts';

/** By the clock of a test, and without heartbeats, so that its timers are those of the cache. */
class TestSideCache extends ClientSideCache {
  override readonly engine: TrackingCache;

  constructor(clock: Clock) {
    super({ maxStaleness: false });
    this.engine = createTrackingCache({ clock });
  }
}

/**
 * A client of node-redis as far as its cache and ours look at it: says what becomes of the connection by
 * events, and hands pushes to its cache.
 */
export class TestClient extends EventEmitter {
  readonly clientSideCache: ClientSideCache;
  readonly options = {};
  readonly #connection: InProcessConnection;

  constructor(connection: InProcessConnection, clock: Clock) {
    super();
    this.#connection = connection;
    const cache = new TestSideCache(clock);
    this.clientSideCache = cache;
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

  get engine(): TrackingCache {
    return this.clientSideCache.engine;
  }

  /** What the cache takes as its client. */
  get asClient(): AnyClient {
    return this as unknown as AnyClient;
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

  sendCommand(args: readonly Argument[]): Promise<unknown> {
    return this.#connection.send(args);
  }

  /** Who asks for a view of it wants bytes. */
  withTypeMapping(): Pick<TestClient, 'sendCommand'> {
    return { sendCommand: (args) => this.#connection.send(args, { replies: 'buffers' }) };
  }

  select(): never {
    throw new Error('a Redis in the process has one database');
  }

  duplicate(): never {
    throw new Error('a client in the process has one connection');
  }

  connect(): never {
    throw new Error('a client in the process connects by itself');
  }
}

import { ConfigError, type Duration } from '@redcache/core';
import { Cache } from '../cache.ts';
import type { CacheOptions } from '../options.ts';
import type { InProcessConnection } from './connection.ts';
import { TestClient } from './test-client.ts';
import { TestRedis, type TestRedisState } from './test-redis.ts';

export interface TestCacheOptions extends Omit<CacheOptions, 'client' | 'clock'> {
  /**
   * The Redis of another test cache, which then is as if in another process; or how a Redis of its own
   * is in the beginning. Default `'up'`.
   */
  readonly redis?: TestRedis | TestRedisState;
}

/**
 * A cache without a server: all of it is that of `createCache`, but for the client, which leads to a
 * Redis inside the process, and for the clock, which stands still until {@link TestCache.advance}.
 */
export class TestCache extends Cache {
  readonly redis: TestRedis;
  readonly #connection: InProcessConnection;
  readonly #client: TestClient;
  #ending: Promise<void> | undefined;

  /** Throws: `ConfigError`. */
  constructor(given: TestCacheOptions = {}) {
    const { redis: where, ...options } = given;
    for (const name of ['client', 'clock'])
      if (name in options) throw new ConfigError(`createTestCache: it has a ${name} of its own`);
    const redis = redisOf(where);
    const connection = redis.connect();
    const client = new TestClient(connection, redis.clock);
    try {
      super({ ...options, client: client.asClient, clock: redis.clock });
    } catch (error) {
      client.engine.close();
      redis.disconnect(connection);
      throw error;
    }
    this.redis = redis;
    this.#connection = connection;
    this.#client = client;
  }

  /** See {@link TestRedis.advance}. */
  advance(by: Duration): Promise<void> {
    return this.redis.advance(by);
  }

  /** As any cache does; what has to wait for Redis or for a writer moves time on. */
  override close(): Promise<void> {
    this.#ending ??= this.#end(super.close());
    return this.#ending;
  }

  async #end(closing: Promise<void>): Promise<void> {
    await this.redis.advanceUntil(closing);
    await closing;
    this.redis.disconnect(this.#connection);
    this.#client.engine.close();
  }
}

/**
 * A cache for tests of code that uses one: no server, no real time.
 *
 * Throws: `ConfigError`, as `createCache`.
 */
export function createTestCache(options?: TestCacheOptions): TestCache {
  return new TestCache(options);
}

function redisOf(given: unknown = 'up'): TestRedis {
  if (given instanceof TestRedis) return given;
  if (typeof given !== 'string')
    throw new ConfigError(
      "createTestCache: redis must be that of a test cache, 'up', 'away' or 'hung'",
    );
  const redis = new TestRedis();
  redis.become(given as TestRedisState);
  return redis;
}

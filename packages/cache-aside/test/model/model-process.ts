import type { TrackingCache } from '@redcache/core';
import { assertIdle, assertStoreValid, settled } from '@redcache/core/testing';
import { type Cache, type CacheOptions, createCache } from '../../src/index.ts';
import { TestClient } from '../../src/testing/test-client.ts';
import type { ModelConnection, ModelRedis } from './model-redis.ts';

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
  const client = new TestClient(connection, redis.clock);
  const { engine } = client;
  const before = client.listening;
  const cache = createCache({ client: client.asClient, clock: redis.clock, ...options });
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

import { createTrackingCache } from '@redcache/core';
import type { FakeClient } from '@redcache/core/testing';
import type { Way } from '../../src/redis/keyspace.ts';

/** The way to the keys over a client of the test; sessions are one that never comes up. */
export function wayOf(client: FakeClient, hasSlots = false): Way {
  const { session } = createTrackingCache();
  return { port: client, sessionFor: () => session, hasSlots };
}

import { attach } from '../../src/attach.ts';
import type { Fetched, Filling } from '../../src/flight/fetched.ts';
import {
  assertIdle,
  assertStoreValid,
  FakeClient,
  ManualClock,
  settled,
} from '../../src/testing/index.ts';
import type { TrackingOptions } from '../../src/tracking/options.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import type { TrackingCacheOptions } from '../../src/tracking-cache-options.ts';

/**
 * An engine attached to a fake client that is up and tracked, on a clock that stands still. Its
 * silence does not matter unless a test says so.
 */
export async function setting(
  options: TrackingCacheOptions = {},
  tracking: TrackingOptions = { maxStaleness: false },
) {
  const clock = new ManualClock();
  const client = new FakeClient();
  const cache = createTrackingCache({ clock, ...options });
  const { session, detach } = attach(cache, client, tracking);
  await client.connect();

  /** A read of a key as an adapter makes it; the value comes with the reply of its GET. */
  const read = (key: string, cacheable: Omit<Filling, 'by'> = present()): Promise<unknown> =>
    cache.read([key], key, async (): Promise<Fetched<unknown>> => {
      const value = await client.send(['GET', key]);
      return { value, cache: cacheable };
    });
  /** Answers the oldest command and lets all that follows from it happen. */
  const answer = async (value: unknown): Promise<void> => {
    client.next('GET').reply(value);
    await settled();
  };
  /** Reads and answers, so that the value is here if it may be kept. */
  const cached = async (key: string, value: unknown, how?: Omit<Filling, 'by'>): Promise<void> => {
    const reading = read(key, how);
    await answer(value);
    await reading;
  };
  return {
    clock,
    client,
    cache,
    session,
    detach,
    read,
    answer,
    cached,
    [Symbol.dispose]: () => {
      assertStoreValid(cache);
      assertIdle(cache);
    },
  };
}

export const present = (remaining: Filling['remaining'] = 'none'): Omit<Filling, 'by'> => ({
  kind: 'present',
  remaining,
  valueBytes: 1,
});

export const negative = (remaining: Filling['remaining'] = 'none'): Omit<Filling, 'by'> => ({
  kind: 'negative',
  remaining,
  valueBytes: 0,
});

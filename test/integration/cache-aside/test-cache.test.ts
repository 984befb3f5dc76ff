// A cache without a server does what one over a real Redis does: the same calls, in random order, come to
// the same answers and the same statistics.
import type { Cache, CacheOptions } from '@redcache/cache-aside';
import { createTestCache } from '@redcache/cache-aside/testing';
import { expect, inject, onTestFinished, test } from 'vitest';
import { Random } from '../../support/random.ts';
import { newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');

const OPTIONS = { ttl: '1h', negativeTtl: '1h', grace: '1h' } satisfies Partial<CacheOptions>;
const STEPS = 250;
const ROUND_TRIPS = 8;

/** Two processes over one Redis. `settle`: what one has done has reached the other. */
interface Pair {
  readonly caches: readonly [Cache, Cache];
  settle(): Promise<void>;
}

async function overRedis(namespace: string): Promise<Pair> {
  const options = { ...OPTIONS, namespace, timeout: { redis: '10s' } } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const settle = async (): Promise<void> => {
    // What is loaded behind takes some round trips. The server has said all before it answers.
    for (let i = 0; i < ROUND_TRIPS; i++) await Promise.all([one.client.ping(), two.client.ping()]);
  };
  return { caches: [one.cache, two.cache], settle };
}

function withoutRedis(namespace: string): Pair {
  const one = createTestCache({ ...OPTIONS, namespace });
  const two = createTestCache({ ...OPTIONS, namespace, redis: one.redis });
  onTestFinished(async () => {
    await Promise.all([one.close(), two.close()]);
  });
  return { caches: [one, two], settle: () => one.advance(1) };
}

type Act = (cache: Cache) => unknown;

/** A step of a history, made of random numbers, to be taken by any cache. */
function step(next: (below: number) => number): { readonly at: 0 | 1; readonly act: Act } {
  const key = `k${next(4)}`;
  const [other, value] = [`k${next(4)}`, `v${next(1_000)}`];
  const tags = [[], ['a'], ['b'], ['a', 'ü,']][next(4)] as string[];
  const clears = next(3) === 0;
  const acts: readonly Act[] = [
    (cache) => cache.get(key, () => value, { tags }),
    (cache) => cache.get(key),
    (cache) => cache.getEntry(key, () => value).then((found) => [found.source, found.value]),
    (cache) => cache.getMany([key, other], (keys) => new Map(keys.map((each) => [each, value]))),
    (cache) => cache.get(key, () => undefined),
    (cache) => cache.get(key, () => value, { refresh: true, tags }),
    (cache) => cache.peek(key),
    (cache) => cache.set(key, value, { tags }),
    (cache) => cache.setMany([[key, 1], [other, 2]], { tags, ttl: '2h' }), // biome-ignore format: pairs
    (cache) => cache.write(key, () => value),
    (cache) =>
      cache.writeMany([...new Set([key, other])], (keys) => new Map([[keys[0] as string, value]])),
    (cache) => cache.delete(key),
    (cache) => cache.deleteMany([key, other]),
    (cache) => cache.touch(key, '3h'),
    (cache) => cache.expire(key),
    (cache) => cache.invalidateTag(tags[0] ?? 'c'),
    (cache) => (clears ? cache.clear() : undefined),
    (cache) => cache.get(key, () => Promise.reject(new Error(value))),
  ];
  return { at: next(2) as 0 | 1, act: acts[next(acts.length)] as Act };
}

test.for([1, 2, 3])('history %i', async (seed) => {
  const namespace = newKey();
  const [real, made] = [await overRedis(namespace), withoutRedis(namespace)];
  const draws = new Random(seed);
  const next = (below: number): number => Math.floor(draws.next() * below);
  for (let i = 0; i < STEPS; i++) {
    const { at, act } = step(next);
    const [first, second] = await Promise.all(
      [real, made].map(async ({ caches, settle }) => {
        const outcome = await Promise.resolve(act(caches[at])).catch((error) => String(error));
        await settle();
        return outcome;
      }),
    );
    expect([i, act.toString(), second]).toEqual([i, act.toString(), first]);
  }
  const counts = ({ caches }: Pair): object[] =>
    caches.map((cache) => {
      // Times of two servers have not as many digits.
      const { loadTime, waitTime, bytesRead, bytesWritten, ...stats } = cache.stats();
      return { ...stats, loadTime: loadTime.count, waitTime: waitTime.count };
    });
  expect(counts(made)).toEqual(counts(real));
});

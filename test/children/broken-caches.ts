import type { Cache } from '@redcache/cache-aside';

/** As much of a cache as a contender uses. */
export type SomeCache = Pick<Cache, 'peek' | 'get' | 'getMany' | 'delete' | 'write'>;

/**
 * Ways in which caches can be broken. `hasty`: a delete does not wait until it is done. `deaf`: what
 * was read once is served for long. `stubborn`: what was loaded is stored whatever happened meanwhile.
 * `private`: each process has one for itself. `forgetful`: nothing is served from the process.
 * `endless`: after a while some reads never end.
 */
export type Broken = 'hasty' | 'deaf' | 'stubborn' | 'private' | 'forgetful' | 'endless';

const LATER_MS = 300;
/** As many reads end before the first that does not. */
const ENDED = 200;

/** A cache as it is, but for one fault: what the judge has to find. */
export function broken(cache: Cache, how: Broken): SomeCache {
  const same: SomeCache = {
    peek: (key) => cache.peek(key),
    get: (key, loader, options) => cache.get(key, loader, options),
    getMany: (keys, loadMany, options) => cache.getMany(keys, loadMany, options),
    delete: (key) => cache.delete(key),
    write: (key, writer, options) => cache.write(key, writer, options),
  };
  return { ...same, ...FAULTS[how](cache) };
}

const FAULTS: Record<Broken, (cache: Cache) => Partial<SomeCache>> = {
  hasty: (cache) => ({
    delete: async (key) => void setTimeout(() => cache.delete(key).catch(() => {}), LATER_MS),
  }),
  deaf: (cache) => {
    const kept = new Map<string, unknown>();
    return {
      get: async (key, loader, options) => {
        if (!kept.has(key)) kept.set(key, await cache.get(key, loader, options));
        return kept.get(key) as never;
      },
    };
  },
  stubborn: (cache) => ({
    get: (key, loader, options) =>
      cache.get(
        key,
        loader &&
          (async (name, context) => {
            const value = await loader(name, context);
            setTimeout(() => void cache.set(key, value).catch(() => {}), LATER_MS);
            return value;
          }),
        options,
      ),
  }),
  // The scene gives each its own namespace.
  private: () => ({}),
  forgetful: (cache) => ({
    get: (key, loader, options) => cache.get(key, loader, { ...options, localTtl: 1 }),
    getMany: (keys, load, options) => cache.getMany(keys, load, { ...options, localTtl: 1 }),
  }),
  endless: (cache) => {
    let ended = 0;
    return {
      get: (key, loader, options) => {
        ended += 1;
        return ended > ENDED && ended % 50 === 0
          ? new Promise(() => {})
          : cache.get(key, loader, options);
      },
    };
  },
};

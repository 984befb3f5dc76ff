import { type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api';
import { ConfigError } from '@redcache/core';
import { flag, having, optional, readOptions, text } from '@redcache/core/toolkit';
import type { Cache } from '../cache.ts';
import { measure } from './metrics.ts';
import { traceLoads } from './spans.ts';

export interface ObserveOptions {
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider;
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider;
  /** Tells caches of one process apart, as `redcache.cache.name`; default 'default'. */
  readonly name?: string;
  /** Names the keys in spans, at most ten; default false: they may say who a user is. */
  readonly keys?: boolean;
}

/** Takes back everything that {@link observe} has registered. Idempotent. */
export interface Observation extends Disposable {
  (): void;
}

/** The instrumentation scope of all that is reported. */
const SCOPE = '@redcache/cache-aside';

/**
 * Reports the statistics of a cache as metrics of OpenTelemetry, and each call of a loader as a span:
 * its parent is the context of the caller, and the loader runs inside it. `docs/observability.md` has the
 * names.
 *
 * It outlives the `close()` of the cache, so that what was counted last is still collected: call what it
 * answers, or let `using` do so, once the providers have been shut down or flushed.
 *
 * Throws: `ConfigError`.
 */
export function observe(cache: Cache, options: ObserveOptions = {}): Observation {
  if (typeof Object(cache).instrument !== 'function')
    throw new ConfigError('observe: the first argument must be a cache');
  const { meterProvider, tracerProvider, name, keys } = readOptions('observe', options, {
    meterProvider: (value, what) =>
      value === undefined
        ? metrics.getMeterProvider()
        : having<MeterProvider>('getMeter')(value, what),
    tracerProvider: (value, what) =>
      value === undefined
        ? trace.getTracerProvider()
        : having<TracerProvider>('getTracer')(value, what),
    name: optional(text, 'default'),
    keys: optional(flag, false),
  });
  const [meter, tracer] = [meterProvider.getMeter(SCOPE), tracerProvider.getTracer(SCOPE)];
  const stops = [measure(cache, meter, name), traceLoads(cache, tracer, { name, namesKeys: keys })];
  const stop = (): void => {
    for (const each of stops.splice(0)) each();
  };
  return Object.assign(stop, { [Symbol.dispose]: stop });
}

import type { Attributes, BatchObservableCallback, Meter, Observable } from '@opentelemetry/api';
import { callSafely } from '@redcache/core/toolkit';
import type { Cache } from '../cache.ts';
import type { LoadOutcome } from '../instruments.ts';
import type { CacheAsideStats } from '../stats.ts';
import { ATTRIBUTES, errorType } from './names.ts';

/** In seconds: those that the conventions ask of the durations of database clients. */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
const S_A_MS = 1_000;

interface Figure {
  readonly name: string;
  /** Default: a counter. */
  readonly is?: 'up-and-down';
  readonly unit: string;
  readonly description: string;
  /** Each with what tells it from the others of the figure. */
  values(stats: CacheAsideStats): readonly (readonly [value: number, attributes?: Attributes])[];
}

const FIGURES: readonly Figure[] = [
  {
    name: 'redcache.cache.requests',
    unit: '{request}',
    description: 'Reads of keys, by what came of them.',
    values: (stats) =>
      (
        [
          ['local_hit', stats.localHits],
          ['negative_hit', stats.negativeHits],
          ['redis_hit', stats.redisHits],
          ['stale_hit', stats.staleHits],
          ['coalesced', stats.coalesced],
          ['miss', stats.misses],
        ] as const
      ).map(([result, count]) => [count, { [ATTRIBUTES.result]: result }]),
  },
  {
    name: 'redcache.cache.loaded_keys',
    unit: '{key}',
    description: 'Keys that loaders were called for.',
    values: ({ loads }) => [[loads]],
  },
  {
    name: 'redcache.cache.failed_keys',
    unit: '{key}',
    description: 'Keys whose loader failed.',
    values: ({ loadFailures }) => [[loadFailures]],
  },
  {
    name: 'redcache.cache.lost_leases',
    unit: '{lease}',
    description: 'Loaded values that were not stored, since their key changed meanwhile.',
    values: ({ lostLeases }) => [[lostLeases]],
  },
  {
    name: 'redcache.cache.refreshes',
    unit: '{refresh}',
    description: 'Loads of values that were served meanwhile, by why.',
    values: ({ refreshes }) =>
      Object.entries(refreshes).map(([cause, count]) => [
        count,
        { [ATTRIBUTES.refreshCause]: cause },
      ]),
  },
  {
    name: 'redcache.cache.dropped_refreshes',
    unit: '{refresh}',
    description: 'Such loads for which there was no room.',
    values: ({ refreshesDropped }) => [[refreshesDropped]],
  },
  {
    name: 'redcache.cache.written_keys',
    unit: '{key}',
    description: 'Keys that were set, touched or expired.',
    values: ({ writes }) => [[writes]],
  },
  {
    name: 'redcache.cache.deleted_keys',
    unit: '{key}',
    description: 'Keys that were deleted.',
    values: ({ deletes }) => [[deletes]],
  },
  {
    name: 'redcache.cache.io',
    unit: 'By',
    description: 'Bytes of values, as they stand in Redis, that were read from and stored there.',
    values: ({ bytesRead, bytesWritten }) => [
      [bytesRead, { [ATTRIBUTES.ioDirection]: 'receive' }],
      [bytesWritten, { [ATTRIBUTES.ioDirection]: 'transmit' }],
    ],
  },
  {
    name: 'redcache.cache.unavailable_requests',
    unit: '{request}',
    description: 'Reads, loads and stores for which Redis could not be used.',
    values: ({ unavailable }) => [[unavailable]],
  },
  {
    name: 'redcache.cache.unknown_outcomes',
    unit: '{write}',
    description: 'Writes and deletes that went unanswered.',
    values: ({ unknownOutcomes }) => [[unknownOutcomes]],
  },
  {
    name: 'redcache.cache.uncertain_key.count',
    is: 'up-and-down',
    unit: '{key}',
    description: 'Keys of such writes that are out of use at the moment.',
    values: ({ uncertainKeys }) => [[uncertainKeys]],
  },
];

/** Registers what `stats()` counts, and histograms of loads and waits. Answers what ends that. */
export function measure(cache: Cache, meter: Meter, name: string): () => void {
  const own = { [ATTRIBUTES.name]: name };
  const stopObserving = observeFigures(cache, meter, own);
  const advice = { explicitBucketBoundaries: BOUNDARIES };
  const loads = meter.createHistogram('redcache.cache.load.duration', {
    unit: 's',
    description: 'How long loaders took.',
    advice,
  });
  const waits = meter.createHistogram('redcache.cache.wait.duration', {
    unit: 's',
    description: 'How long was waited for loads of other processes, by what ended the wait.',
    advice,
  });
  const stopFollowing = cache.instrument({
    load: ({ cause }, run) => {
      const record = ({ ms, failure }: LoadOutcome): void =>
        loads.record(ms / S_A_MS, {
          ...own,
          [ATTRIBUTES.loadCause]: cause,
          ...(failure && { [ATTRIBUTES.errorType]: errorType(failure.error) }),
        });
      void run().then((outcome) => callSafely('instrument', () => record(outcome)));
    },
    waited: ({ ms, cause }) => waits.record(ms / S_A_MS, { ...own, [ATTRIBUTES.waitEnd]: cause }),
  });
  return () => {
    stopObserving();
    stopFollowing();
  };
}

function observeFigures(cache: Cache, meter: Meter, own: Attributes): () => void {
  const observed = FIGURES.map((figure): readonly [Figure, Observable] => {
    const { name, unit, description } = figure;
    const options = { unit, description };
    return [
      figure,
      figure.is === 'up-and-down'
        ? meter.createObservableUpDownCounter(name, options)
        : meter.createObservableCounter(name, options),
    ];
  });
  const observables = observed.map(([, observable]) => observable);
  // One look at the statistics for all of them, so that they agree with each other.
  const collect: BatchObservableCallback = (result) => {
    const stats = cache.stats();
    for (const [{ values }, observable] of observed)
      for (const [value, attributes] of values(stats))
        result.observe(observable, value, { ...own, ...attributes });
  };
  meter.addBatchObservableCallback(collect, observables);
  return () => meter.removeBatchObservableCallback(collect, observables);
}

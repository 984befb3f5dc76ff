import type { Attributes, BatchObservableCallback, Meter, Observable } from '@opentelemetry/api';
import { callSafely } from '@redcache/core/toolkit';
import type { Cache } from '../cache.ts';
import type { LoadOutcome } from '../instruments.ts';
import type { CacheAsideStats, FamilyStats } from '../stats.ts';
import { ATTRIBUTES, errorType, identity } from './names.ts';

/** In seconds: those that the conventions ask of the durations of database clients. */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
const S_A_MS = 1_000;

interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  /** Each with what tells it from the others of the figure. */
  values(stats: FamilyStats): Values;
}

type Values = readonly (readonly [value: number, attributes?: Attributes])[];

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
];

/** Nobody knows of which family such a key is. */
const UNCERTAIN_KEYS = {
  name: 'redcache.cache.uncertain_key.count',
  unit: '{key}',
  description: 'Keys of such writes that are out of use at the moment.',
};

/** Registers what `stats()` counts, and histograms of loads and waits. Answers what ends that. */
export function measure(cache: Cache, meter: Meter, name: string): () => void {
  const stopObserving = observeFigures(cache, meter, name);
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
    load: ({ cause, family }, run) => {
      const record = ({ ms, failure }: LoadOutcome): void =>
        loads.record(ms / S_A_MS, {
          ...identity(name, family),
          [ATTRIBUTES.loadCause]: cause,
          ...(failure && { [ATTRIBUTES.errorType]: errorType(failure.error) }),
        });
      void run().then((outcome) => callSafely('instrument', () => record(outcome)));
    },
    waited: ({ ms, cause, family }) =>
      waits.record(ms / S_A_MS, { ...identity(name, family), [ATTRIBUTES.waitEnd]: cause }),
  });
  return () => {
    stopObserving();
    stopFollowing();
  };
}

function observeFigures(cache: Cache, meter: Meter, name: string): () => void {
  const observed = FIGURES.map((figure): readonly [Figure, Observable] => {
    const { unit, description } = figure;
    return [figure, meter.createObservableCounter(figure.name, { unit, description })];
  });
  const { name: uncertainName, ...options } = UNCERTAIN_KEYS;
  const uncertain = meter.createObservableUpDownCounter(uncertainName, options);
  // One look at the statistics for all of them, so that they agree with each other.
  const collect: BatchObservableCallback = (result) => {
    const stats = cache.stats();
    for (const [figure, observable] of observed)
      for (const [family, values] of byFamily(figure, stats))
        for (const [value, attributes] of values)
          result.observe(observable, value, { ...identity(name, family), ...attributes });
    result.observe(uncertain, stats.uncertainKeys, identity(name, undefined));
  };
  const observables = [uncertain, ...observed.map(([, observable]) => observable)];
  meter.addBatchObservableCallback(collect, observables);
  return () => meter.removeBatchObservableCallback(collect, observables);
}

/** Of each family, and of what belongs to none: so that whoever adds them up counts nothing twice. */
function byFamily(
  { values }: Figure,
  stats: CacheAsideStats,
): readonly (readonly [family: string | undefined, Values])[] {
  const families = Object.entries(stats.families).map(
    ([family, counted]) => [family, values(counted)] as const,
  );
  const others = values(stats).map(([all, attributes], i) => {
    const ofFamilies = families.reduce((sum, [, each]) => sum + (each[i]?.[0] ?? 0), 0);
    return attributes === undefined
      ? ([all - ofFamilies] as const)
      : ([all - ofFamilies, attributes] as const);
  });
  return [[undefined, others], ...families];
}

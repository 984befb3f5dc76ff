import type { Effort } from '../harness.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { CONCURRENCIES, type Fetching, measureFetching, settingOf } from './fetching.ts';

/** The first does the least that a cache beside its source has to do. */
const LIBRARIES = [
  ...(['by hand', 'redcache', 'layered-loader', 'bentocache', 'cacheable'] as const),
  ...(['cache-manager', 'async-cache-dedupe, Redis', 'cachified, Redis'] as const),
] as const;

const FETCHINGS = CONCURRENCIES.map(
  (concurrency): Fetching => ({
    setting: settingOf(concurrency),
    libraries: LIBRARIES,
    task: { from: 'nowhere', many: 0, concurrency },
    callsPerMs: concurrency === 1 ? 1.5 : 4,
  }),
);

export const coldMiss: Scenario = {
  kind: 'study',
  name: 'cold-miss',
  question:
    'What does a value cost that is nowhere, and has to be loaded and stored? (by a loader that answers at once)',
  run: async (url: string, effort: Effort): Promise<Findings> => ({
    panels: await measureFetching(url, effort, FETCHINGS),
    outcomes: [],
  }),
};

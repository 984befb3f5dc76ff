import type { Effort } from '../harness.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { type Fetching, measureFetching } from './fetching.ts';

const FETCHINGS: readonly Fetching[] = [
  { concurrency: 1, callsPerMs: 1.5 },
  { concurrency: 50, callsPerMs: 4 },
  { concurrency: 500, callsPerMs: 4 },
].map(({ concurrency, callsPerMs }) => ({
  name: `object of 20 fields, ${concurrency} at a time`,
  libraries: [
    ...(['by hand', 'redcache', 'layered-loader', 'bentocache', 'cacheable'] as const),
    ...(['cache-manager', 'async-cache-dedupe, Redis', 'cachified, Redis'] as const),
  ],
  task: { from: 'nowhere', many: 0, concurrency },
  callsPerMs,
}));

export const coldMiss: Scenario = {
  kind: 'study',
  name: 'cold-miss',
  question:
    'What does a value cost that has to be loaded and stored? (by a loader that answers at once)',
  run: async (url: string, effort: Effort): Promise<Findings> => {
    const found = await measureFetching(url, effort, FETCHINGS);
    return { report: found.map(({ table }) => table), outcomes: [] };
  },
};

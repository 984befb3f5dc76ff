import type { Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import { judged } from '../report.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { type Fetching, measureFetching, throughput } from './fetching.ts';

const GET: Library = 'GET as text';
const OURS: Library = 'redcache';

/** The first is the limit. */
const LIBRARIES = [
  ...[GET, 'by hand', OURS, 'layered-loader', 'bentocache', 'cacheable', 'cache-manager'],
  ...['async-cache-dedupe, Redis', 'cachified, Redis'],
] as unknown as readonly [Library, ...Library[]];

/** How much of the throughput of the limit there has to be, with 50 at a time. */
const LEAST = 0.55;

const FETCHINGS: readonly Fetching[] = [
  { concurrency: 1, callsPerMs: 3 },
  { concurrency: 50, callsPerMs: 12 },
  { concurrency: 500, callsPerMs: 12 },
].map(({ concurrency, callsPerMs }) => ({
  name: `object of 20 fields, ${concurrency} at a time`,
  libraries: LIBRARIES,
  task: { from: 'redis', many: 0, concurrency },
  callsPerMs,
}));

export const redisHit: Scenario = {
  kind: 'study',
  name: 'redis-hit',
  question: 'What does a value cost that is in Redis, but not in this process? (decoding included)',
  run: async (url: string, effort: Effort): Promise<Findings> => {
    const found = await measureFetching(url, effort, FETCHINGS);
    const outcomes = found.slice(1).map(({ costs }, place) => {
      const times = throughput(costs, OURS, GET);
      const what = `${FETCHINGS[place + 1]?.task.concurrency} at a time`;
      return judged(
        times >= LEAST,
        `${OURS} at least ${LEAST} × the throughput of GET, ${what}; it is ${times.toFixed(2)} ×`,
      );
    });
    return { report: found.map(({ table }) => table), outcomes };
  },
};

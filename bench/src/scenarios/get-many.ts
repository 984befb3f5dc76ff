import type { Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { type Fetching, measureFetching } from './fetching.ts';

const MANY = 100;
const CONCURRENCY = 10;
const PEERS = [
  ...(['redcache', 'layered-loader', 'bentocache', 'cacheable', 'cache-manager'] as const),
] satisfies readonly Library[];
/** What has one tier, which is not this process. */
const REMOTE = ['async-cache-dedupe, Redis', 'cachified, Redis'] satisfies readonly Library[];

/** Those that have no way to ask for many are asked for each. */
const FETCHINGS: readonly Fetching[] = [
  {
    setting: `${MANY} keys, all in this process`,
    libraries: ['lru', ...PEERS, 'async-cache-dedupe, memory', 'cachified, memory'],
    task: { from: 'local', many: MANY, concurrency: CONCURRENCY },
    callsPerMs: 1,
  },
  {
    setting: `${MANY} keys, all in Redis`,
    libraries: ['GET as text', 'by hand', ...PEERS, ...REMOTE],
    task: { from: 'redis', many: MANY, concurrency: CONCURRENCY },
    callsPerMs: 0.4,
  },
  {
    setting: `${MANY} keys, half of them nowhere`,
    libraries: ['by hand', ...PEERS, ...REMOTE],
    task: { from: 'half', many: MANY, concurrency: CONCURRENCY },
    callsPerMs: 0.1,
  },
];

export const getMany: Scenario = {
  kind: 'study',
  name: 'get-many',
  question: 'What do 100 values cost at once? (objects of 20 fields, 10 calls at a time)',
  run: async (url: string, effort: Effort): Promise<Findings> => ({
    panels: await measureFetching(url, effort, FETCHINGS),
    outcomes: [],
  }),
};

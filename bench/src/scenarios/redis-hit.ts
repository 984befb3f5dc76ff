import type { Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import { type Panel, rowOf } from '../panel.ts';
import { ratio } from '../ratio.ts';
import { judged, type Outcome } from '../report.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { CONCURRENCIES, type Fetching, measureFetching, settingOf } from './fetching.ts';

const GET = 'GET as text' satisfies Library;
const OURS = 'redcache' satisfies Library;

/** The first is the limit. */
const LIBRARIES = [
  ...([GET, 'by hand', OURS, 'layered-loader', 'bentocache', 'cacheable'] as const),
  ...(['cache-manager', 'async-cache-dedupe, Redis', 'cachified, Redis'] as const),
] as const;

/** How much of the throughput of the limit there has to be, with many at a time. */
const LEAST = 0.55;

const FETCHINGS = CONCURRENCIES.map(
  (concurrency): Fetching => ({
    setting: settingOf(concurrency),
    libraries: LIBRARIES,
    task: { from: 'redis', many: 0, concurrency },
    callsPerMs: concurrency === 1 ? 3 : 12,
  }),
);

export const redisHit: Scenario = {
  kind: 'study',
  name: 'redis-hit',
  question: 'What does a value cost that is in Redis, but not in this process? (decoding included)',
  run: async (url: string, effort: Effort): Promise<Findings> => {
    const panels = await measureFetching(url, effort, FETCHINGS);
    const outcomes = CONCURRENCIES.filter((concurrency) => concurrency > 1).flatMap((concurrency) =>
      outcomesOf(concurrency, panels),
    );
    return { panels, outcomes };
  },
};

function outcomesOf(concurrency: number, panels: readonly Panel[]): readonly Outcome[] {
  const those = panels.filter(
    ({ setting, figure }) => setting === settingOf(concurrency) && figure === 'done',
  );
  return those.map((panel) => {
    const times = ratio(rowOf(panel, OURS).rounds, rowOf(panel, GET).rounds);
    return judged(
      times >= LEAST,
      `${OURS} at least ${LEAST} × the throughput of ${GET}, ${concurrency} at a time; it is ${times.toFixed(2)} ×`,
    );
  });
}

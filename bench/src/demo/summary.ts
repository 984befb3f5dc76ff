import type { WarmProgress } from '@redcache/cache-aside';
import { count, counted, percent, time } from './format.ts';
import type { Latency } from './latency.ts';
import type { Maintenance } from './maintenance.ts';
import type { Outage } from './outage.ts';
import { paint } from './screen.ts';
import type { Tally } from './tally.ts';
import type { Writer } from './writer.ts';

export interface Story {
  readonly processes: number;
  readonly countries: number;
  readonly ranMs: number;
  readonly boundMs: number;
  /** Queries that were run for loaders. */
  readonly queries: number;
  /** What one query takes when the database has nothing else to do. */
  readonly queryMs: number;
  /** What was loaded before the first read, if anything. */
  readonly warmed: WarmProgress | undefined;
  readonly tally: Tally;
  readonly writer: Writer;
  readonly outage: Outage | undefined;
  readonly maintenance: Maintenance | undefined;
  readonly flaws: readonly string[];
}

/** What happened, for someone who sees this for the first time. */
export function summaryOf(story: Story): string {
  const { processes, countries, ranMs, flaws } = story;
  return [
    '',
    paint(
      'bold',
      `In ${time(ranMs)}, with ${counted(processes, 'reader process', 'reader processes')} and a writer:`,
    ),
    ...warming(story.warmed),
    ...reads(story.tally, ranMs),
    ...database(story.tally, story.queries, story.queryMs),
    ...updates(story.writer, story.tally, countries),
    ...correctness(story.tally, story.boundMs),
    ...(story.outage === undefined ? [] : redis(story.outage)),
    ...(story.maintenance === undefined ? [] : maintenance(story.maintenance)),
    '',
    ...(flaws.length === 0
      ? [paint(['green', 'bold'], 'All as promised.')]
      : [paint(['red', 'bold'], 'Not as promised:'), ...flaws.map((flaw) => `  ${flaw}`)]),
  ].join('\n');
}

const row = (label: string, text: string): string => `  ${label.padEnd(14)}${text}`;
const more = (text: string): string => row('', text);

function warming(warmed: Story['warmed']): string[] {
  if (!warmed) return [];
  const { loaded, elapsedMs } = warmed;
  const what = counted(loaded, 'country', 'countries');
  return [row('warmed', `${what} in ${time(elapsedMs)}, before the first read`)];
}

function reads({ reads, bySource }: Tally, ranMs: number): string[] {
  const part = (name: string, latency: Latency): string =>
    more(
      `${count(latency.count).padStart(9)}  ${percent(latency.count, reads).padStart(6)}  ${name}, ` +
        `p50 ${time(latency.percentileMs(50))}, p99 ${time(latency.percentileMs(99))}`,
    );
  return [
    row('reads', `${count(reads)}, ${count((reads * 1e3) / ranMs)} a second`),
    part("from the process's memory", bySource.local),
    part('had aged, and were served while another copy was loaded', bySource.aged),
    part('from Redis, or waited for the load of another', bySource.shared),
    part('ran the loader', bySource.loaded),
  ];
}

function database({ reads }: Tally, queries: number, queryMs: number): string[] {
  const uncachedMs = reads * queryMs;
  return [
    row(
      'SQL queries',
      `${count(queries)} instead of ${count(reads)}: ${percent(reads - queries, reads)} saved`,
    ),
    more(
      `at ${time(queryMs)} a query this database would need ${time(uncachedMs)} to answer all reads`,
    ),
  ];
}

function updates(writer: Writer, { counters }: Tally, countries: number): string[] {
  const { confirmed, regions, repeatedDeletes } = writer;
  return [
    row(
      'updates',
      `${count(confirmed)} among ${count(countries)} countries: the row in SQL, then its key in the cache`,
    ),
    ...(regions.confirmed > 0
      ? [
          more(
            `${counted(regions.confirmed, 'region')} at once, ${counted(regions.rows, 'row')}: ` +
              'one statement in SQL, then one tag in the cache',
          ),
        ]
      : []),
    more(`${counted(counters.pushes, 'invalidation')} received by the readers`),
    ...(repeatedDeletes > 0
      ? [
          more(
            `${counted(repeatedDeletes, 'delete')} repeated, since Redis had not answered in time`,
          ),
        ]
      : []),
  ];
}

function correctness(tally: Tally, boundMs: number): string[] {
  const { lateCount, worstLatenessMs, staleCount, doubleLoadCount, loadsWithoutLease } = tally;
  return [
    row('stale reads', `${count(staleCount)} beyond the bound of ${time(boundMs)}`),
    more(
      lateCount === 0
        ? "no read that began after an update's delete had resolved got the old row"
        : `${counted(lateCount, 'read')} got the old row after the delete had resolved, ` +
            `the latest ${time(worstLatenessMs)} after`,
    ),
    row('double loads', `${count(doubleLoadCount)} among ${counted(tally.loads, 'load')}`),
    ...(loadsWithoutLease > 0
      ? [more(`${counted(loadsWithoutLease, 'load')} without a lease, since Redis did not answer`)]
      : []),
    row('failed reads', count(tally.failureCount)),
  ];
}

function redis({ awayMs, readsMeanwhile, loadedMeanwhile, cachingAgainAfterMs }: Outage): string[] {
  if (awayMs === undefined) return [row('Redis', 'was not killed')];
  return [
    row('Redis', `killed, and started again ${time(awayMs)} later, empty`),
    more(
      `${counted(readsMeanwhile, 'read')} answered meanwhile, by ${counted(loadedMeanwhile, 'load')}`,
    ),
    more(
      cachingAgainAfterMs === undefined
        ? 'no read was answered from memory after that'
        : `answered from memory again ${time(cachingAgainAfterMs)} after its new start`,
    ),
  ];
}

function maintenance({ stoppedMs, readsMeanwhile, agedMeanwhile }: Maintenance): string[] {
  if (stoppedMs === undefined) return [row('database', 'was not stopped')];
  return [
    row(
      'database',
      `stopped for ${time(stoppedMs)}, in which ${counted(readsMeanwhile, 'read')} went on`,
    ),
    more(`${count(agedMeanwhile)} of them got what had aged, by grace`),
  ];
}

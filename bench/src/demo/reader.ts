// A reader process: asks the cache for countries at a steady rate, and reports every single read.
import { subscribe } from 'node:diagnostics_channel';
import type { CacheChannels, Found } from '@redcache/cache-aside';
import { assertNever } from '@redcache/core/toolkit';
import { nowMs } from '../now.ts';
import type { Country } from './database.ts';
import { keyOf, tagOf } from './keys.ts';
import { openLink } from './link.ts';
import type { LoaderRun } from './overlap.ts';
import type { FromReader, ReaderTask, ToReader } from './protocol.ts';
import { seededRandom } from './random.ts';
import { ReadLog, type Source } from './read-log.ts';
import { Zipf } from './zipf.ts';

const REPORT_EVERY_MS = 100;
/** More are not begun while these are unanswered; their turns are dropped, not made up for. */
const MAX_READS_UNDER_WAY = 256;

const task = JSON.parse(process.argv[2] ?? '') as ReaderTask;
const keys = task.codes.map(keyOf);
const zipf = new Zipf(task.codes.length, task.skew);
const random = seededRandom(task.seed);

/** So that a whole region can be dropped by one command. */
const TAGGED = { tags: ({ region }: Country): string[] => [tagOf(region)] };

const log = new ReadLog();
let failures: string[] = [];
let loads: LoaderRun[] = [];
let lossesAtMs: number[] = [];
/** When the cache last said of a key that it had to do without Redis. */
const withoutRedisAtMs = new Map<string, number>();

let isRunning = false;
let reporting: NodeJS.Timeout | undefined;
let startedAtMs = 0;
let turns = 0;
let underWay = 0;
let queries = 0;
const unanswered = new Map<number, { resolve(row: Country): void; reject(error: Error): void }>();

// Ctrl-C reaches the whole process group; the demo's own process tells its readers when to end, and
// they end with it however it ends.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToReader) => {
  switch (message.is) {
    case 'start':
      isRunning = true;
      startedAtMs = nowMs();
      reporting = setInterval(report, REPORT_EVERY_MS);
      takeTurns();
      return;
    case 'stop':
      isRunning = false;
      void end();
      return;
    case 'row':
      unanswered.get(message.id)?.resolve(message.row);
      unanswered.delete(message.id);
      return;
    case 'no-row':
      unanswered.get(message.id)?.reject(new Error(message.message));
      unanswered.delete(message.id);
      return;
    default:
      assertNever(message);
  }
});

const link = await openLink(task, () => lossesAtMs.push(nowMs()));
const { cache } = link;
subscribe('redcache:cache:unavailable', (message) => {
  const { key } = message as CacheChannels['redcache:cache:unavailable'];
  withoutRedisAtMs.set(key, nowMs());
});
tell({ is: 'ready' });

/**
 * Begins the reads whose turn has come, one in each turn of the event loop: a local hit takes a
 * microsecond, and its time would be wrong if ten others stood between its call and its answer.
 */
function takeTurns(): void {
  if (!isRunning) return;
  const due = Math.floor(((nowMs() - startedAtMs) * task.readRate) / 1e3);
  if (turns >= due) {
    setTimeout(takeTurns, 1);
    return;
  }
  if (underWay < MAX_READS_UNDER_WAY) {
    turns += 1;
    void read(zipf.pick(random));
  } else {
    turns = due;
  }
  setImmediate(takeTurns);
}

async function read(index: number): Promise<void> {
  const key = keys[index] as string;
  let loadedHere = false;
  underWay += 1;
  const beganAtMs = nowMs();
  try {
    const found = await cache.getEntry<Country>(
      key,
      () => {
        loadedHere = true;
        return load(index, beganAtMs);
      },
      TAGGED,
    );
    const tookMs = nowMs() - beganAtMs;
    if (found.value === undefined) throw new Error(`${key} is absent, but every country is there`);
    const { version } = found.value;
    log.add({ key: index, version, beganAtMs, tookMs, source: sourceOf(found, loadedHere) });
  } catch (error) {
    failures.push(String(error));
  } finally {
    underWay -= 1;
  }
}

/** A loader may have run for this read and not be its answer: behind a value that had aged. */
function sourceOf({ source, remainingMs }: Found<Country>, loadedHere: boolean): Source {
  if (source === 'loader') return loadedHere ? 'loaded' : 'shared';
  if (remainingMs === 0) return 'aged';
  return source === 'local' ? 'local' : 'shared';
}

/** Has the query run where the database is. */
async function load(index: number, askedAtMs: number): Promise<Country> {
  const beganAtMs = nowMs();
  const key = keys[index] as string;
  const withoutAtMs = withoutRedisAtMs.get(`${task.namespace}:${key}`);
  const leased = withoutAtMs === undefined || withoutAtMs < askedAtMs;
  const id = queries;
  queries += 1;
  try {
    return await new Promise<Country>((resolve, reject) => {
      unanswered.set(id, { resolve, reject });
      tell({ is: 'query', id, code: task.codes[index] as string });
    });
  } finally {
    const endedAtMs = nowMs();
    loads.push({ key, process: task.process, askedAtMs, beganAtMs, endedAtMs, leased });
  }
}

function report(): void {
  const { process } = task;
  const [stats, pushes] = [cache.stats(), link.pushes()];
  tell({
    is: 'report',
    ...{ process, reads: log.take(), failures, loads, lossesAtMs, stats, pushes },
  });
  failures = [];
  loads = [];
  lossesAtMs = [];
}

/** Every read settles within its time budget. Then the channel is closed from the other end. */
async function end(): Promise<void> {
  while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  clearInterval(reporting);
  report();
  await link[Symbol.asyncDispose]();
  tell({ is: 'done' });
}

function tell(message: FromReader): void {
  // The other end may go at any moment; then so does this process.
  if (process.connected) process.send?.(message, () => {});
}

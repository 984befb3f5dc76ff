import { type Ground, GroundError, openGround } from '../ground.ts';
import { nowMs } from '../now.ts';
import { removeKeys } from '../remove-keys.ts';
import { UsageError } from '../usage-error.ts';
import { Database } from './database.ts';
import { End } from './end.ts';
import { Fleet } from './fleet.ts';
import { count, counted } from './format.ts';
import { keyOf, namespaceOf } from './keys.ts';
import { openLink } from './link.ts';
import { Maintenance } from './maintenance.ts';
import { type DemoOptions, HELP, parseOptions } from './options.ts';
import { Outage } from './outage.ts';
import { Overlaps } from './overlap.ts';
import type { ReaderTask } from './protocol.ts';
import { seededRandom, shuffled } from './random.ts';
import { Screen } from './screen.ts';
import { Snapshots } from './snapshot.ts';
import { Staleness } from './staleness.ts';
import { summaryOf } from './summary.ts';
import { Tally } from './tally.ts';
import { flawsOf } from './verdict.ts';
import { warm } from './warm.ts';
import { Writer } from './writer.ts';
import { Zipf } from './zipf.ts';

/**
 * A read that begins later than this after a version was confirmed must answer that version or a
 * newer one. The push is on its way in well under a millisecond; the bound leaves room for a process
 * that the machine has not let run for a while, and is what redcache means to keep for a connection
 * that has gone silent.
 */
const BOUND_MS = 2000;
const SKEW = 1;
/** Values age some times in a run, and once while the database is stopped, which it is for longer. */
const TTL_RATIO = 0.15;
const LONGEST_TTL_MS = 4000;
const STOPPED_RATIO = 1.25;
const RETRY_MS = 100;

/** Runs the demo; answers the exit code. */
export async function demo(args: readonly string[]): Promise<number> {
  try {
    const request = parseOptions(args);
    if (request.is === 'run') return await run(request);
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    const isUsage = error instanceof UsageError;
    if (!isUsage && !(error instanceof GroundError)) throw error;
    console.error(`redcache demo: ${error.message}${isUsage ? '; --help lists the options' : ''}`);
    return isUsage ? 2 : 1;
  }
}

async function run(options: DemoOptions): Promise<number> {
  const end = new End();
  await using ground = await openGround({ url: options.url, mustBeOwn: options.killRedis });
  await using database = await Database.open();
  const queryMs = await database.measureQueryMs();
  const random = seededRandom(options.seed);
  const codes = shuffled(database.codes, random);
  const zipf = new Zipf(codes.length, SKEW);
  const namespace = namespaceOf(process.pid, nowMs());
  const runMs = options.seconds * 1e3;
  const ttlMs = Math.min(runMs * TTL_RATIO, LONGEST_TTL_MS);
  await using link = await openLink({ url: ground.url, namespace, ttlMs });
  const staleness = new Staleness();
  const overlaps = new Overlaps();
  const outage = options.killRedis ? new Outage(ground, runMs) : undefined;
  const tally = new Tally({
    staleness,
    overlaps,
    keys: codes.map(keyOf),
    boundMs: BOUND_MS,
    onRead: (read) => {
      outage?.see(read);
      maintenance?.see(read);
    },
  });
  const writer = new Writer({
    ...{ database, cache: link.cache, staleness, overlaps, codes, zipf, random },
    writesPerSecond: options.writeRate,
  });
  // A country that was updated last has no value until it is read again, or loaded here.
  const loadAll = (quiet: boolean) =>
    warm({ cache: link.cache, database, codes, signal: end.signal, quiet });
  const maintenance = options.stopDatabase
    ? new Maintenance({
        database,
        forMs: ttlMs * STOPPED_RATIO,
        prepare: async () => {
          await writer.pause();
          while (!end.isEarly && !(await loadAll(true).catch(() => undefined)))
            await end.after(RETRY_MS);
        },
        resume: () => writer.resume(),
      })
    : undefined;
  await using fleet = new Fleet(tasksOf(options, { url: ground.url, codes, namespace, ttlMs }), {
    query: (code) => database.country(code),
    onReport: (report) => tally.add(report),
    onLost: (reason) => end.failed(reason),
  });
  await fleet.ready();
  if (!end.isEarly) process.stdout.write(`${introduction(options, ground, codes.length)}\n`);
  const warmed =
    options.isCold || end.isEarly
      ? undefined
      : await loadAll(false).catch((error: unknown) => {
          end.failed(error);
          return undefined;
        });
  if (end.isEarly) {
    console.error(['redcache demo: ended before it began', ...end.errors].join('\n  '));
    return end.errors.length === 0 ? 130 : 1;
  }

  const screen = new Screen(options.seconds);
  const snapshots = new Snapshots(tally, writer, { outage, maintenance });
  const drawing = setInterval(() => screen.show(snapshots.take()), screen.everyMs);
  const startedAtMs = nowMs();
  fleet.start();
  writer.start(end.failed);
  outage?.start(end.failed);
  maintenance?.start(runMs, end.failed);
  await end.after(runMs);
  const ranMs = nowMs() - startedAtMs;
  clearInterval(drawing);
  // Both are brought back first, so that every read and every delete can end.
  await Promise.all([outage?.stop(), maintenance?.stop()]);
  await Promise.all([fleet.stop(), writer.stop()]);
  if (!ground.isOwn) await removeKeys(ground.url, namespace);

  const flaws = flawsOf({
    ...{ tally, outage, maintenance, errors: end.errors, interrupted: end.isEarly },
    confirmed: writer.confirmed,
    hasWriter: options.writeRate > 0,
  });
  const { processes } = options;
  const story = { processes, countries: codes.length, ranMs, boundMs: BOUND_MS, queryMs, warmed };
  const queries = database.selects;
  process.stdout.write(
    `${summaryOf({ ...story, queries, tally, writer, outage, maintenance, flaws })}\n`,
  );
  end.close();
  return flaws.length === 0 ? 0 : 1;
}

function tasksOf(
  { processes, readRate, seed }: DemoOptions,
  common: Pick<ReaderTask, 'url' | 'codes' | 'namespace' | 'ttlMs'>,
): ReaderTask[] {
  return Array.from({ length: processes }, (_, i) => ({
    ...{ ...common, process: i + 1, skew: SKEW, readRate },
    // Any other seed than the writer's, and another one for each.
    seed: seed + 1 + i,
  }));
}

function introduction(options: DemoOptions, ground: Ground, countries: number): string {
  const { host } = new URL(ground.url);
  return (
    `${count(countries)} countries in Postgres (PGlite) · Redis at ${host} · ` +
    `${counted(options.processes, 'reader')}, ${count(options.readRate)} reads a second each · ` +
    `a writer, ${count(options.writeRate)} updates a second · ${options.seconds} s, Ctrl-C ends it`
  );
}

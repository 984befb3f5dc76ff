import assert from 'node:assert/strict';
import { clientSideCache } from '@redcache/core/node-redis';
import { BasicClientSideCache } from 'redis';
import { type Client, connect, UNTIMED } from '../connect.ts';
import type { Effort } from '../harness.ts';
import { costRatio, type LoadCost, measureLoad, medianCost } from '../load.ts';
import { removeKeys } from '../remove-keys.ts';
import { type Outcome, verdictOf } from '../report.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { ServerProbe } from '../server-probe.ts';
import { tableOf } from '../table.ts';

const CONCURRENCY = 50;
/** Far fewer than keys, which are read in order: none is still there when its turn comes again. */
const MAX_ENTRIES = 1000;
const VALUE = 'x'.repeat(100);
const EXPIRES = { PX: 3_600_000 } as const;
/**
 * Why a key is not here. `evicted`: it made room for others, and the server tracks it still. `new`:
 * it was written since, so that the server has to remember it anew, which by itself costs about as
 * much as half a GET: see the built-in cache, which sends nothing but the GET.
 */
const REASONS = ['evicted', 'new'] as const;
type Reason = (typeof REASONS)[number];

/** How much more than a plain GET a miss of an evicted key may cost the server, and this process. */
const MOST = { serverUs: 1.7, clientUs: 1.6 } as const;

export const miss: Scenario = {
  kind: 'study',
  name: 'miss',
  question: 'What does a read cost that is not in this process, beside a GET without a cache?',
  run: runMiss,
};

interface Subject {
  readonly name: string;
  readonly client: Client;
  readonly read: (client: Client, key: string) => Promise<unknown>;
  /** The subject without a cache and the same timeout. */
  readonly of: string;
  /** How often it had to ask the server; not for what asks always. */
  readonly misses?: () => number;
  readonly isGoal: boolean;
}

async function runMiss(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const keys = Array.from({ length: 50 * effort.msPerRound }, (_, i) => `${namespace}:${i}`);
  await using probe = await ServerProbe.open(url);
  const writer = await connect(url, { commandOptions: UNTIMED });
  const subjects: Subject[] = [];
  try {
    for (const timeout of ["node-redis's defaults", 'timeout: 0'])
      subjects.push(...(await subjectsOf(url, timeout)));

    const report: string[] = [];
    const outcomes: Outcome[] = [];
    await write();
    for (const reason of REASONS) {
      const figures = await inTurn(subjects, effort.rounds, (subject) => measure(subject, reason));
      report.push(reportOf(reason, subjects, figures));
      if (reason === 'evicted') outcomes.push(...outcomesOf(subjects, figures));
    }
    return { report, outcomes };
  } finally {
    for (const { client } of subjects) client.destroy();
    writer.destroy();
    await removeKeys(url, namespace);
  }

  async function measure(
    { name, client, read, misses }: Subject,
    reason: Reason,
  ): Promise<LoadCost> {
    if (reason === 'new') await write();
    const before = misses?.() ?? 0;
    const cost = await measureLoad(
      {
        calls: keys.length,
        concurrency: CONCURRENCY,
        call: (place) => read(client, keys[place] as string),
      },
      probe,
    );
    if (misses !== undefined)
      assert.equal(misses() - before, keys.length, `every read of ${name} must be a miss`);
    return cost;
  }

  async function write(): Promise<void> {
    const atOnce = 1000;
    for (let i = 0; i < keys.length; i += atOnce)
      await Promise.all(keys.slice(i, i + atOnce).map((key) => writer.set(key, VALUE, EXPIRES)));
    // Whatever the server has pushed comes before the answer to this.
    for (const { client } of subjects) await client.ping();
  }
}

async function subjectsOf(url: string, timeout: string): Promise<readonly Subject[]> {
  const config = timeout === 'timeout: 0' ? { commandOptions: UNTIMED } : {};
  const plain = `GET, ${timeout}`;
  const get = (client: Client, key: string): Promise<unknown> => client.get(key);
  const ours = clientSideCache({ maxEntries: MAX_ENTRIES });
  const builtIn = new BasicClientSideCache({ maxEntries: MAX_ENTRIES });
  return [
    { name: plain, of: plain, client: await connect(url, config), read: get, isGoal: false },
    {
      // What a miss must send, by the shortest way and without keeping anything.
      name: `GET and PTTL, ${timeout}`,
      of: plain,
      client: await connect(url, config),
      read: (client, key) =>
        Promise.all([client.get(key), client.sendCommand(['PTTL', key], UNTIMED)]),
      isGoal: false,
    },
    {
      name: `redcache, ${timeout}`,
      of: plain,
      client: await connect(url, { ...config, clientSideCache: ours }),
      read: get,
      misses: () => ours.engine.stats().misses,
      isGoal: true,
    },
    {
      name: `built in, ${timeout}`,
      of: plain,
      client: await connect(url, { ...config, clientSideCache: builtIn }),
      read: get,
      misses: () => builtIn.stats().missCount,
      isGoal: false,
    },
  ];
}

type Figures = readonly (readonly LoadCost[])[];

function reportOf(reason: Reason, subjects: readonly Subject[], figures: Figures): string {
  const rows = subjects.map((subject, place) => {
    const cost = medianCost(figures[place] as readonly LoadCost[]);
    return [
      subject.name,
      Math.round(cost.callsPerSecond).toString(),
      cost.serverUs.toFixed(2),
      `${times(subject, 'serverUs', subjects, figures).toFixed(2)} ×`,
      cost.clientUs.toFixed(2),
      `${times(subject, 'clientUs', subjects, figures).toFixed(2)} ×`,
    ];
  });
  const header = [
    reason === 'evicted' ? 'evicted for others' : 'written since',
    'reads/s',
    'server CPU µs',
    '',
    'client CPU µs',
    '',
  ];
  return tableOf([header, ...rows]);
}

function outcomesOf(subjects: readonly Subject[], figures: Figures): readonly Outcome[] {
  const outcome = (subject: Subject, figure: keyof typeof MOST): Outcome =>
    verdictOf(
      `${subject.name}: ${figure === 'serverUs' ? 'server' : 'client'} CPU`,
      `that of ${subject.of}`,
      MOST[figure],
      times(subject, figure, subjects, figures),
    );
  return subjects
    .filter(({ isGoal }) => isGoal)
    .flatMap((subject) => [outcome(subject, 'serverUs'), outcome(subject, 'clientUs')]);
}

/** How many times as much as the plain GET with the same timeout. */
function times(
  { name, of }: Subject,
  figure: keyof LoadCost,
  subjects: readonly Subject[],
  figures: Figures,
): number {
  const roundsOf = (wanted: string): readonly LoadCost[] =>
    figures[subjects.findIndex((each) => each.name === wanted)] as readonly LoadCost[];
  return costRatio(figure, roundsOf(name), roundsOf(of));
}

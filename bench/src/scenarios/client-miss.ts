import { BenchProcess } from '../child-process.ts';
import { connect, UNTIMED } from '../connect.ts';
import type { Effort } from '../harness.ts';
import { costPanels, costRatio, type LoadCost } from '../load.ts';
import type { Panel, Standing } from '../panel.ts';
import { removeKeys } from '../remove-keys.ts';
import { type Outcome, verdictOf } from '../report.ts';
import type { ReaderAnswer, ReaderTask, Reading, Timeout } from '../roles/reader.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** More than the readers have room for, or a read would not be a miss. */
const FEWEST_KEYS = 5000;
const VALUE = 'x'.repeat(100);
const EXPIRES = { PX: 3_600_000 } as const;
/**
 * Why a key is not here. `evicted`: it made room for others, and the server tracks it still. `new`:
 * it was written since, so that the server has to remember it anew, which by itself costs about as
 * much as half a GET: see the built-in cache, which sends nothing but the GET.
 */
const REASONS: Readonly<Record<Reason, string>> = {
  evicted: 'evicted for others',
  new: 'written since',
};
type Reason = 'evicted' | 'new';

/** The first is what the others are compared with. */
const READINGS: Readonly<Record<Reading, string>> = {
  plain: 'GET',
  pttl: 'GET and PTTL',
  redcache: 'redcache',
  'built in': 'built in',
};
const STANDINGS: Readonly<Record<Reading, Standing>> = {
  plain: 'limit',
  pttl: 'limit',
  redcache: 'ours',
  'built in': 'peer',
};
const TIMEOUTS: Readonly<Record<Timeout, string>> = {
  default: "node-redis's defaults",
  none: 'timeout: 0',
};

/**
 * How much more than a plain GET a miss of an evicted key may cost the server, and this process, with
 * node-redis's defaults. Without its timers a GET costs so little that no cache comes near.
 */
const MOST = { serverUs: 1.7, clientUs: 1.6 } as const;

export const clientMiss: Scenario = {
  kind: 'study',
  name: 'client-miss',
  question:
    "What does a client's own read cost that is not in this process, beside a GET without a cache?",
  run: runMiss,
};

/** The costs of one way to read, a figure a round. */
type Costs = Readonly<Record<Reading, readonly LoadCost[]>>;

async function runMiss(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const keys = Array.from(
    { length: Math.max(FEWEST_KEYS, 50 * effort.msPerRound) },
    (_, i) => `${namespace}:${i}`,
  );
  const writer = await connect(url, { commandOptions: UNTIMED });
  const panels: Panel[] = [];
  const outcomes: Outcome[] = [];
  try {
    for (const timeout of Object.keys(TIMEOUTS) as Timeout[]) {
      await write();
      await using readers = await Readers.start(timeout, url, namespace, keys.length);
      for (const reason of Object.keys(REASONS) as Reason[]) {
        const costs = await readers.measure(effort, reason === 'new' ? write : async () => {});
        panels.push(...panelsOf(`${REASONS[reason]}, ${TIMEOUTS[timeout]}`, costs));
        if (reason === 'evicted' && timeout === 'default') outcomes.push(...outcomesOf(costs));
      }
    }
    return { panels, outcomes };
  } finally {
    writer.destroy();
    await removeKeys(url, namespace);
  }

  async function write(): Promise<void> {
    const atOnce = 1000;
    for (let i = 0; i < keys.length; i += atOnce)
      await Promise.all(keys.slice(i, i + atOnce).map((key) => writer.set(key, VALUE, EXPIRES)));
  }
}

/** A process for each way to read, since they differ by what V8 has learnt of how long objects live. */
class Readers implements AsyncDisposable {
  readonly #processes: readonly BenchProcess<ReaderTask, ReaderAnswer>[];

  private constructor(processes: readonly BenchProcess<ReaderTask, ReaderAnswer>[]) {
    this.#processes = processes;
  }

  static async start(
    timeout: Timeout,
    url: string,
    namespace: string,
    keys: number,
  ): Promise<Readers> {
    const processes: BenchProcess<ReaderTask, ReaderAnswer>[] = [];
    const readers = new Readers(processes);
    try {
      for (const reading of Object.keys(READINGS))
        processes.push(
          await BenchProcess.start('reader', reading, timeout, url, namespace, String(keys)),
        );
      return readers;
    } catch (error) {
      await readers[Symbol.asyncDispose]();
      throw error;
    }
  }

  async measure(effort: Effort, before: () => Promise<void>): Promise<Costs> {
    const costs = await inTurn(this.#processes, effort.rounds, async (reader) => {
      await before();
      return reader.ask('read');
    });
    return Object.fromEntries(
      Object.keys(READINGS).map((reading, place) => [reading, costs[place]]),
    ) as unknown as Costs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((each) => each[Symbol.asyncDispose]()));
  }
}

function panelsOf(setting: string, costs: Costs): readonly Panel[] {
  const readings = Object.keys(READINGS) as Reading[];
  return costPanels(
    setting,
    readings.map((reading) => ({ name: READINGS[reading], standing: STANDINGS[reading] })),
    readings.map((reading) => costs[reading]),
  );
}

function outcomesOf({ plain, redcache }: Costs): readonly Outcome[] {
  const outcome = (figure: keyof typeof MOST): Outcome =>
    verdictOf(
      `a miss: ${figure === 'serverUs' ? 'server' : 'client'} CPU`,
      "that of GET, with node-redis's defaults",
      MOST[figure],
      costRatio(figure, redcache, plain),
    );
  return [outcome('serverUs'), outcome('clientUs')];
}

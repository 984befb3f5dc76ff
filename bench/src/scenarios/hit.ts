import type { Library } from '../caches/libraries.ts';
import type { Effort, Goal, Result } from '../harness.ts';
import { PAYLOADS, type Payload } from '../payloads.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import { type Outcome, outcomeOf, reportOf } from '../report.ts';
import type { Call, HitterAnswer, HitterTask } from '../roles/hitter.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** One row. `Redis`: not in this process, so that it is another limit. */
interface Contestant {
  readonly name: string;
  readonly library: Library;
  readonly call: Call;
  readonly place: 'local' | 'Redis';
}

const LRU = 'await lru.get(key)';
const GET = 'redcache: await cache.get(key, loader)';
const PEEK = 'redcache: cache.peek(key)';
const FAMILY = 'redcache: await family.get(id)';
const LAYERED = 'layered-loader';
const LAYERED_SYNC = 'layered-loader: getInMemoryOnly(key)';
const BUILT_IN = 'client.get, built in';

const local = (name: string, library: Library, call: Call = 'get'): Contestant => ({
  ...{ name, library, call },
  place: 'local',
});

/** The first is the limit, which the others are compared with. */
const CONTESTANTS: readonly Contestant[] = [
  local(LRU, 'lru'),
  local('lru.get(key)', 'lru', 'peek'),
  local(GET, 'redcache'),
  local('redcache: the same with a namespace', 'redcache, namespace'),
  local(FAMILY, 'redcache, family'),
  local(PEEK, 'redcache', 'peek'),
  local(LAYERED, 'layered-loader'),
  local(LAYERED_SYNC, 'layered-loader', 'peek'),
  local('client.get, redcache', 'client.get, redcache'),
  local(BUILT_IN, 'client.get, built in'),
  local('async-cache-dedupe (memory alone)', 'async-cache-dedupe, memory'),
  local('cachified (memory alone)', 'cachified, memory'),
  local('bentocache', 'bentocache'),
  local('bentocache, serialize: false', 'bentocache, serialize: false'),
  local('cacheable', 'cacheable'),
  local('cache-manager', 'cache-manager'),
  { name: 'client.get, not cached', library: 'client.get', call: 'get', place: 'Redis' },
];

const TENFOLD = [BUILT_IN, 'bentocache', 'bentocache, serialize: false', 'cacheable'];

const GOALS: readonly Goal[] = [
  { subject: GET, of: LRU, atMost: 2 },
  { subject: FAMILY, of: LRU, atMost: 2 },
  { subject: GET, of: LAYERED, atMost: 1 },
  { subject: PEEK, of: LAYERED_SYNC, atMost: 1 },
  ...TENFOLD.map((of): Goal => ({ subject: GET, of, atMost: 1 / 10 })),
];

export const hit: Scenario = {
  kind: 'study',
  name: 'hit',
  question: 'What does a value cost that is in this process already?',
  run: runHit,
};

async function runHit(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const report: string[] = [];
  const outcomes: Outcome[] = [];
  try {
    // The limit is there twice, in processes of their own, to show how far two of the same are apart.
    const order = [...CONTESTANTS, CONTESTANTS[0] as Contestant];
    await using hitters = await ProcessGroup.start<HitterTask, HitterAnswer>(
      'hitter',
      order.map(({ library, call, place }, number) => [
        ...[library, call, place, url],
        `${namespace}:${number}`,
      ]),
    );
    const payloads = Object.keys(PAYLOADS) as Payload[];
    const forMs = effort.msPerRound / payloads.length;
    for (const payload of payloads) {
      const figures = await inTurn(hitters.members, effort.rounds, (hitter) =>
        hitter.ask({ payload, forMs }),
      );
      const rows = order.map(({ name }, place) => ({ name, roundsNs: figures[place] ?? [] }));
      const result = { rows: rows.slice(0, -1), again: rows.at(-1) } as Result;
      report.push(`${payload}\n${reportOf(result)}`);
      outcomes.push(...GOALS.map((goal) => told(payload, outcomeOf(goal, result))));
    }
  } finally {
    await removeKeys(url, namespace);
  }
  return { report, outcomes };
}

const told = (payload: Payload, { reached, line }: Outcome): Outcome => ({
  reached,
  line: `${line} (${payload})`,
});

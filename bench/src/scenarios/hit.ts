import { type Library, standingOf } from '../caches/libraries.ts';
import { type CallCost, callPanels } from '../call-cost.ts';
import type { Effort } from '../harness.ts';
import type { Contender, Panel } from '../panel.ts';
import { PAYLOADS, type Payload } from '../payloads.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import { type Goal, type Outcome, outcomeOf } from '../report.ts';
import type { Call, HitterTask } from '../roles/hitter.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** One row. `Redis`: not in this process, as without a cache. */
interface Contestant extends Contender {
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
  ...{ name, library, call, standing: standingOf(library) },
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
  { ...local('client.get, not cached', 'client.get'), place: 'Redis' },
];

const TENFOLD = [BUILT_IN, 'bentocache', 'bentocache, serialize: false', 'cacheable'];

const GOALS: readonly Goal[] = [
  { subject: GET, of: LRU, atMost: 2 },
  { subject: FAMILY, of: LRU, atMost: 2 },
  { subject: GET, of: LAYERED, atMost: 1 },
  { subject: PEEK, of: LAYERED_SYNC, atMost: 1 },
  ...TENFOLD.map((of): Goal => ({ subject: GET, of, atMost: 1 / 10 })),
];

/** A quick look is one at what is cached most. */
const PAYLOADS_OF: Readonly<Record<Effort['name'], readonly Payload[]>> = {
  full: Object.keys(PAYLOADS) as Payload[],
  quick: ['object of 20 fields'],
};

export const hit: Scenario = {
  kind: 'study',
  name: 'hit',
  question: 'What does a value cost that is in this process already?',
  run: runHit,
};

async function runHit(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const panels: Panel[] = [];
  const outcomes: Outcome[] = [];
  try {
    // The limit is there twice, in processes of their own, to show how far two of the same are apart.
    const order = [...CONTESTANTS, CONTESTANTS[0] as Contestant];
    await using hitters = await ProcessGroup.start<HitterTask, CallCost>(
      'hitter',
      order.map(({ library, call, place }, number) => [
        ...[library, call, place, url],
        `${namespace}:${number}`,
      ]),
    );
    const payloads = PAYLOADS_OF[effort.name];
    const forMs = effort.msPerRound / payloads.length;
    for (const payload of payloads) {
      const costs = await inTurn(hitters.members, effort.rounds, (hitter) =>
        hitter.ask({ payload, forMs }),
      );
      const [times, ...garbage] = callPanels(payload, CONTESTANTS, costs);
      panels.push(times, ...garbage);
      outcomes.push(...GOALS.map((goal) => told(payload, outcomeOf(goal, times))));
    }
  } finally {
    await removeKeys(url, namespace);
  }
  return { panels, outcomes };
}

const told = (payload: Payload, { reached, line }: Outcome): Outcome => ({
  reached,
  line: `${line} (${payload})`,
});

import type { Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import { costRatio, type LoadCost, medianCost } from '../load.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import type { FetcherAnswer, FetcherTask } from '../roles/fetcher.ts';
import { inTurn } from '../rounds.ts';
import { tableOf } from '../table.ts';

/** One table: the same done by all of them. The first is what the others are compared with. */
export interface Fetching {
  readonly name: string;
  readonly libraries: readonly [Library, ...Library[]];
  readonly task: Omit<FetcherTask, 'calls'>;
  /** About as many as are done in a millisecond. */
  readonly callsPerMs: number;
}

/** What each of them cost, a figure a round. */
export type Costs = ReadonlyMap<Library, readonly LoadCost[]>;

/** A library has one process for all tables, each of them beside the others' in turn. */
export async function measureFetching(
  url: string,
  effort: Effort,
  fetchings: readonly Fetching[],
): Promise<readonly { readonly table: string; readonly costs: Costs }[]> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const libraries = [...new Set(fetchings.flatMap((each) => each.libraries))];
  const found: { readonly table: string; readonly costs: Costs }[] = [];
  try {
    await using fetchers = await ProcessGroup.start<FetcherTask, FetcherAnswer>(
      'fetcher',
      libraries.map((library, number) => [library, url, `${namespace}:${number}`]),
    );
    for (const fetching of fetchings) {
      const calls = Math.max(100, Math.ceil(fetching.callsPerMs * effort.msPerRound));
      const members = fetching.libraries.map(
        (library) => fetchers.members[libraries.indexOf(library)] as (typeof fetchers.members)[0],
      );
      const figures = await inTurn(members, effort.rounds, (fetcher) =>
        fetcher.ask({ ...fetching.task, calls }),
      );
      const costs: Costs = new Map(
        fetching.libraries.map((library, place) => [library, figures[place] ?? []] as const),
      );
      found.push({ table: costTable(fetching, costs), costs });
    }
  } finally {
    await removeKeys(url, namespace);
  }
  return found;
}

/** In a middling round: how much of the throughput of the other one has. */
export function throughput(costs: Costs, of: Library, base: Library): number {
  return costRatio('callsPerSecond', costs.get(of) ?? [], costs.get(base) ?? []);
}

function costTable({ name, libraries: [base] }: Fetching, costs: Costs): string {
  const rows = Array.from(costs, ([library, rounds]) => {
    const { callsPerSecond, latencyUs, clientUs, serverUs } = medianCost(rounds);
    return [
      library,
      Math.round(callsPerSecond).toString(),
      `${throughput(costs, library, base).toFixed(2)} ×`,
      latencyUs.toFixed(0),
      clientUs.toFixed(1),
      serverUs.toFixed(1),
    ];
  });
  const header = [name, 'calls/s', '', 'latency µs', 'client CPU µs', 'server CPU µs'];
  return tableOf([header, ...rows]);
}

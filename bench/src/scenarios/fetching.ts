import { contenderOf, type Library } from '../caches/libraries.ts';
import type { Effort } from '../harness.ts';
import { costPanels } from '../load.ts';
import type { Panel } from '../panel.ts';
import { ProcessGroup } from '../process-group.ts';
import { removeKeys } from '../remove-keys.ts';
import type { FetcherAnswer, FetcherTask } from '../roles/fetcher.ts';
import { inTurn } from '../rounds.ts';

/** One setting: the same done by all of them. The first is what the others are compared with. */
export interface Fetching {
  readonly setting: string;
  readonly libraries: readonly [Library, ...Library[]];
  readonly task: Omit<FetcherTask, 'calls'>;
  /** About as many as most of them do in a millisecond. */
  readonly callsPerMs: number;
}

/** So many make a median, however long one takes. */
const FEWEST_CALLS = 40;

/**
 * The panels of each setting. A library has one process for all of them, beside the others' in turn,
 * and the first of each has a second one, which shows how far it is from itself.
 */
export async function measureFetching(
  url: string,
  effort: Effort,
  fetchings: readonly Fetching[],
): Promise<readonly Panel[]> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const once = [...new Set(fetchings.flatMap(({ libraries }) => libraries))];
  const again = [...new Set(fetchings.map(({ libraries: [base] }) => base))];
  const panels: Panel[] = [];
  try {
    await using fetchers = await ProcessGroup.start<FetcherTask, FetcherAnswer>(
      'fetcher',
      [...once, ...again].map((library, number) => [library, url, `${namespace}:${number}`]),
    );
    const memberOf = (place: number) => fetchers.members[place] as (typeof fetchers.members)[0];
    for (const { setting, libraries, task, callsPerMs } of fetchings) {
      const calls = Math.max(FEWEST_CALLS, Math.ceil(callsPerMs * effort.msPerRound));
      const members = [
        ...libraries.map((library) => memberOf(once.indexOf(library))),
        memberOf(once.length + again.indexOf(libraries[0])),
      ];
      const costs = await inTurn(members, effort.rounds, (member) =>
        member.ask({ ...task, calls }),
      );
      panels.push(...costPanels(setting, libraries.map(contenderOf), costs));
    }
  } finally {
    await removeKeys(url, namespace);
  }
  return panels;
}

/** How many values are under way at once. */
export const CONCURRENCIES = [1, 50, 500] as const;

export const settingOf = (concurrency: number): string =>
  `object of 20 fields, ${concurrency} at a time`;

import type { Panel, PanelRow } from './panel.ts';
import { median, noise, quotient, spread } from './ratio.ts';
import { placeOf, type ResultFile } from './result-file.ts';

/** What became of one row of ours between two runs. */
export interface Change {
  readonly scenario: string;
  readonly panel: Panel;
  readonly row: PanelRow;
  readonly before: number;
  readonly after: number;
  /**
   * How many times as much as before, what became of those that did not change taken out: 1.1 of a
   * figure that should be small is 10 % worse.
   */
  readonly times: number;
  /** By how much more or less it may be by chance: the noise of both runs. */
  readonly allowed: number;
  readonly verdict: 'worse' | 'better' | 'same';
}

export interface Comparison {
  readonly changes: readonly Change[];
  /** Rows of ours that only one of the files has, of scenarios that both have. */
  readonly missing: readonly string[];
}

/** Nothing can be told apart that is closer, however quiet a run was. */
const LEAST_ALLOWED = 0.02;

/** All rows of ours that both have. */
export function compare(before: ResultFile, after: ResultFile): Comparison {
  const [earlier, later] = [oursOf(before, after), oursOf(after, before)];
  const changes: Change[] = [];
  const missing: string[] = [];
  for (const [place, { scenario, panel, row }] of later) {
    const then = earlier.get(place);
    if (then === undefined) missing.push(`${place}: only after`);
    else changes.push(changeOf(scenario, then, { panel, row }));
  }
  for (const place of earlier.keys()) if (!later.has(place)) missing.push(`${place}: only before`);
  return { changes, missing };
}

interface Found {
  readonly panel: Panel;
  readonly row: PanelRow;
}

/** By their place; of the scenarios that the other file has as well. */
function oursOf(
  file: ResultFile,
  other: ResultFile,
): ReadonlyMap<string, Found & { readonly scenario: string }> {
  const shared = new Set(other.scenarios.map(({ name }) => name));
  const found = new Map<string, Found & { readonly scenario: string }>();
  for (const { name: scenario, panels } of file.scenarios.filter(({ name }) => shared.has(name)))
    for (const panel of panels)
      for (const row of panel.rows.filter(({ standing }) => standing === 'ours'))
        found.set(`${scenario}, ${placeOf(panel)}, ${nameOf(row)}`, { scenario, panel, row });
  return found;
}

export const nameOf = ({ name, at }: PanelRow): string =>
  at === undefined ? name : `${name} at ${at.toLocaleString('en')}`;

function changeOf(scenario: string, then: Found, now: Found): Change {
  const [before, after] = [median(then.row.rounds), median(now.row.rounds)];
  const times = quotient(quotient(after, before), drift(then, now));
  const allowed = Math.max(LEAST_ALLOWED, noiseOf(then) + noiseOf(now));
  const { panel, row } = now;
  return { scenario, panel, row, before, after, times, allowed, verdict: verdict() };

  function verdict(): Change['verdict'] {
    const isMore = times > 1 + allowed;
    // As many times less as it would be more: half as much is as far off as twice as much.
    const isLess = times < 1 / (1 + allowed);
    if (!isMore && !isLess) return 'same';
    return isMore === (panel.better === 'less') ? 'worse' : 'better';
  }
}

/**
 * How many times as much as before the rows at the same place are that nobody changed: it is the
 * machine that became slower or faster. Of limits if there are any, else of peers; 1 if nobody is there.
 */
function drift(then: Found, now: Found): number {
  for (const standing of ['limit', 'peer']) {
    const quotients = now.panel.rows.flatMap((row) => {
      if (row.standing !== standing || row.at !== now.row.at) return [];
      const same = then.panel.rows.find(({ name, at }) => name === row.name && at === row.at);
      if (same === undefined) return [];
      const times = quotient(median(row.rounds), median(same.rounds));
      return Number.isFinite(times) && times > 0 ? [times] : [];
    });
    if (quotients.length > 0) return median(quotients);
  }
  return 1;
}

/** How far a figure is from itself: the baseline measured twice, or the middle half of its rounds. */
function noiseOf({ panel, row }: Found): number {
  const [low, high] = spread(row.rounds);
  const middle = median(row.rounds);
  const ofRounds = middle === 0 ? 0 : (high - low) / 2 / middle;
  return Math.max(ofRounds, noise(panel) ?? 0);
}

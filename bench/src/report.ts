import { baseOf, type Panel, type PanelRow, rowOf } from './panel.ts';
import { isTie, median, noise, ratio, spread } from './ratio.ts';
import { tableOf } from './table.ts';
import { textOf } from './unit.ts';

/** A promise about a scenario: the subject costs at most so many times what another costs. */
export interface Goal {
  readonly subject: string;
  readonly of: string;
  readonly atMost: number;
}

/** Tables for people, one for the panels of each setting, the noise floor under each. */
export function reportOf(panels: readonly Panel[]): readonly string[] {
  return [...bySetting(panels).values()].map((those) =>
    [tableFor(those), noiseOf(those)].join('\n'),
  );
}

/** Panels of one setting, in the order in which they come first. */
export function bySetting(panels: readonly Panel[]): ReadonlyMap<string, readonly Panel[]> {
  const settings = new Map<string, Panel[]>();
  for (const panel of panels) {
    const those = settings.get(panel.setting);
    if (those === undefined) settings.set(panel.setting, [panel]);
    else those.push(panel);
  }
  return settings;
}

function tableFor(panels: readonly Panel[]): string {
  const [first] = panels as readonly [Panel];
  const along = first.along === undefined ? [] : [first.along];
  const head = [
    first.setting,
    ...along,
    ...panels.flatMap(({ figure }) => [figure, 'middle half', 'ratio']),
  ];
  return tableOf([head, ...linesOf(panels).map(({ name, at, cells }) => [name, ...at, ...cells])]);
}

/** What a table says of each contender at each place; a figure that was not taken of it is empty. */
export function linesOf(panels: readonly Panel[]): readonly {
  readonly name: string;
  readonly at: readonly string[];
  readonly cells: readonly string[];
}[] {
  const places = new Map<string, PanelRow>();
  for (const { rows } of panels)
    for (const row of rows) {
      const place = JSON.stringify([row.name, row.at]);
      if (!places.has(place)) places.set(place, row);
    }
  return [...places.values()].map(({ name, at }) => ({
    name,
    at: at === undefined ? [] : [at.toLocaleString('en')],
    cells: panels.flatMap((panel) => {
      const row = panel.rows.find((each) => each.name === name && each.at === at);
      return row === undefined ? ['', '', ''] : cellsOf(panel, row);
    }),
  }));
}

function cellsOf(panel: Panel, row: PanelRow): readonly string[] {
  const [low, high] = spread(row.rounds).map((figure) => textOf(figure, panel.unit));
  const times = ratio(row.rounds, baseOf(panel, row).rounds);
  return [
    textOf(median(row.rounds), panel.unit),
    low === high ? '' : `${low} – ${high}`,
    `${timesText(times)}${isTie(panel, row) ? ' tie' : ''}`,
  ];
}

const timesText = (times: number): string =>
  Number.isFinite(times) ? `${times.toFixed(times < 0.095 ? 4 : 2)} ×` : '';

/** What the baseline differs from itself, of each figure. */
function noiseOf(panels: readonly Panel[]): string {
  const floors = panels.flatMap((panel) => {
    const floor = noise(panel);
    return floor === undefined ? [] : [`${panel.figure} ${(100 * floor).toFixed(1)} %`];
  });
  const base = panels[0]?.rows[0]?.name;
  return floors.length === 0
    ? 'measured once a round: how far it is from itself is not known'
    : `${base} measured twice in each round is apart by ${floors.join(', ')}; what differs less is a tie`;
}

export interface Outcome {
  readonly reached: boolean;
  readonly line: string;
}

/** Whether the goal was reached in this run, and by how much. */
export function outcomeOf({ subject, of, atMost }: Goal, panel: Panel): Outcome {
  const [row, base] = [rowOf(panel, subject), rowOf(panel, of)];
  return verdictOf(subject, of, atMost, ratio(row.rounds, base.rounds));
}

/** `found`: how many times as much `subject` costs as `of`, which may be `atMost` so many. */
export function verdictOf(subject: string, of: string, atMost: number, found: number): Outcome {
  return judged(
    found <= atMost,
    `${subject} at most ${atMost} × ${of}; it is ${found.toFixed(2)} ×`,
  );
}

/** `goal`: what was to be, and what is. */
export function judged(reached: boolean, goal: string): Outcome {
  return { reached, line: `${reached ? 'reached' : 'MISSED'}: ${goal}` };
}

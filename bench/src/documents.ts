import { capacityOf } from './capacity.ts';
import type { Panel, PanelRow } from './panel.ts';
import { median, noise, ratio } from './ratio.ts';
import { bySetting, linesOf } from './report.ts';
import type { ResultFile } from './result-file.ts';
import { textOf } from './unit.ts';

/** A document asks for something that can't be; the message says where. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
}

/** `<!-- figures: hit -->`, what was filled in last, `<!-- end of figures -->`. */
const PLACE = /(<!-- figures: ([^\n]+?) -->\n)([\s\S]*?)(<!-- end of figures -->)/g;

/**
 * The document with its tables of figures from this file. A place names a scenario, or something that
 * is made of several: `three`, `capacity`, `source`. What the file does not have stays as it is.
 *
 * Throws: {@link DocumentError} for a place that does not end.
 */
export function filledIn(name: string, text: string, file: ResultFile, source: string): string {
  const begun = text.match(/<!-- figures: /g)?.length ?? 0;
  const ended = [...text.matchAll(PLACE)].length;
  if (begun !== ended) throw new DocumentError(`${name}: a place for figures has no end`);
  return text.replace(PLACE, (whole, begin: string, what: string, _, end: string) => {
    const filling = fillingOf(what, file, source);
    return filling === undefined ? whole : `${begin}${filling.trim()}\n${end}`;
  });
}

function fillingOf(what: string, file: ResultFile, source: string): string | undefined {
  switch (what) {
    case 'source':
      return sourceText(file, source);
    case 'three':
      return threeText(file);
    case 'capacity':
      return capacityText(file);
    default: {
      const scenario = file.scenarios.find(({ name }) => name === what);
      if (scenario === undefined || scenario.panels.length === 0) return undefined;
      const goals = scenario.outcomes.map(({ line }) => `- ${line}`).join('\n');
      return `${tablesOf(scenario.panels)}\n\n${goals}`;
    }
  }
}

function sourceText(
  { date, effort, commit, machine, versions }: ResultFile,
  source: string,
): string {
  const of = (names: readonly string[]): string =>
    names.map((name) => `${name} ${versions.packages[name]}`).join(', ');
  const measured = Object.keys(versions.packages).filter(
    (name) => versions.packages[name] !== 'of this commit',
  );
  const commitText =
    commit === null
      ? ''
      : `, commit ${commit.id.slice(0, 12)}${commit.isChanged ? ' and changes' : ''}`;
  const effortText = effort === 'quick' ? ' **A quick run: a first look, and no more.**' : '';
  return `\`${source}\`: ${date.slice(0, 10)}${commitText}, Node ${versions.node}, ${versions.redis}, ${machine.cores} × ${machine.cpu}, ${textOf(machine.memoryBytes, 'bytes')}, ${machine.os}, load ${machine.load.toFixed(1)} when it began. ${of(measured)}.${effortText}`;
}

/** Markdown tables, one for the panels of each setting. */
function tablesOf(panels: readonly Panel[]): string {
  return [...bySetting(panels).values()].map(tableOf).join('\n\n');
}

function tableOf(panels: readonly Panel[]): string {
  const [{ setting, along }] = panels as readonly [Panel];
  const head = [
    setting,
    ...(along === undefined ? [] : [along]),
    ...panels.flatMap(({ figure }) => [figure, 'middle half', 'ratio']),
  ];
  const rows = linesOf(panels).map(({ name, at, cells }) => [name, ...at, ...cells]);
  const floors = panels.flatMap((panel) => {
    const floor = noise(panel);
    return floor === undefined ? [] : [`${panel.figure} ${(100 * floor).toFixed(1)} %`];
  });
  const table = [head, head.map((_, column) => (column === 0 ? ':--' : '--:')), ...rows];
  return [
    table.map((cells) => `| ${cells.join(' | ')} |`).join('\n'),
    ...(floors.length === 0 ? [] : [`\nThe first row against itself: ${floors.join(', ')}.`]),
  ].join('\n');
}

/** The three figures that matter most, each with its command. */
function threeText(file: ResultFile): string | undefined {
  const lines = THREE.map(({ says, scenario, setting, figure, subject, of }) => {
    const panel = file.scenarios
      .find(({ name }) => name === scenario)
      ?.panels.find((each) => each.setting.startsWith(setting) && each.figure === figure);
    const row = panel?.rows.find(({ name }) => name === subject);
    if (panel === undefined || row === undefined) return undefined;
    const others = of(panel).map(
      (other) => `${timesBetween(panel, row, other)} than ${other.name}`,
    );
    return `| ${says} | ${textOf(median(row.rounds), panel.unit)} | ${others.join(', ')} | \`npm run bench -- ${scenario}\` |`;
  });
  if (lines.some((line) => line === undefined)) return undefined;
  return ['| | | | |', '|:--|--:|:--|:--|', ...lines].join('\n');
}

function timesBetween({ better }: Panel, row: PanelRow, other: PanelRow): string {
  const times = ratio(other.rounds, row.rounds);
  const isAhead = times >= 1 === (better === 'less');
  const factor = times >= 1 ? times : 1 / times;
  return `${factor.toFixed(1)} × ${isAhead ? 'better' : 'worse'}`;
}

/** Of the peers, the one that is nearest. */
function nearest({ rows, better }: Panel): readonly PanelRow[] {
  const peers = rows
    .filter(({ standing }) => standing === 'peer')
    .sort((a, b) => median(a.rounds) - median(b.rounds));
  const best = better === 'less' ? peers[0] : peers.at(-1);
  return best === undefined ? [] : [best];
}

const THREE = [
  {
    says: 'A value that is in the process already',
    scenario: 'hit',
    setting: 'object',
    figure: 'a call',
    subject: 'redcache: await cache.get(key, loader)',
    of: (panel: Panel): readonly PanelRow[] => [panel.rows[0] as PanelRow, ...nearest(panel)],
  },
  {
    says: 'A foreign write until the local copy is gone, p50',
    scenario: 'invalidation',
    setting: '1 process',
    figure: 'p50',
    subject: 'redcache',
    of: nearest,
  },
  {
    says: 'A lock that goes from one of 20 holders to the next, p50',
    scenario: 'locks-hand-over',
    setting: '20 contenders',
    figure: 'p50',
    subject: 'redcache',
    of: nearest,
  },
] as const;

function capacityText(file: ResultFile): string | undefined {
  const rows = capacityOf(file);
  if (rows === undefined) return undefined;
  return [
    '| processes | keys | in default mode, each read by one | by all | in broadcast mode |',
    '|--:|--:|--:|--:|--:|',
    ...rows.map(({ processes, keys, byOne, byAll, broadcast }) =>
      [
        '',
        processes.toLocaleString('en'),
        keys.toLocaleString('en'),
        ...[byOne, byAll, broadcast].map((bytes) => textOf(bytes, 'bytes')),
        '',
      ]
        .join(' | ')
        .trim(),
    ),
  ].join('\n');
}

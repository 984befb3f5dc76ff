import type { Panel } from '../src/panel.ts';
import { RESULT_SCHEMA, type ResultFile } from '../src/result-file.ts';

/** A limit of 100 ns, and ours at 200, in three quiet rounds. */
export const examplePanel: Panel = {
  setting: '',
  figure: 'a call',
  unit: 'ns',
  better: 'less',
  rows: [
    { name: 'limit', standing: 'limit', rounds: [100, 100, 100] },
    { name: 'ours', standing: 'ours', rounds: [200, 200, 200] },
    { name: 'peer', standing: 'peer', rounds: [2000, 2000, 2000] },
  ],
  again: [100, 101, 101],
};

export const fileOf = (...panels: readonly Panel[]): ResultFile => ({
  schema: RESULT_SCHEMA,
  date: '2026-01-02T03:04:05.000Z',
  effort: 'full',
  commit: { id: '0'.repeat(40), isChanged: false },
  machine: { cpu: 'Example 3000', cores: 2, memoryBytes: 4e9, os: 'Linux 6 x64', load: 0.1 },
  versions: { node: '20.19.0', redis: 'Redis 7.0.15', packages: { mitata: '1.0.34' } },
  scenarios: [{ name: 'hit', question: 'How long?', tookMs: 1000, panels, outcomes: [] }],
});

/** The panel with the figures of one row times so many, both times that it was measured. */
export const changed = (panel: Panel, name: string, times: number): Panel => ({
  ...panel,
  again: panel.rows[0]?.name === name ? panel.again?.map((figure) => figure * times) : panel.again,
  rows: panel.rows.map((row) =>
    row.name === name ? { ...row, rounds: row.rounds.map((figure) => figure * times) } : row,
  ),
});

import { describe, expect, test } from 'vitest';
import type { Panel } from '../src/panel.ts';
import { compare } from '../src/regression.ts';
import { changed, examplePanel, fileOf } from './result-examples.ts';

const verdicts = (before: Panel, after: Panel) =>
  compare(fileOf(before), fileOf(after)).changes.map(({ row, verdict }) => [row.name, verdict]);

describe('a row of ours', () => {
  test('that is as it was is the same', () => {
    expect(verdicts(examplePanel, examplePanel)).toEqual([['ours', 'same']]);
  });

  test('that takes longer by more than the noise of both is worse, and the other way better', () => {
    expect(verdicts(examplePanel, changed(examplePanel, 'ours', 1.1))).toEqual([['ours', 'worse']]);
    expect(verdicts(examplePanel, changed(examplePanel, 'ours', 0.9))).toEqual([
      ['ours', 'better'],
    ]);
  });

  test('of which more is better is worse when it is less', () => {
    const rate: Panel = { ...examplePanel, unit: '/s', better: 'more' };
    expect(verdicts(rate, changed(rate, 'ours', 0.9))).toEqual([['ours', 'worse']]);
    expect(verdicts(rate, changed(rate, 'ours', 1.1))).toEqual([['ours', 'better']]);
  });

  test('that differs by less than the baselines did from themselves is the same', () => {
    const noisy: Panel = { ...examplePanel, again: [108, 108, 108] };
    expect(verdicts(noisy, changed(noisy, 'ours', 1.1))).toEqual([['ours', 'same']]);
    expect(verdicts(noisy, changed(noisy, 'ours', 1.2))).toEqual([['ours', 'worse']]);
  });

  test('whose rounds are far apart is told apart only beyond that', () => {
    const rows = examplePanel.rows.map((row) =>
      row.name === 'ours' ? { ...row, rounds: [160, 200, 240] } : row,
    );
    const wide: Panel = { ...examplePanel, rows };
    expect(verdicts(wide, changed(wide, 'ours', 1.3))).toEqual([['ours', 'same']]);
    expect(verdicts(wide, changed(wide, 'ours', 1.5))).toEqual([['ours', 'worse']]);
  });

  test('is not to blame for what became of the limit as well: that is the machine', () => {
    const slower = ['limit', 'ours', 'peer'].reduce(
      (panel, name) => changed(panel, name, 1.5),
      examplePanel,
    );
    expect(verdicts(examplePanel, slower)).toEqual([['ours', 'same']]);
    const hidden = changed(examplePanel, 'limit', 0.8);
    expect(verdicts(examplePanel, hidden)).toEqual([['ours', 'worse']]);
  });

  test('is compared with the peers where there is no limit', () => {
    const rows = examplePanel.rows.filter(({ standing }) => standing !== 'limit');
    const panel: Panel = { ...examplePanel, rows };
    const slower = changed(changed(panel, 'ours', 1.5), 'peer', 1.5);
    expect(verdicts(panel, slower)).toEqual([['ours', 'same']]);
  });

  test('that was nothing and is something is worse', () => {
    const none = changed(examplePanel, 'ours', 0);
    expect(verdicts(none, none)).toEqual([['ours', 'same']]);
    expect(verdicts(none, examplePanel)).toEqual([['ours', 'worse']]);
  });
});

test('nobody is to blame for what became of a peer', () => {
  expect(verdicts(examplePanel, changed(examplePanel, 'peer', 3))).toEqual([['ours', 'same']]);
});

test('rows are compared place by place', () => {
  const at = (place: number, panel: Panel) => panel.rows.map((row) => ({ ...row, at: place }));
  const curve = (high: Panel): Panel => ({
    ...examplePanel,
    along: 'keys',
    again: undefined,
    rows: [...at(1, examplePanel), ...at(1000, high)],
  });
  const after = curve(changed(examplePanel, 'ours', 2));
  const { changes } = compare(fileOf(curve(examplePanel)), fileOf(after));
  expect(changes.map(({ row, verdict }) => [row.at, verdict])).toEqual([
    [1, 'same'],
    [1000, 'worse'],
  ]);
});

test('what only one of the two has is said, of scenarios that both have', () => {
  const other: Panel = { ...examplePanel, figure: 'allocated', unit: 'bytes' };
  expect(compare(fileOf(examplePanel), fileOf(examplePanel, other)).missing).toEqual([
    'hit, allocated, ours: only after',
  ]);
  expect(compare(fileOf(examplePanel, other), fileOf(examplePanel)).missing).toEqual([
    'hit, allocated, ours: only before',
  ]);
  expect(compare(fileOf(examplePanel), { ...fileOf(), scenarios: [] }).missing).toEqual([]);
});

import { describe, expect, test } from 'vitest';
import { draw } from '../src/charts/draw.ts';
import { NoPictureError, PICTURES, pictureOf } from '../src/charts/pictures.ts';
import { THEMES } from '../src/charts/theme.ts';
import type { Panel } from '../src/panel.ts';
import { examplePanel, fileOf } from './result-examples.ts';

const picture = { title: 'A title', note: 'a note', panel: examplePanel };
const curve: Panel = {
  ...examplePanel,
  along: 'keys',
  again: undefined,
  rows: [1, 1000].flatMap((at) => examplePanel.rows.map((row) => ({ ...row, at }))),
};

describe.each([
  ['bars', examplePanel],
  ['lines', curve],
])('%s', (_, panel) => {
  test('have the title, the note and the name of each row', () => {
    const svg = draw({ ...picture, panel }, 'light');
    for (const { name } of panel.rows) expect(svg).toContain(`>${name}</text>`);
    expect(svg).toContain('>A title</text>');
    expect(svg).toContain('>a note</text>');
  });

  test('are the same each time, whatever was drawn before', () => {
    const first = draw({ ...picture, panel }, 'light');
    draw({ ...picture, panel: panel === curve ? examplePanel : curve }, 'dark');
    expect(draw({ ...picture, panel }, 'light')).toBe(first);
  });

  test('have letters for what is behind them, and no background of their own', () => {
    for (const theme of ['light', 'dark'] as const) {
      const svg = draw({ ...picture, panel }, theme);
      expect(svg).toContain(THEMES[theme].text);
      expect(svg).not.toContain(THEMES[theme === 'light' ? 'dark' : 'light'].text);
      expect(svg).toMatch(/<rect [^>]*fill="(none|transparent)"/);
    }
  });
});

test('the bars say the figure of each row', () => {
  const svg = draw(picture, 'light');
  for (const text of ['100 ns', '200 ns', '2.00 µs']) expect(svg).toContain(`>${text}</text>`);
});

test('a picture of the documentation is found by its scenario, and says what it was measured on', () => {
  const other = { ...examplePanel, setting: 'string of 100 bytes' };
  const meant = { ...examplePanel, setting: 'object of 20 fields' };
  const { panel, note } = pictureOf('hit', fileOf(other, meant));
  expect(panel).toBe(meant);
  expect(note).toBe(
    'object of 20 fields · less is better · Node 20.19.0, Redis 7.0.15, 2 × Example 3000 · 2026-01-02',
  );
});

test('what the file does not have is not drawn', () => {
  const others = Object.keys(PICTURES).filter((name) => name !== 'hit');
  for (const name of others)
    expect(() => pictureOf(name, fileOf(examplePanel))).toThrow(NoPictureError);
});

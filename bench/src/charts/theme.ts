import type { Standing } from '../panel.ts';

export type ThemeName = 'light' | 'dark';

/** Colours on whatever the page has behind a picture, which is transparent itself. */
export interface Theme {
  readonly text: string;
  readonly quiet: string;
  readonly line: string;
  readonly standings: Readonly<Record<Standing, string>>;
  /** Of lines, which differ by more than their standing. */
  readonly series: readonly string[];
}

export const THEMES: Readonly<Record<ThemeName, Theme>> = {
  light: {
    text: '#1f2328',
    quiet: '#59636e',
    line: '#d1d9e0',
    standings: { ours: '#c93c37', peer: '#8c959f', limit: '#54aeff' },
    series: ['#c93c37', '#0969da', '#1a7f37', '#9a6700', '#8250df', '#59636e'],
  },
  dark: {
    text: '#f0f6fc',
    quiet: '#9198a1',
    line: '#3d444d',
    standings: { ours: '#ff7b72', peer: '#6e7681', limit: '#388bfd' },
    series: ['#ff7b72', '#58a6ff', '#3fb950', '#d29922', '#bc8cff', '#9198a1'],
  },
};

/** What figures are counted in. `share`: a part of one; `count`: how many of something. */
export const UNITS = ['ns', 'µs', 'ms', '/s', 'bytes', 'count', 'share'] as const;
export type Unit = (typeof UNITS)[number];

interface Step {
  readonly from: number;
  readonly name: string;
}

const NANOSECONDS: Readonly<Record<'ns' | 'µs' | 'ms', number>> = { ns: 1, µs: 1e3, ms: 1e6 };
const TIMES: readonly Step[] = [
  { from: 1e9, name: ' s' },
  { from: 1e6, name: ' ms' },
  { from: 1e3, name: ' µs' },
  { from: 1, name: ' ns' },
];
const RATES: readonly Step[] = [
  { from: 1e6, name: ' M/s' },
  { from: 1e4, name: ' k/s' },
  { from: 1, name: ' /s' },
];
const BYTES: readonly Step[] = [
  { from: 1e9, name: ' GB' },
  { from: 1e6, name: ' MB' },
  { from: 1e4, name: ' kB' },
  { from: 1, name: ' B' },
];

/** A figure for people, in three digits: `1.23 µs`, `45.6 k/s`. */
export function textOf(figure: number, unit: Unit): string {
  switch (unit) {
    case 'ns':
    case 'µs':
    case 'ms':
      return scaled(figure * NANOSECONDS[unit], TIMES);
    case '/s':
      return scaled(figure, RATES);
    case 'bytes':
      return scaled(figure, BYTES);
    case 'count':
      return digits(figure);
    case 'share':
      return `${digits(100 * figure)} %`;
  }
}

function scaled(figure: number, steps: readonly Step[]): string {
  const step = steps.find(({ from }) => Math.abs(figure) >= from) ?? (steps.at(-1) as Step);
  // Thousands begin at a thousand, also where their name is used from ten thousand only.
  const divisor = step.from === 1e4 ? 1e3 : step.from;
  return `${digits(figure / divisor)}${step.name}`;
}

/** Three digits, and all of those before the point. */
function digits(figure: number): string {
  if (figure === 0) return '0';
  const before = Math.floor(Math.log10(Math.abs(figure))) + 1;
  if (before > 3) return Math.round(figure).toLocaleString('en');
  return figure.toFixed(Math.min(3, Math.max(0, 3 - before)));
}

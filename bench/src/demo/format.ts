const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** `12,345` */
export const count = (value: number): string => whole.format(value);

/** `97.3 %`; a part of nothing is nothing. */
export const percent = (part: number, all: number): string =>
  `${all === 0 ? '0.0' : ((100 * part) / all).toFixed(1)} %`;

/** `2.1 µs`, `3.4 ms`, `1.2 s`: three digits at most, whatever the size. */
export function time(ms: number): string {
  if (ms === 0) return '0';
  if (ms < 1) return `${digits(ms * 1e3)} µs`;
  if (ms < 1e3) return `${digits(ms)} ms`;
  return `${digits(ms / 1e3)} s`;
}

const digits = (value: number): string => (value < 100 ? value.toFixed(1) : whole.format(value));

/** `1 read`, `2 reads` */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

import { ConfigError, show } from './errors.ts';

/** Milliseconds as a number, or a number with its unit: `'250ms'`, `'10s'`, `'5m'`, `'2h'`, `'1d'`. */
export type Duration = number | `${number}${Unit}`;

type Unit = 'ms' | 's' | 'm' | 'h' | 'd';

const UNIT_MS: Record<Unit, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const WITH_UNIT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * A duration in whole milliseconds.
 *
 * Throws: {@link ConfigError} naming `name` for 0, negative numbers, fractions of a millisecond,
 * NaN, infinities, anything from 2^53 and anything that is no duration.
 */
export function durationMs(value: unknown, name: string): number {
  const ms = read(value);
  if (ms === undefined)
    throw new ConfigError(
      `${name} must be a duration such as 250, '250ms', '10s', '5m', '2h' or '1d', not ${show(value)}`,
    );
  if (!Number.isSafeInteger(ms) || ms < 1)
    throw new ConfigError(
      `${name} must be a whole number of milliseconds from 1 to 2^53 - 1, not ${show(value)}`,
    );
  return ms;
}

function read(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const [, amount, unit] = WITH_UNIT.exec(value) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  const ms = Number(amount) * UNIT_MS[unit as Unit];
  const whole = Math.round(ms);
  // '1.001s' times 1000 is a little less than 1001.
  return Math.abs(ms - whole) <= ms * Number.EPSILON ? whole : ms;
}

import type { Duration } from '../duration.ts';
import { ConfigError, show } from '../errors.ts';
import { duration, flag, type OptionReader, optional } from '../options.ts';

/**
 * What the server is asked to track.
 *
 * - `'default'`: every key that the connection reads; the server remembers each.
 * - `'optin'`: only reads that announce it with `CLIENT CACHING YES`, which costs one more command
 *   each; for connections that read far more than they keep.
 * - `{ broadcast: prefixes }`: every key that begins with one of the prefixes, read or not. The server
 *   remembers no keys, and pushes every change to everyone. `''` is every key.
 */
export type TrackingMode = 'default' | 'optin' | { readonly broadcast: readonly string[] };

export interface TrackingOptions {
  readonly mode?: TrackingMode;
  /** Own writes are not pushed back; default false. Only where own writes are fenced. */
  readonly noLoop?: boolean;
  /**
   * The longest that an outdated copy may be served when a connection dies without a word; default
   * '2s'. One that is not heard for so long serves no hits and is replaced. `false`: never.
   */
  readonly maxStaleness?: Duration | false;
  /** Replace a connection that is silent; default true. Otherwise it only serves no hits. */
  readonly replaceSilent?: boolean;
}

/** The options as the session needs them. */
export interface TrackingRules {
  readonly mode: TrackingMode;
  readonly noLoop: boolean;
  /** Infinity: silence is not noticed. */
  readonly maxStalenessMs: number;
  readonly replaceSilent: boolean;
}

export const DEFAULT_RULES: TrackingRules = {
  mode: 'default',
  noLoop: false,
  maxStalenessMs: 2_000,
  replaceSilent: true,
};

/** A heartbeat needs some time for its round trip. */
const SHORTEST_STALENESS_MS = 50;

const modeOption: OptionReader<TrackingMode> = (value, name) => {
  if (value === 'default' || value === 'optin') return value;
  const prefixes = (value as { broadcast?: unknown } | null)?.broadcast;
  if (!Array.isArray(prefixes) || !prefixes.every((each) => typeof each === 'string'))
    throw new ConfigError(
      `${name} must be 'default', 'optin' or { broadcast: [prefix, …] }, got ${show(value)}`,
    );
  if (prefixes.length === 0)
    throw new ConfigError(`${name}.broadcast needs a prefix; '' is every key`);
  // The server refuses them, but only when the connection is already up.
  for (const [i, one] of prefixes.entries())
    for (const [j, other] of prefixes.entries())
      if (i !== j && other.startsWith(one))
        throw new ConfigError(
          `${name}.broadcast: '${one}' and '${other}' overlap, which the server refuses`,
        );
  return { broadcast: [...prefixes] };
};

const stalenessOption: OptionReader<number> = (value, name) => {
  if (value === false) return Number.POSITIVE_INFINITY;
  const ms = duration(value, name);
  if (ms < SHORTEST_STALENESS_MS)
    throw new ConfigError(
      `${name} must be at least ${SHORTEST_STALENESS_MS} ms, got ${show(value)}`,
    );
  return ms;
};

export const trackingReaders: {
  readonly mode: OptionReader<TrackingMode>;
  readonly noLoop: OptionReader<boolean>;
  readonly maxStaleness: OptionReader<number>;
  readonly replaceSilent: OptionReader<boolean>;
} = {
  mode: optional(modeOption, DEFAULT_RULES.mode),
  noLoop: optional(flag, DEFAULT_RULES.noLoop),
  maxStaleness: optional(stalenessOption, DEFAULT_RULES.maxStalenessMs),
  replaceSilent: optional(flag, DEFAULT_RULES.replaceSilent),
};

/** Throws `ConfigError` for what cannot be combined. */
export function trackingRules(read: {
  readonly mode: TrackingMode;
  readonly noLoop: boolean;
  readonly maxStaleness: number;
  readonly replaceSilent: boolean;
}): TrackingRules {
  if (read.noLoop && typeof read.mode === 'object')
    throw new ConfigError(
      'noLoop cannot be combined with broadcast: the server then loses pushes of foreign writes',
    );
  const { mode, noLoop, maxStaleness, replaceSilent } = read;
  return { mode, noLoop, maxStalenessMs: maxStaleness, replaceSilent };
}

/** Whether a change of all these keys would be pushed in this mode. */
export function covers(mode: TrackingMode, keys: readonly string[]): boolean {
  if (typeof mode === 'string') return true;
  return keys.every((key) => mode.broadcast.some((prefix) => key.startsWith(prefix)));
}

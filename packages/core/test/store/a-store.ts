import { Entry } from '../../src/store/entry.ts';
import { policyOf } from '../../src/store/policies/policy-of.ts';
import type { PolicyName } from '../../src/store/policy.ts';
import { Source } from '../../src/store/source.ts';
import { type EvictionCause, Store } from '../../src/store/store.ts';

/** A store, and what it said of those that left. */
export function aStore({ maxEntries = 10, maxBytes = 100_000, policy = 'lru' as PolicyName } = {}) {
  const evicted: [EvictionCause, number][] = [];
  const store = new Store({ maxEntries, maxBytes }, policyOf<Entry>(policy), (cause, count) =>
    evicted.push([cause, count]),
  );
  return { store, evicted };
}

/** A connection whose pushes were seen and that may be silent for ever. */
export function aSource(): Source {
  const source = new Source();
  source.tracked = true;
  source.servesUntilMs = Number.POSITIVE_INFINITY;
  return source;
}

interface Filing {
  readonly source?: Source;
  readonly bytes?: number;
  readonly echoes?: number;
  readonly deadlineAtMs?: number;
}

/** What was read of one key. */
export function valueIn(key: string, { rest = '', ...filing }: Filing & { rest?: string } = {}) {
  return entryOf({ key, rest, keys: undefined }, filing);
}

/** The reply of a command of several keys. */
export function replyOf(signature: string, keys: readonly string[], filing: Filing = {}) {
  return entryOf({ key: signature, rest: '', keys }, filing);
}

function entryOf(place: Pick<Entry, 'key' | 'rest' | 'keys'>, filing: Filing): Entry {
  return new Entry({
    kind: 'present',
    value: {},
    deadlineAtMs: filing.deadlineAtMs ?? Number.POSITIVE_INFINITY,
    source: filing.source ?? aSource(),
    bytes: filing.bytes ?? 1,
    echoes: filing.echoes ?? 0,
    ...place,
  });
}

/** How it is called here: `key rest`, or the signature. */
export const nameOf = ({ key, rest }: Entry): string => (rest === '' ? key : `${key} ${rest}`);

/** Those that may be served, by name. */
export const names = (store: Store): string[] =>
  [...store]
    .filter(({ source }) => !source.lost)
    .map(nameOf)
    .sort();

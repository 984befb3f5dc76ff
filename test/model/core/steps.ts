import type { PolicyName } from '@redcache/core';
import fc from 'fast-check';
import type { LineTraits } from './line.ts';
import type { Half } from './node.ts';

/** Two keys in each half of the slots, since a command of several keys needs them in one. */
export const KEYS = ['{a}1', '{a}2', '{b}1', '{b}2'] as const;
/** What of a key is read: its value, or its length. */
export const RESTS = ['GET', 'STRLEN'] as const;
export type Rest = (typeof RESTS)[number];

/** What a listener of a key does when it is called, beside looking whether anything is outdated. */
export type Reaction = 'nothing' | 'throw' | 'read' | 'clear' | 'write' | 'stop';

/** How a world is, for the whole of its run. */
export interface Setting {
  /** 1: a single server. More: a cluster, whose slots move. */
  readonly nodes: 1 | 2 | 3;
  /** To each of the servers. */
  readonly connections: 1 | 2 | 3;
  readonly mode: 'default' | 'optin' | { readonly broadcast: readonly string[] };
  readonly noLoop: boolean;
  readonly maxStaleness: number | false;
  readonly replaceSilent: boolean;
  readonly store: PolicyName;
  /** By key; none: nobody listens to anything. */
  readonly listeners: readonly Reaction[] | undefined;
  readonly evictedThrows: boolean;
}

/** `by`: which of the connections that come into question. */
interface By {
  readonly by: number;
}
interface OfKey {
  readonly key: string;
}

/** One thing that happens: to a server, on the wire, or by a caller of the engine. */
export type Step =
  | ({ readonly is: 'read'; readonly rest: Rest } & OfKey & By)
  | ({ readonly is: 'read-two'; readonly half: Half } & By)
  | ({ readonly is: 'read-many'; readonly half: Half; readonly rest: Rest } & By)
  | ({ readonly is: 'guarded' | 'own-script' } & OfKey & By)
  | ({ readonly is: 'lookup' } & OfKey)
  | ({ readonly is: 'own-write'; readonly how: 'fence' | 'wrote' } & OfKey & By)
  | ({ readonly is: 'own-flush' } & By)
  | ({ readonly is: 'write'; readonly ttlMs: number | undefined } & OfKey)
  | ({ readonly is: 'touch'; readonly ttlMs: number } & OfKey)
  | ({ readonly is: 'delete' } & OfKey)
  | { readonly is: 'write-two'; readonly half: Half }
  | { readonly is: 'flush' | 'expire'; readonly node: number }
  | { readonly is: 'move'; readonly half: Half; readonly to: number; readonly how: MoveHow }
  /** The server runs so many of the commands that have reached it. */
  | ({ readonly is: 'execute'; readonly commands: number } & By)
  /** So many frames arrive in one chunk: no continuation runs between them. */
  | ({ readonly is: 'deliver'; readonly frames: number } & By)
  /** All that was asked is answered, and what is asked upon that. */
  | ({ readonly is: 'exchange' } & By)
  | ({ readonly is: 'connect'; readonly traits: LineTraits } & By)
  | ({ readonly is: 'disconnect' | 'block' | 'leave' | 'join' } & By)
  /** Nothing arrives any more, but for so many frames. */
  | ({ readonly is: 'silence'; readonly frames: number } & By)
  /** RESET by the user, whose client may or may not have said so. */
  | ({ readonly is: 'reset'; readonly told: boolean } & By)
  /** Time goes by: while everything is answered that can be, while nothing is, while timers wait too. */
  | { readonly is: 'pass' | 'advance' | 'jump'; readonly byMs: number }
  | { readonly is: 'clear' | 'close' };

type MoveHow = 'migrate' | 'fail-over';

const REACTIONS: readonly Reaction[] = ['nothing', 'throw', 'read', 'clear', 'write', 'stop'];

export const settings: fc.Arbitrary<Setting> = fc
  .record({
    nodes: fc.constantFrom(1, 1, 2, 3),
    connections: fc.constantFrom(1, 2, 3),
    mode: fc.constantFrom<Setting['mode'][]>(
      'default',
      'default',
      'optin',
      { broadcast: [''] },
      { broadcast: ['{a}', '{b}1'] },
    ),
    noLoop: fc.constantFrom(false, false, true),
    maxStaleness: fc.constantFrom<(number | false)[]>(100, 100, 100, 100, false),
    replaceSilent: fc.constantFrom(true, true, true, false),
    store: fc.constantFrom<PolicyName[]>('lru', 'lfu', 'ttl'),
    listeners: fc.option(
      fc.array(fc.constantFrom(...REACTIONS), { minLength: KEYS.length, maxLength: KEYS.length }),
      { nil: undefined },
    ),
    evictedThrows: fc.boolean(),
  })
  // Refused at construction: broadcast without echoes of own writes.
  .map((setting) => ({ ...setting, noLoop: setting.noLoop && typeof setting.mode === 'string' }));

const LONGEST_LIFE = 80;

const key = fc.constantFrom('{a}1', '{a}1', '{a}1', '{a}2', '{b}1', '{b}2');
const by = fc.nat(5);
const half = fc.constantFrom<Half[]>(0, 1, 1);
const rest = fc.constantFrom<Rest[]>('GET', 'GET', 'STRLEN');
const traits = fc.constantFrom<LineTraits[]>(
  ...Array.from({ length: 6 }, () => ({ refuses: false, swallows: false, readOnly: false })),
  { refuses: true, swallows: false, readOnly: false },
  { refuses: false, swallows: true, readOnly: false },
  { refuses: false, swallows: false, readOnly: true },
  { refuses: false, swallows: true, readOnly: true },
);
const is = <S extends string>(...names: S[]): fc.Arbitrary<S> => fc.constantFrom(...names);

const weighted: readonly (readonly [weight: number, fc.Arbitrary<Step>])[] = [
  [16, fc.record({ is: is('read'), key, rest, by })],
  [3, fc.record({ is: is('read-two'), half, by })],
  [3, fc.record({ is: is('read-many'), half, rest, by })],
  [3, fc.record({ is: is('guarded'), key, by })],
  [3, fc.record({ is: is('own-script'), key, by })],
  [5, fc.record({ is: is('lookup'), key })],
  [3, fc.record({ is: is('own-write'), key, how: fc.constantFrom('fence', 'wrote'), by })],
  [1, fc.record({ is: is('own-flush'), by })],
  [6, fc.record({ is: is('write'), key, ttlMs: fc.constantFrom(undefined, undefined, 30, 120) })],
  [1, fc.record({ is: is('touch'), key, ttlMs: fc.constantFrom(20, 200) })],
  [1, fc.record({ is: is('delete'), key })],
  [1, fc.record({ is: is('write-two'), half })],
  [1, fc.record({ is: is('flush', 'expire'), node: fc.nat(2) })],
  [1, fc.record({ is: is('move'), half, to: fc.nat(2), how: is('migrate', 'fail-over') })],
  [10, fc.record({ is: is('execute'), commands: fc.integer({ min: 1, max: 6 }), by })],
  [10, fc.record({ is: is('deliver'), frames: fc.integer({ min: 1, max: 6 }), by })],
  [16, fc.record({ is: is('exchange'), by })],
  [1, fc.record({ is: is('connect'), traits, by })],
  [1, fc.record({ is: is('disconnect', 'block', 'leave', 'join'), by })],
  [1, fc.record({ is: is('silence'), frames: fc.nat(3), by })],
  [1, fc.record({ is: is('reset'), told: fc.boolean(), by })],
  [8, fc.record({ is: is('advance'), byMs: fc.constantFrom(1, 5, 10, 25) })],
  [4, fc.record({ is: is('pass'), byMs: fc.constantFrom(10, 25, 60, 120) })],
  [1, fc.record({ is: is('advance', 'pass'), byMs: fc.constantFrom(60, 120, 300, 1_100) })],
  [1, fc.record({ is: is('jump'), byMs: fc.constantFrom(5, 60, 300) })],
  [1, fc.record({ is: is('clear') })],
];

/** Rows of steps that chance hardly ever puts together, and that go on as chance will have it. */
const tales: readonly fc.Arbitrary<Step[]>[] = [
  // A reply that comes late, before a push that never does.
  fc
    .record({
      key,
      by,
      lateMs: fc.constantFrom(10, 25, 60),
      frames: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ key, by, lateMs, frames }) => [
      { is: 'read', key, rest: 'GET', by },
      { is: 'execute', commands: 6, by },
      { is: 'write', key, ttlMs: undefined },
      { is: 'advance', byMs: lateMs },
      { is: 'silence', frames, by },
      ...several(5, { is: 'advance', byMs: 25 }),
    ]),
  // A node that loses some of its slots without a word, and is used for the others all the time.
  fc.record({ half, by, to: fc.nat(2) }).map(({ half, by, to }) => {
    const [lost, kept] = half === 1 ? ['{a}1', '{b}1'] : ['{b}1', '{a}1'];
    return [
      { is: 'read', key: lost, rest: 'GET', by },
      { is: 'exchange', by: 0 },
      { is: 'exchange', by: 0 },
      { is: 'move', half, to, how: 'fail-over' },
      { is: 'write', key: lost, ttlMs: undefined },
      ...several(
        8,
        { is: 'write', key: kept, ttlMs: undefined },
        { is: 'read', key: kept, rest: 'GET', by },
        { is: 'pass', byMs: 20 },
      ),
    ];
  }),
];

function several(times: number, ...steps: readonly Step[]): Step[] {
  return Array.from({ length: times }, () => steps).flat();
}

/**
 * Each life has its own idea of what happens often and what never: some faults need one thing many
 * times over and another not once, which a fixed mixture hardly ever brings about.
 */
const mixtures: fc.Arbitrary<fc.Arbitrary<Step[]>> = fc
  .tuple(...weighted.map(() => fc.constantFrom(0, 1, 1, 1, 4, 4)))
  .map((factors) =>
    fc.oneof(
      ...tales.map((arbitrary) => ({ weight: 1, arbitrary })),
      ...weighted.map(([weight, arbitrary], i) => ({
        weight: weight * (factors[i] as number),
        arbitrary: arbitrary.map((step) => [step]),
      })),
    ),
  );

/** The life of one engine; one of ten is closed before its end. */
export const lives: fc.Arbitrary<Step[]> = mixtures
  .chain((mixture) =>
    fc.tuple(
      fc.array(mixture, { maxLength: LONGEST_LIFE, size: 'max' }),
      fc.nat(9),
      fc.nat(LONGEST_LIFE),
    ),
  )
  .map(([parts, closing, at]) =>
    closing === 9 ? parts.toSpliced(at, 1, [{ is: 'close' }]).flat() : parts.flat(),
  );

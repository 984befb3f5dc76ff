import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  INITIAL,
  type TrackingEffect,
  type TrackingEvent,
  type TrackingState,
} from '../../src/tracking/state.ts';
import { transition } from '../../src/tracking/transition.ts';

const reason = new Error('NOPERM');

const states: Record<TrackingState['is'], TrackingState> = {
  down: { is: 'down', generation: 3 },
  enabling: { is: 'enabling', generation: 3 },
  verifying: { is: 'verifying', generation: 3 },
  tracking: { is: 'tracking', generation: 3 },
  unverified: { is: 'unverified', generation: 3, reason: 'old' },
  untracked: { is: 'untracked', generation: 3, reason: 'old' },
  closed: { is: 'closed', generation: 3 },
};

const events = {
  connected: { is: 'connected' },
  enabled: { is: 'enabled', generation: 3 },
  'enabled, of an older generation': { is: 'enabled', generation: 2 },
  verified: { is: 'verified', generation: 3 },
  'verified, of an older generation': { is: 'verified', generation: 2 },
  unverifiable: { is: 'unverifiable', generation: 3, reason },
  'unverifiable, of an older generation': { is: 'unverifiable', generation: 2, reason },
  refused: { is: 'refused', generation: 3, reason },
  'refused, of an older generation': { is: 'refused', generation: 2, reason },
  changed: { is: 'changed' },
  retry: { is: 'retry' },
  disconnected: { is: 'disconnected' },
  close: { is: 'close' },
} satisfies Record<string, TrackingEvent>;

type Row = readonly [TrackingState, readonly TrackingEffect[]];

const lose: TrackingEffect = { do: 'lose' };
const serve: TrackingEffect = { do: 'serve' };
const report: TrackingEffect = { do: 'report' };

const anew: Row = [{ is: 'enabling', generation: 4 }, [lose, { do: 'enable', generation: 4 }]];
const down: Row = [{ is: 'down', generation: 3 }, [lose, report]];
const closed: Row = [{ is: 'closed', generation: 3 }, [lose, report]];
const refused: Row = [
  { is: 'untracked', generation: 3, reason },
  [lose, report, { do: 'retry-later' }],
];

/** What is not listed changes nothing and does nothing. */
const table: Record<TrackingState['is'], Partial<Record<keyof typeof events, Row>>> = {
  down: { connected: anew, close: closed },
  enabling: {
    connected: anew,
    enabled: [{ is: 'verifying', generation: 3 }, []],
    refused,
    changed: anew,
    disconnected: down,
    close: closed,
  },
  verifying: {
    connected: anew,
    verified: [{ is: 'tracking', generation: 3 }, [serve, report]],
    unverifiable: [{ is: 'unverified', generation: 3, reason }, [serve, report]],
    refused,
    changed: anew,
    disconnected: down,
    close: closed,
  },
  tracking: { connected: anew, changed: anew, disconnected: down, close: closed },
  unverified: { connected: anew, changed: anew, disconnected: down, close: closed },
  untracked: { connected: anew, retry: anew, disconnected: down, close: closed },
  closed: {},
};

describe.for(Object.keys(states) as TrackingState['is'][])('in %s', (is) => {
  test.for(Object.keys(events) as (keyof typeof events)[])('%s', (name) => {
    const state = states[is];
    expect(transition(state, events[name])).toEqual(table[is][name] ?? [state, []]);
  });
});

const generation = fc.nat(6);
const anyEvent: fc.Arbitrary<TrackingEvent> = fc.oneof(
  fc.constantFrom<TrackingEvent>(
    { is: 'connected' },
    { is: 'disconnected' },
    { is: 'changed' },
    { is: 'retry' },
  ),
  generation.map((generation): TrackingEvent => ({ is: 'enabled', generation })),
  generation.map((generation): TrackingEvent => ({ is: 'verified', generation })),
  generation.map((generation): TrackingEvent => ({ is: 'unverifiable', generation, reason })),
  generation.map((generation): TrackingEvent => ({ is: 'refused', generation, reason })),
);

const fills = ({ is }: TrackingState): boolean =>
  is === 'verifying' || is === 'tracking' || is === 'unverified';
const serves = ({ is }: TrackingState): boolean => is === 'tracking' || is === 'unverified';

/** The steps of a sequence of events, from the beginning or from `from`. */
function* walk(sequence: readonly TrackingEvent[], from: TrackingState = INITIAL) {
  let state = from;
  for (const event of sequence) {
    const [next, effects] = transition(state, event);
    yield { state, event, next, does: effects.map((effect) => effect.do) };
    state = next;
  }
}

const sequences = fc.array(anyEvent, { maxLength: 40 });

test('T2: whatever happens, what ends the filling of entries, or begins a generation, loses them first', () => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { state, next, does } of walk(sequence)) {
        const ends = fills(state) && !fills(next);
        const begins = next.generation !== state.generation;
        if (ends || begins) expect(does[0]).toBe('lose');
      }
    }),
  );
});

test('T3: whatever happens, only answers about the newest generation lead on, and it only rises', () => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { state, event, next, does } of walk(sequence)) {
        expect(next.generation - state.generation).toBe(does.includes('enable') ? 1 : 0);
        if ('generation' in event && event.generation !== state.generation)
          expect(next).toBe(state);
        if (event.is === 'connected') expect(next.is).toBe('enabling');
      }
    }),
  );
});

test('T1, T5: whatever happens, entries are served only after they could be filled, and never without `serve`', () => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { state, next, does } of walk(sequence)) {
        if (serves(next) && !serves(state)) {
          expect(state.is).toBe('verifying');
          expect(does).toContain('serve');
        }
        if (next.is === 'verifying' && state.is !== 'verifying') expect(state.is).toBe('enabling');
      }
    }),
  );
});

test('what was refused is asked for again, and nothing else is', () => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { state, next, does } of walk(sequence))
        expect(does.includes('retry-later')).toBe(
          next.is === 'untracked' && state.is !== 'untracked',
        );
    }),
  );
});

test('T4: closed stays closed whatever comes', () => {
  fc.assert(
    fc.property(sequences, (sequence) => {
      for (const { state, next, does } of walk(sequence, states.closed))
        expect([next, does]).toEqual([state, []]);
    }),
  );
});

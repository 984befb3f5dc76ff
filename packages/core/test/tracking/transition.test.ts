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
  tracking: { is: 'tracking', generation: 3 },
  untracked: { is: 'untracked', generation: 3, reason: 'old' },
  closed: { is: 'closed', generation: 3 },
};

const events = {
  connected: { is: 'connected' },
  enabled: { is: 'enabled', generation: 3 },
  'enabled of an older generation': { is: 'enabled', generation: 2 },
  refused: { is: 'refused', generation: 3, reason },
  'refused of an older generation': { is: 'refused', generation: 2, reason },
  disconnected: { is: 'disconnected' },
  close: { is: 'close' },
} satisfies Record<string, TrackingEvent>;

const flush = (cause: 'disconnect' | 'close'): TrackingEffect => ({ do: 'flush', cause });
const report = (state: 'tracking' | 'untracked' | 'down' | 'closed'): TrackingEffect => ({
  do: 'report',
  state,
});
const enable: TrackingEffect = { do: 'enable', generation: 4 };

type Row = readonly [TrackingState, readonly TrackingEffect[]];
const enabling: TrackingState = { is: 'enabling', generation: 4 };
const lost: Row = [{ is: 'down', generation: 3 }, [flush('disconnect'), report('down')]];
const closing: Row = [{ is: 'closed', generation: 3 }, [flush('close'), report('closed')]];

/** What is not listed changes nothing and does nothing. */
const table: Record<TrackingState['is'], Partial<Record<keyof typeof events, Row>>> = {
  down: { connected: [enabling, [enable]], close: closing },
  enabling: {
    connected: [enabling, [flush('disconnect'), enable]],
    enabled: [{ is: 'tracking', generation: 3 }, [report('tracking')]],
    refused: [{ is: 'untracked', generation: 3, reason }, [report('untracked')]],
    disconnected: lost,
    close: closing,
  },
  tracking: {
    connected: [enabling, [flush('disconnect'), enable]],
    disconnected: lost,
    close: closing,
  },
  untracked: {
    connected: [enabling, [flush('disconnect'), enable]],
    disconnected: lost,
    close: closing,
  },
  closed: {},
};

describe.for(Object.keys(states) as TrackingState['is'][])('in %s', (is) => {
  test.for(Object.keys(events) as (keyof typeof events)[])('%s', (name) => {
    const state = states[is];
    expect(transition(state, events[name])).toEqual(table[is][name] ?? [state, []]);
  });
});

const anyEvent = fc.oneof(
  fc.constant<TrackingEvent>({ is: 'connected' }),
  fc.constant<TrackingEvent>({ is: 'disconnected' }),
  fc.nat(6).map((generation): TrackingEvent => ({ is: 'enabled', generation })),
  fc.nat(6).map((generation): TrackingEvent => ({ is: 'refused', generation, reason })),
);

test('T2, T3: in any sequence of events what leaves tracking flushes, and only the newest generation gets there', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 30 }), (sequence) => {
      let state: TrackingState = INITIAL;
      for (const event of sequence) {
        const [next, effects] = transition(state, event);
        const flushes = effects.some((effect) => effect.do === 'flush');
        if (state.is === 'tracking' && next.is !== 'tracking') expect(flushes).toBe(true);
        if (next.is === 'tracking' && state.is !== 'tracking') {
          expect(state.is).toBe('enabling');
          expect(event).toEqual({ is: 'enabled', generation: next.generation });
        }
        if (event.is === 'connected') expect(next.generation).toBe(state.generation + 1);
        else expect(next.generation).toBe(state.generation);
        state = next;
      }
    }),
  );
});

test('T4: closed stays closed whatever comes', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 10 }), (sequence) => {
      let [state] = transition(states.tracking, { is: 'close' });
      for (const event of sequence) {
        const [next, effects] = transition(state, event);
        expect(next).toEqual({ is: 'closed', generation: 3 });
        expect(effects).toEqual([]);
        state = next;
      }
    }),
  );
});

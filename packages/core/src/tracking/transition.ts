import { assertNever } from '../assert-never.ts';
import type { TrackingEffect, TrackingEvent, TrackingState } from './state.ts';

type Step = readonly [TrackingState, readonly TrackingEffect[]];
type Open = Exclude<TrackingState, { is: 'closed' }>;

/** The protocol of `state.ts`, without clock, socket or promise. */
export function transition(state: TrackingState, event: TrackingEvent): Step {
  if (state.is === 'closed') return [state, []]; // guard: T4
  switch (event.is) {
    case 'connected':
      return anew(state);
    case 'changed':
      // A connection that is down or was never tracked has nothing to lose; `connected` will come.
      return state.is === 'down' || state.is === 'untracked' ? [state, []] : anew(state);
    case 'retry':
      return state.is === 'untracked' ? anew(state) : [state, []];
    case 'enabled':
      if (!concerns(state, event, 'enabling')) return [state, []]; // guard: T3
      return [{ is: 'verifying', generation: state.generation }, []];
    case 'verified':
      if (!concerns(state, event, 'verifying')) return [state, []]; // guard: T3
      return [
        { is: 'tracking', generation: state.generation },
        [{ do: 'serve' }, { do: 'report' }],
      ];
    case 'unverifiable':
      if (!concerns(state, event, 'verifying')) return [state, []]; // guard: T3
      return [
        { is: 'unverified', generation: state.generation, reason: event.reason },
        [{ do: 'serve' }, { do: 'report' }],
      ];
    case 'refused':
      if (!concerns(state, event, 'enabling', 'verifying')) return [state, []]; // guard: T3
      return [
        { is: 'untracked', generation: state.generation, reason: event.reason },
        [{ do: 'lose' }, { do: 'report' }, { do: 'retry-later' }],
      ];
    case 'disconnected':
      if (state.is === 'down') return [state, []];
      return [{ is: 'down', generation: state.generation }, [{ do: 'lose' }, { do: 'report' }]];
    case 'close':
      return [{ is: 'closed', generation: state.generation }, [{ do: 'lose' }, { do: 'report' }]];
    default:
      return assertNever(event);
  }
}

function concerns(
  state: Open,
  event: { readonly generation: number },
  ...states: readonly Open['is'][]
): boolean {
  return states.includes(state.is) && event.generation === state.generation;
}

/** A host that reconnects need not have said that it was down: what was read before is void. */
function anew(state: Open): Step {
  const generation = state.generation + 1;
  return [{ is: 'enabling', generation }, [{ do: 'lose' }, { do: 'enable', generation }]];
}

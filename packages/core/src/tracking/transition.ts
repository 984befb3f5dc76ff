import { assertNever } from '../assert-never.ts';
import type { TrackingEffect, TrackingEvent, TrackingState } from './state.ts';

type Step = readonly [TrackingState, readonly TrackingEffect[]];

/** The protocol of `state.ts`, without clock, socket or promise. */
export function transition(state: TrackingState, event: TrackingEvent): Step {
  if (state.is === 'closed') return [state, []];
  switch (event.is) {
    case 'connected':
      return connected(state);
    case 'enabled':
      if (state.is !== 'enabling' || event.generation !== state.generation) return [state, []];
      return [
        { is: 'tracking', generation: state.generation },
        [{ do: 'report', state: 'tracking' }],
      ];
    case 'refused':
      if (state.is !== 'enabling' || event.generation !== state.generation) return [state, []];
      return [
        { is: 'untracked', generation: state.generation, reason: event.reason },
        [{ do: 'report', state: 'untracked' }],
      ];
    case 'disconnected':
      if (state.is === 'down') return [state, []];
      return [
        { is: 'down', generation: state.generation },
        [
          { do: 'flush', cause: 'disconnect' },
          { do: 'report', state: 'down' },
        ],
      ];
    case 'close':
      return [
        { is: 'closed', generation: state.generation },
        [
          { do: 'flush', cause: 'close' },
          { do: 'report', state: 'closed' },
        ],
      ];
    default:
      return assertNever(event);
  }
}

/** A host that reconnects need not have said that it was down: what the old connection held is void. */
function connected(state: Exclude<TrackingState, { is: 'closed' }>): Step {
  const generation = state.generation + 1;
  const enable: TrackingEffect = { do: 'enable', generation };
  if (state.is === 'down') return [{ is: 'enabling', generation }, [enable]];
  return [{ is: 'enabling', generation }, [{ do: 'flush', cause: 'disconnect' }, enable]];
}

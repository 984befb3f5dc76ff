import { assertNever } from '../assert-never.ts';
import { publish } from '../channels.ts';
import type { Hub } from './hub.ts';
import { INITIAL, type TrackingEffect, type TrackingEvent, type TrackingState } from './state.ts';
import { transition } from './transition.ts';

/** Has tracking switched on, then dispatches `enabled` or `refused` with this generation. */
export type Enable = (generation: number) => void;

/** Drives the protocol of one connection: performs its effects and feeds what comes back. */
export class TrackingSession {
  readonly #hub: Hub;
  #enable: Enable;
  #state: TrackingState = INITIAL;

  /** Without `enable` a connection that comes up counts as tracked: its host saw to it. */
  constructor(
    hub: Hub,
    enable: Enable = (generation) => this.dispatch({ is: 'enabled', generation }),
  ) {
    this.#hub = hub;
    this.#enable = enable;
  }

  get state(): TrackingState {
    return this.#state;
  }

  set enable(enable: Enable) {
    this.#enable = enable;
  }

  dispatch(event: TrackingEvent): void {
    const [state, effects] = transition(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: TrackingEffect): void {
    switch (effect.do) {
      case 'enable':
        this.#enable(effect.generation);
        break;
      case 'flush':
        this.#hub.flush(effect.cause);
        break;
      case 'report':
        publish('redcache:connection', () => ({ state: effect.state }));
        break;
      default:
        assertNever(effect);
    }
  }
}

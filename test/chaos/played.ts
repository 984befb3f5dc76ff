import type { Contact } from './contact.ts';
import type { GroundKind } from './ground.ts';

/** How long a scene is to be played, on what, and with which choices. */
export interface PlayOptions {
  readonly kind: GroundKind;
  readonly seconds: number;
  readonly seed: number;
  readonly contact: Contact['is'];
}

/** What was found: in words, and how many violations. */
export interface Played {
  readonly report: string;
  readonly violations: number;
}

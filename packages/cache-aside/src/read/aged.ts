import type { Guard, TrackingCache } from '@redcache/core';
import type { Groups } from '../groups/groups.ts';
import type { Keyspace } from '../redis/keyspace.ts';
import type { Copy } from './copy.ts';
import type { SharedRead } from './shared-read.ts';

/**
 * What was found under a key and is not an answer yet: its groups are still asked about, or it has aged
 * and may be served if it comes to that. Made in the turn in which the guard of its look is closed, it
 * hears of all that happens to the key and to its groups from then on: no later caller may join who waits
 * for it, and nobody is served it for having aged (I1).
 */
export class Aged {
  readonly copy: Copy;
  readonly #engine: TrackingCache;
  readonly #guards: readonly Guard[];
  #isOvertaken = false;

  constructor(
    copy: Copy,
    { key, shared }: { readonly key: string; readonly shared: SharedRead },
    ground: {
      readonly engine: TrackingCache;
      readonly keyspace: Keyspace;
      readonly groups: Groups;
    },
  ) {
    const { engine, keyspace, groups } = ground;
    this.copy = copy;
    this.#engine = engine;
    const onBroken = (): void => {
      this.#isOvertaken = true;
      shared.detach();
    };
    this.#guards = [key, ...groups.keysOf(copy)].map((each) =>
      engine.guard([each], onBroken, keyspace.sessionFor(each)),
    );
  }

  /** The value, unless anybody has changed it, or nobody would have said so. */
  get untouched(): Copy | undefined {
    return this.#isOvertaken ? undefined : this.copy;
  }

  release(): void {
    for (const guard of this.#guards) this.#engine.release(guard);
  }
}

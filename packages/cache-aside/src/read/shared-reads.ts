import type { TrackingCache } from '@redcache/core';
import { SingleFlight } from '@redcache/core/toolkit';
import type { Keyspace } from '../redis/keyspace.ts';
import type { SharedRead } from './shared-read.ts';

/**
 * The reads of this process that others may join, one for each key.
 *
 * Whoever joins is answered what was read since the read began, or began anew. That is right while its
 * connection would have told of a change. Where it would not, because it is silent or there is none, a
 * read may be joined for as long as a hit from a silent connection may be served (I4), and no longer
 * once there is another connection, which has heard of nothing that came before it.
 */
export class SharedReads {
  readonly #flights = new SingleFlight<SharedRead>();
  readonly #engine: TrackingCache;
  readonly #keyspace: Pick<Keyspace, 'sessionFor'>;

  constructor(engine: TrackingCache, keyspace: Pick<Keyspace, 'sessionFor'>) {
    this.#engine = engine;
    this.#keyspace = keyspace;
  }

  joinable(key: string): SharedRead | undefined {
    const shared = this.#flights.joinable(key);
    if (shared === undefined) return undefined;
    const { source, rules } = this.#keyspace.sessionFor(key);
    const nowMs = this.#engine.clock.nowMs();
    const hears = source !== undefined && nowMs < source.servesUntilMs;
    const isCurrent = hears
      ? shared.source === source
      : nowMs < shared.sinceMs + rules.maxStalenessMs;
    return isCurrent ? shared : undefined;
  }

  /** Others may join it until it lands or is detached. Answers it. */
  begin(shared: SharedRead): SharedRead {
    this.#renew(shared);
    return this.#flights.begin(shared);
  }

  detach(shared: SharedRead): void {
    this.#flights.detach(shared);
  }

  /** What it will answer is read from now on: others may join again, unless another has begun since. */
  reattach(shared: SharedRead): void {
    this.#renew(shared);
    this.#flights.reattach(shared);
  }

  #renew(shared: SharedRead): void {
    const { source } = this.#keyspace.sessionFor(shared.id);
    shared.renew(this.#engine.clock.nowMs(), source);
  }
}

/** Everything that ever changed at the servers, in one order, with the time of the model. */
export class History {
  #events = 0;
  readonly #changes = new Map<string, Change[]>();

  /** The number of the latest event. */
  get events(): number {
    return this.#events;
  }

  /** Something happened that changes no value, such as a read. */
  next(): number {
    this.#events += 1;
    return this.#events;
  }

  /** The key holds something else from now on. */
  changed(key: string, atMs: number): number {
    const event = this.next();
    const changes = this.#changes.get(key);
    if (changes === undefined) this.#changes.set(key, [{ event, atMs }]);
    else changes.push({ event, atMs });
    return event;
  }

  /** Since when what was read of the key at this event is not true any more. */
  outdatedSinceMs(key: string, event: number): number | undefined {
    return this.#changes.get(key)?.find((change) => change.event > event)?.atMs;
  }
}

interface Change {
  readonly event: number;
  readonly atMs: number;
}

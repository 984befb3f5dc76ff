import type { Awaitable } from '../compression.ts';
import type { Gate } from '../redis/gate.ts';

/**
 * Lets the writes of a key leave in the order of their calls, though some are not ready at once: a
 * large value is compressed by another thread, an epoch is asked for. The connection keeps that order.
 *
 * What is ready leaves at once, unless something of one of its keys has not left yet.
 */
export class WriteOrder {
  readonly #gate: Pick<Gate, 'isUp' | 'up'>;
  /** For each key when the last of those that wait has left. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(gate: Pick<Gate, 'isUp' | 'up'>) {
    this.#gate = gate;
  }

  /** `send` sends before it returns, once the gate is open. What was not made ready is not sent. */
  run<P, T>(
    keys: readonly string[],
    prepared: Awaitable<P>,
    send: (prepared: P) => Promise<T>,
  ): Promise<T> {
    const before = this.#waitedFor(keys);
    if (before.length === 0 && this.#gate.isUp && !(prepared instanceof Promise))
      return send(prepared);
    return this.#inTurn(keys, before, prepared, send);
  }

  #waitedFor(keys: readonly string[]): readonly Promise<void>[] {
    if (this.#last.size === 0) return [];
    return keys.flatMap((key) => this.#last.get(key) ?? []);
  }

  async #inTurn<P, T>(
    keys: readonly string[],
    before: readonly Promise<void>[],
    prepared: Awaitable<P>,
    send: (prepared: P) => Promise<T>,
  ): Promise<T> {
    let leave = (): void => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    for (const key of keys) this.#last.set(key, left);
    let sent: Promise<T>;
    try {
      // Whatever became of it: the write itself says so in its own way.
      const isReady = Promise.allSettled([prepared, ...before]);
      await isReady;
      if (!this.#gate.isUp) await this.#gate.up().catch(() => {});
      sent = send(await prepared);
    } finally {
      for (const key of keys) if (this.#last.get(key) === left) this.#last.delete(key);
      leave();
    }
    return sent;
  }
}

import { type Clock, type CommandPort, type Connection, UnavailableError } from '@redcache/core';
import { type Budget, TIMED_OUT } from '@redcache/core/toolkit';

/**
 * Lets commands through while the connection is up, so that none waits in the client's own offline
 * queue, from where it would be sent long after its caller has given up.
 *
 * A connection that has been down for longer than the budget is not waited for: then a call costs
 * nothing more than the check.
 */
export class Gate {
  readonly #budget: Budget;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  readonly #stop: () => void;
  #connection: Connection = 'down';
  #downSinceMs: number;

  constructor(port: CommandPort, budget: Budget, clock: Clock) {
    this.#budget = budget;
    this.#clock = clock;
    this.#downSinceMs = clock.nowMs();
    this.#stop = port.onConnection((connection) => this.#change(connection));
  }

  get isUp(): boolean {
    return this.#connection === 'up';
  }

  /**
   * Resolves once the connection is up.
   *
   * Throws: `UnavailableError` when it is closed, has been down for the budget, or stays down for
   * the budget from now.
   */
  async up(): Promise<void> {
    if (this.isUp) return;
    const giveUp = this.#clock.nowMs() - this.#downSinceMs >= this.#budget.budgetMs;
    if (giveUp || this.#connection === 'closed') throw this.#unavailable();
    let wake = (): void => {};
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
      this.#waiting.add(wake);
    });
    const outcome = await this.#budget.bound(changed);
    this.#waiting.delete(wake);
    if (outcome === TIMED_OUT || !this.isUp) throw this.#unavailable();
  }

  close(): void {
    this.#stop();
    this.#change('closed');
  }

  #change(connection: Connection): void {
    if (connection !== 'up' && this.isUp) this.#downSinceMs = this.#clock.nowMs();
    this.#connection = connection;
    if (connection === 'down') return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #unavailable(): UnavailableError {
    return new UnavailableError(
      this.#connection === 'closed'
        ? 'the connection to Redis is closed'
        : 'there is no connection to Redis',
    );
  }
}

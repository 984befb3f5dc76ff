import { ConfigError, type Connection, type Duration } from '@redcache/core';
import { ManualClock } from '@redcache/core/testing';
import { durationMs } from '@redcache/core/toolkit';
import { InProcessConnection } from './connection.ts';
import { RedisInProcess } from './redis-in-process.ts';

/** `away`: there is no connection. `hung`: there is one, and nothing is answered. */
export type TestRedisState = 'up' | 'away' | 'hung';

const STATES: readonly TestRedisState[] = ['up', 'away', 'hung'];

/** As they are before a test replaces them by timers of its own. */
const { setImmediate, queueMicrotask } = globalThis;

/**
 * A Redis inside the process, for tests: it runs the commands and scripts of redcache and pushes what
 * changes, over connections that a test can take away. Its clock is that of all caches over it, and
 * stands still until a test moves it.
 */
export class TestRedis {
  readonly clock: ManualClock = new ManualClock();
  readonly #redis = new RedisInProcess(this.clock);
  readonly #connections = new Set<InProcessConnection>();
  #state: TestRedisState = 'up';
  #isMoving = false;

  get state(): TestRedisState {
    return this.#state;
  }

  /** Takes Redis away from all caches over it, lets it hang, or has it back with all that it holds. */
  become(state: TestRedisState): void {
    if (!STATES.includes(state))
      throw new ConfigError(`become: a Redis is ${STATES.map((each) => `'${each}'`).join(' or ')}`);
    this.#state = state;
    for (const connection of this.#connections)
      if (connection.state !== 'closed') connection.become(this.#connection);
    this.#move();
  }

  /** The names of what it holds, those of redcache's own included. */
  keys(): string[] {
    return this.#redis.keys();
  }

  /** Deletes a key, as another program does. Answers whether it was there. */
  delete(key: string): boolean {
    return this.#redis.by('DEL', key) === 1;
  }

  /** Writes a key, as another program does. */
  set(key: string, value: string | Buffer): void {
    this.#redis.by('SET', key, value);
  }

  /** The text that stands under a key, as redcache has written it; nobody is told. */
  peek(key: string): string | undefined {
    return this.#redis.peek(key)?.text;
  }

  /** Has a key end sooner, or later. Answers whether it was there. */
  expire(key: string, after: Duration): boolean {
    return this.#redis.by('PEXPIRE', key, String(durationMs(after, 'expire'))) === 1;
  }

  /** Loses all that it holds. */
  flush(): void {
    this.#redis.by('FLUSHALL');
  }

  /**
   * Moves time on. What is due runs at its time, in its order, and whatever follows from it at once is
   * done before this resolves.
   */
  async advance(by: Duration): Promise<void> {
    const byMs = durationMs(by, 'advance');
    const { clock } = this;
    const untilMs = clock.nowMs() + byMs;
    await turn();
    for (let next = clock.nextTimerAtMs; next !== undefined && next <= untilMs; ) {
      clock.advance(Math.max(0, next - clock.nowMs()));
      await turn();
      next = clock.nextTimerAtMs;
    }
    clock.advance(Math.max(0, untilMs - clock.nowMs()));
    await turn();
  }

  /** Moves time on as far as it takes for this to settle. */
  async advanceUntil(settled: Promise<unknown>): Promise<void> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    settled.then(done, done);
    const { clock } = this;
    for (await turn(); !isSettled && clock.nextTimerAtMs !== undefined; await turn())
      clock.advance(Math.max(0, clock.nextTimerAtMs - clock.nowMs()));
  }

  connect(): InProcessConnection {
    const connection = new InProcessConnection(this.#redis, () => this.#move());
    connection.become(this.#connection);
    this.#connections.add(connection);
    return connection;
  }

  disconnect(connection: InProcessConnection): void {
    this.#connections.delete(connection);
    connection.become('closed');
  }

  get #connection(): Connection {
    return this.#state === 'away' ? 'down' : 'up';
  }

  /** In a turn of its own, so that nobody is answered before he waits. */
  #move(): void {
    if (this.#isMoving || this.#state !== 'up') return;
    this.#isMoving = true;
    queueMicrotask(() => {
      this.#isMoving = false;
      if (this.#state !== 'up') return;
      for (const connection of this.#connections) connection.execute();
      for (const connection of this.#connections) connection.deliver();
    });
  }
}

/** Lets every continuation that is ready run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

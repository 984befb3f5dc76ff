import type { Argument, SendOptions } from '@redcache/core';
import type { ManualClock } from '@redcache/core/testing';
import { InProcessConnection } from '../../src/testing/connection.ts';
import { RedisInProcess } from '../../src/testing/redis-in-process.ts';

/** The Redis of test caches, with connections whose two directions are the test's to move. */
export class ModelRedis extends RedisInProcess {
  readonly clock: ManualClock;

  constructor(clock: ManualClock) {
    super(clock);
    this.clock = clock;
  }

  connection(): ModelConnection {
    return new ModelConnection(this);
  }
}

export class ModelConnection extends InProcessConnection {
  /** Every command ever sent, words joined by spaces. */
  readonly log: string[] = [];

  override send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    if (this.state !== 'closed') this.log.push(args.join(' '));
    return super.send(args, options);
  }
}

import type { CommandPort } from '@redcache/core';
import type { Connections } from './connections.ts';
import type { LossReason } from './errors.ts';
import type { LeaseCommands, Verdict } from './lease/commands.ts';
import { isWrongType } from './link.ts';
import { extend } from './scripts/extend.ts';
import { release } from './scripts/release.ts';

/** What the lease of one lock needs done, over whatever connection is current. */
export class LockCommands implements LeaseCommands {
  readonly #connections: Connections;
  readonly #key: string;
  readonly #lockKey: string;
  readonly #holder: string;
  #lossFoundAtRelease: LossReason = 'deleted';

  constructor(connections: Connections, key: string, lockKey: string, holder: string) {
    this.#connections = connections;
    this.#key = key;
    this.#lockKey = lockKey;
    this.#holder = holder;
  }

  /** Why the lock was no longer ours when it was released, if nobody had noticed before. */
  get lossFoundAtRelease(): LossReason {
    return this.#lossFoundAtRelease;
  }

  extend(leaseMs: number): Promise<'extended' | 'deleted' | 'taken'> {
    return this.#ask((port) => extend(port, this.#lockKey, this.#holder, leaseMs), 'taken');
  }

  /**
   * Sends: GET and PTTL in one round trip, GET first: whatever changes the key after it is pushed,
   * so the two need not be one transaction.
   */
  verify(): Promise<Verdict> {
    const read = async (port: CommandPort): Promise<Verdict> => {
      const [value, pttl] = await Promise.all([
        port.send(['GET', this.#lockKey]),
        port.send(['PTTL', this.#lockKey]),
      ]);
      if (value === null || pttl === -2) return { is: 'deleted' };
      if (!String(value).startsWith(`${this.#holder}:`)) return { is: 'taken' };
      return { is: 'ours', remainingMs: pttl === -1 ? Infinity : Number(pttl) };
    };
    return this.#ask<Verdict>(read, { is: 'taken' });
  }

  async release(): Promise<'released' | 'lost'> {
    const answer = await this.#ask((port) => release(port, this.#lockKey, this.#holder), 'taken');
    if (answer === 'released') return answer;
    this.#lossFoundAtRelease = answer;
    return 'lost';
  }

  #ask<T>(command: (port: CommandPort) => Promise<T>, otherType: T): Promise<T> {
    return this.#connections.current.ask(this.#key, async (port) => {
      try {
        return await command(port);
      } catch (error) {
        if (isWrongType(error)) return otherType;
        throw error;
      }
    });
  }
}

import type { CommandPort } from '@redcache/core';
import type { Connections } from '../connections.ts';
import type { LossReason } from '../errors.ts';
import { type LockKeys, wakeKey } from '../keys.ts';
import type { Extension, Verdict } from '../lease/commands.ts';
import { type Heard, type Listen, listenTo } from '../lease/listen.ts';
import { isWrongType } from '../link.ts';
import { acquire } from '../scripts/acquire.ts';
import type { Answer } from '../scripts/answer.ts';
import { extend } from '../scripts/extend.ts';
import { join } from '../scripts/join.ts';
import { release } from '../scripts/release.ts';
import type { Tally } from '../tally.ts';
import type { Bid, Stir, Wish } from './bid.ts';
import { Tokens } from './tokens.ts';

export interface LockBidParts {
  readonly connections: Connections;
  /** The lock as its users call it. */
  readonly key: string;
  readonly keys: LockKeys;
  readonly holder: string;
  readonly tally: Tally;
}

/** A bid for a lock that stands in one key, over whatever connection is current. */
export class LockBid implements Bid {
  readonly holder: string;
  readonly tokens: Tokens = new Tokens();
  readonly #parts: LockBidParts;
  #contended = false;
  #reserve = 0;
  #lossFoundAtRelease: LossReason = 'deleted';

  constructor(parts: LockBidParts) {
    this.holder = parts.holder;
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#parts.connections.current.isUp;
  }

  get hears(): boolean {
    return this.#parts.connections.current.tracks(this.#parts.keys.lock);
  }

  get contended(): boolean {
    return this.#contended;
  }

  get lossFoundAtRelease(): LossReason {
    return this.#lossFoundAtRelease;
  }

  readonly listen: Listen = (tell: (heard: Heard) => void) =>
    listenTo(this.#parts.connections.current, this.#parts.keys.lock)(tell);

  take(wish: Wish, how: 'if-free' | 'force'): Promise<Answer> {
    const { keys } = this.#parts;
    return this.#attempt((port) => acquire(port, keys, { ...wish, holder: this.holder }, how));
  }

  readonly join = (wish: Wish): Promise<Answer> => {
    const { keys } = this.#parts;
    return this.#attempt((port) => join(port, keys, { ...wish, holder: this.holder }));
  };

  onStir(tell: (stir: Stir) => void): () => void {
    const { connections, keys } = this.#parts;
    const { engine } = connections.current;
    const stops = [
      this.listen((heard) => tell(heard === 'down' || heard === 'close' ? 'disconnect' : heard)),
      engine.onInvalidation(wakeKey(keys, 'turn', this.holder), (cause) => {
        if (cause === 'push') tell('turn');
      }),
      engine.onInvalidation(wakeKey(keys, 'next', this.holder), (cause) => {
        if (cause === 'push') tell('next');
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  reserveWithNextExtension(tokens: number): void {
    this.#reserve = tokens;
  }

  async extend(leaseMs: number): Promise<Extension> {
    const { keys } = this.#parts;
    const wish = { holder: this.holder, leaseMs, tokens: this.#reserve };
    const answer = await this.#ask((port) => extend(port, keys, wish), { is: 'taken' } as const);
    if (answer.is !== 'extended') return answer;
    this.#parts.tally.extended();
    this.#contended = answer.contended;
    if (answer.tokens !== undefined) {
      this.#reserve = 0;
      this.tokens.add(answer.tokens);
    }
    return { is: 'extended', echoes: 1 };
  }

  /**
   * Sends: GET and PTTL in one round trip, GET first: whatever changes the key after it is pushed,
   * so the two need not be one transaction.
   */
  verify(): Promise<Verdict> {
    const { lock } = this.#parts.keys;
    const read = async (port: CommandPort): Promise<Verdict> => {
      const [value, pttl] = await Promise.all([
        port.send(['GET', lock]),
        port.send(['PTTL', lock]),
      ]);
      if (value === null || pttl === -2) return { is: 'deleted' };
      const found = String(value);
      if (!found.startsWith(`${this.holder}:`)) return { is: 'taken' };
      this.#contended = found.endsWith('+');
      return { is: 'ours', remainingMs: pttl === -1 ? Infinity : Number(pttl) };
    };
    return this.#ask<Verdict>(read, { is: 'taken' });
  }

  async release(): Promise<'released' | 'lost'> {
    const { keys } = this.#parts;
    const answer = await this.#ask((port) => release(port, keys, this.holder, 'holding'), 'taken');
    if (answer === 'released') return answer;
    this.#lossFoundAtRelease = answer;
    return 'lost';
  }

  withdraw(): Promise<unknown> {
    const { keys } = this.#parts;
    return this.#ask<unknown>((port) => release(port, keys, this.holder, 'waiting'), undefined);
  }

  findEars(): Promise<void> {
    return this.#parts.connections.contended(this.#parts.key);
  }

  async #attempt(command: (port: CommandPort) => Promise<Answer>): Promise<Answer> {
    const { connections, key } = this.#parts;
    const answer = await connections.current.send(key, command);
    if (answer.is === 'acquired') {
      this.#contended = answer.contended;
      this.tokens.add(answer.tokens);
    }
    return answer;
  }

  #ask<T>(command: (port: CommandPort) => Promise<T>, otherType: T): Promise<T> {
    const { connections, key } = this.#parts;
    return connections.current.ask(key, async (port) => {
      try {
        return await command(port);
      } catch (error) {
        if (isWrongType(error)) return otherType;
        throw error;
      }
    });
  }
}

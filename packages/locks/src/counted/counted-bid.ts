import { type Clock, type CommandPort, ConfigError } from '@redcache/core';
import type { Wish } from '../bid/bid.ts';
import { KeyBid, type KeyBidParts, type ScriptedExtension } from '../bid/key-bid.ts';
import type { Verdict } from '../lease/commands.ts';
import type { Access } from '../options.ts';
import type { Answer } from '../scripts/answer.ts';
import { describeKind, type Kind, memberOf } from './kind.ts';
import { LapsingTokens } from './lapsing-tokens.ts';
import type { Counting } from './scripts/counting.ts';
import type { Entering } from './scripts/entering.ts';
import { extend } from './scripts/extend.ts';
import { join } from './scripts/join.ts';
import { type CountedLook, look } from './scripts/look.ts';
import { release } from './scripts/release.ts';
import { take } from './scripts/take.ts';

export interface CountedBidParts extends KeyBidParts {
  readonly kind: Kind;
  readonly access: Access | undefined;
  readonly clock: Clock;
  /** For how long a lease is passed on before Redis is asked whether others wait. */
  readonly lapseMs: number;
}

/** Something else stands in the key. */
interface Taken {
  readonly is: 'taken';
}

/** A bid for one permit of a lock that several may hold, or for all of it. */
export class CountedBid extends KeyBid {
  readonly #kind: Kind;
  readonly #counting: Counting;

  constructor(parts: CountedBidParts) {
    const { holder, access, keys, kind, clock, lapseMs } = parts;
    const member = memberOf(holder, access);
    const tokens = new LapsingTokens(clock, lapseMs);
    super(parts, { tokens, waiter: member, lossFound: 'deleted' });
    this.#kind = kind;
    this.#counting = { keys, kind, member };
  }

  take(wish: Wish): Promise<Answer> {
    return this.#enter((port) => take(port, this.#counting, wish));
  }

  join(wish: Wish): Promise<Answer> {
    return this.#enter((port) => join(port, this.#counting, wish));
  }

  async verify(): Promise<Verdict> {
    const { keys, member } = this.#counting;
    const seen = await this.#ask<CountedLook | Taken>((port) => look(port, keys, member), {
      is: 'taken',
    });
    if (seen.is === 'ours') this.isContended = seen.contended;
    return seen;
  }

  async release(): Promise<'released' | 'lost'> {
    const answer = await this.#ask<'released' | 'deleted' | 'taken'>(
      (port) => release(port, this.#counting, 'holding'),
      'taken',
    );
    if (answer === 'released') return answer;
    this.lossFound = answer;
    return 'lost';
  }

  withdraw(): Promise<unknown> {
    return this.#ask<unknown>((port) => release(port, this.#counting, 'waiting'), 'deleted');
  }

  protected sendExtension(wish: Wish): Promise<ScriptedExtension> {
    return this.#ask<ScriptedExtension>((port) => extend(port, this.#counting, wish), {
      is: 'taken',
    });
  }

  async #enter(command: (port: CommandPort) => Promise<Entering>): Promise<Answer> {
    const { connections, key } = this.place;
    const answer = await connections.current.send(key, command, asItIs);
    if (answer.is === 'other') {
      const there = answer.name === '' ? 'something that is no lock' : describeKind(answer.name);
      const message = `lock '${key}': its key in Redis is in use as ${there}, not as ${describeKind(this.#kind.name)}`;
      throw new ConfigError(message, { key });
    }
    return this.noteAnswer(answer);
  }

  #ask<T>(command: (port: CommandPort) => Promise<T>, otherType: T): Promise<T> {
    const { connections, key } = this.place;
    return connections.current.ask(key, command, asItIs, otherType);
  }
}

/** The scripts have read the reply already. */
function asItIs<T>(answer: T): T {
  return answer;
}

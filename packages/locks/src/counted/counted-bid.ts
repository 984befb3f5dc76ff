import { type Clock, type CommandPort, ConfigError } from '@redcache/core';
import type { Bid, Stir, Wish } from '../bid/bid.ts';
import type { Tokens } from '../bid/tokens.ts';
import type { Connections } from '../connections.ts';
import type { LossReason } from '../errors.ts';
import { type LockKeys, wakeKey } from '../keys.ts';
import type { Extension, Verdict } from '../lease/commands.ts';
import type { Heard } from '../lease/listen.ts';
import type { Access } from '../options.ts';
import type { Answer } from '../scripts/answer.ts';
import type { Tally } from '../tally.ts';
import { describeKind, type Kind, memberOf } from './kind.ts';
import { LapsingTokens } from './lapsing-tokens.ts';
import type { Counting } from './scripts/counting.ts';
import type { Entering } from './scripts/entering.ts';
import { type CountedExtension, extend } from './scripts/extend.ts';
import { join } from './scripts/join.ts';
import { type CountedLook, look } from './scripts/look.ts';
import { release } from './scripts/release.ts';
import { take } from './scripts/take.ts';

export interface CountedBidParts {
  readonly connections: Connections;
  /** The lock as its users call it. */
  readonly key: string;
  readonly keys: LockKeys;
  readonly kind: Kind;
  readonly holder: string;
  readonly access: Access | undefined;
  readonly tally: Tally;
  readonly clock: Clock;
  /** For how long a lease is passed on before Redis is asked whether others wait. */
  readonly lapseMs: number;
}

/** Something else stands in the key. */
interface Taken {
  readonly is: 'taken';
}

/** A bid for one permit of a lock that several may hold, or for all of it. */
export class CountedBid implements Bid {
  readonly holder: string;
  readonly tokens: Tokens;
  readonly #parts: CountedBidParts;
  readonly #counting: Counting;
  #contended = false;
  #reserve = 0;
  #lossFoundAtRelease: LossReason = 'deleted';

  constructor(parts: CountedBidParts) {
    const { holder, access, keys, kind, clock, lapseMs } = parts;
    this.holder = holder;
    this.tokens = new LapsingTokens(clock, lapseMs);
    this.#parts = parts;
    this.#counting = { keys, kind, member: memberOf(holder, access) };
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

  listen(tell: (heard: Heard) => void): () => void {
    const { connections, keys } = this.#parts;
    return connections.current.watch(keys.lock, tell);
  }

  take(wish: Wish): Promise<Answer> {
    return this.#enter((port) => take(port, this.#counting, wish));
  }

  join(wish: Wish): Promise<Answer> {
    return this.#enter((port) => join(port, this.#counting, wish));
  }

  onStir(tell: (stir: Stir) => void): () => void {
    const { connections, keys } = this.#parts;
    const { engine } = connections.current;
    const { member } = this.#counting;
    const stops = [
      this.listen((heard) => tell(heard === 'down' || heard === 'close' ? 'disconnect' : heard)),
      ...(['turn', 'next'] as const).map((name) =>
        engine.onInvalidation(wakeKey(keys, name, member), (cause) => {
          if (cause === 'push') tell(name);
        }),
      ),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  reserveWithNextExtension(tokens: number): void {
    this.#reserve = tokens;
  }

  async extend(leaseMs: number): Promise<Extension> {
    const wish = { leaseMs, tokens: this.#reserve };
    const heard = this.hears;
    const answer = await this.#ask<CountedExtension | Taken>(
      (port) => extend(port, this.#counting, wish),
      { is: 'taken' },
    );
    if (answer.is !== 'extended') return answer;
    const { contended, tokens, echoes } = answer;
    this.#parts.tally.extended();
    this.#contended = contended;
    if (tokens !== undefined) {
      this.#reserve = 0;
      this.tokens.add(tokens);
    }
    // As for the plain lock: what is not heard is not waited for.
    return { is: 'extended', echoes: heard && this.hears ? echoes : 0 };
  }

  async verify(): Promise<Verdict> {
    const { keys } = this.#parts;
    const { member } = this.#counting;
    const seen = await this.#ask<CountedLook | Taken>((port) => look(port, keys, member), {
      is: 'taken',
    });
    if (seen.is === 'ours') this.#contended = seen.contended;
    return seen;
  }

  async release(): Promise<'released' | 'lost'> {
    const answer = await this.#ask<'released' | LossReason>(
      (port) => release(port, this.#counting, 'holding'),
      'taken',
    );
    if (answer === 'released') return answer;
    this.#lossFoundAtRelease = answer;
    return 'lost';
  }

  withdraw(): Promise<unknown> {
    return this.#ask<unknown>((port) => release(port, this.#counting, 'waiting'), 'deleted');
  }

  findEars(): Promise<void> {
    return this.#parts.connections.contended(this.#parts.key);
  }

  async #enter(command: (port: CommandPort) => Promise<Entering>): Promise<Answer> {
    const { connections, key, kind } = this.#parts;
    const answer = await connections.current.send(key, command, asItIs);
    if (answer.is === 'other') {
      const there = answer.name === '' ? 'something that is no lock' : describeKind(answer.name);
      const message = `lock '${key}': its key in Redis is in use as ${there}, not as ${describeKind(kind.name)}`;
      throw new ConfigError(message, { key });
    }
    if (answer.is === 'acquired') {
      this.#contended = answer.contended;
      this.tokens.add(answer.tokens);
    }
    return answer;
  }

  #ask<T>(command: (port: CommandPort) => Promise<T>, otherType: T): Promise<T> {
    const { connections, key } = this.#parts;
    return connections.current.ask(key, command, asItIs, otherType);
  }
}

/** The scripts have read the reply already. */
function asItIs<T>(answer: T): T {
  return answer;
}

import type { Connections } from '../connections.ts';
import type { LossReason } from '../errors.ts';
import { type LockKeys, wakeKey } from '../keys.ts';
import type { Extension, Verdict } from '../lease/commands.ts';
import type { Heard } from '../lease/listen.ts';
import { acquire, answerOf } from '../scripts/acquire.ts';
import type { Answer } from '../scripts/answer.ts';
import { extend, extensionOf } from '../scripts/extend.ts';
import { join } from '../scripts/join.ts';
import { release, releaseOf } from '../scripts/release.ts';
import type { Tally } from '../tally.ts';
import type { Bid, Stir, Wish } from './bid.ts';
import { Tokens } from './tokens.ts';

export interface LockBidParts {
  readonly connections: Connections;
  /** The lock as its users call it. */
  readonly key: string;
  readonly keys: LockKeys;
  readonly holder: string;
  readonly tally: Pick<Tally, 'extended'>;
}

/** A bid for a lock that stands in one key, over whatever connection is current. */
export class LockBid implements Bid {
  readonly holder: string;
  readonly tokens: Tokens = new Tokens();
  readonly #parts: LockBidParts;
  #contended = false;
  /** What the key holds since it was acquired, if nobody has written it since. */
  #value = '';
  #reserve = 0;
  /** How many were sent. */
  #extensions = 0;
  #lossFoundAtRelease: LossReason = 'taken';

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

  listen(tell: (heard: Heard) => void): () => void {
    const { connections, keys } = this.#parts;
    return connections.current.watch(keys.lock, tell);
  }

  take(wish: Wish, how: 'if-free' | 'force'): Promise<Answer> {
    const { connections, key, keys } = this.#parts;
    const { leaseMs, tokens } = wish;
    const { holder } = this;
    return connections.current.send(
      key,
      (port) => acquire(port, keys, { holder, leaseMs, tokens }, how),
      (reply) => this.#noted(answerOf(reply, tokens)),
    );
  }

  join(wish: Wish): Promise<Answer> {
    const { connections, key, keys } = this.#parts;
    const { leaseMs, tokens } = wish;
    const { holder } = this;
    return connections.current.send(
      key,
      (port) => join(port, keys, { holder, leaseMs, tokens }),
      (reply) => this.#noted(answerOf(reply, tokens)),
    );
  }

  onStir(tell: (stir: Stir) => void): () => void {
    const { connections, keys } = this.#parts;
    const { engine } = connections.current;
    const stops = [
      this.listen((heard) => tell(heard === 'down' || heard === 'close' ? 'disconnect' : heard)),
      ...(['turn', 'next'] as const).map((name) =>
        engine.onInvalidation(wakeKey(keys, name, this.holder), (cause) => {
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

  extend(leaseMs: number): Promise<Extension> {
    const { connections, key, keys } = this.#parts;
    const { holder } = this;
    const tokens = this.#reserve;
    const heard = this.hears;
    this.#extensions += 1;
    const number = this.#extensions;
    return connections.current.ask<Extension, unknown>(
      key,
      (port) => extend(port, keys, { holder, leaseMs, tokens }),
      (reply) => this.#extended(reply, { tokens, heard, number }),
      { is: 'taken' },
    );
  }

  /**
   * Sends: GET and PTTL in one round trip, GET first: whatever changes the key after it is pushed,
   * so the two need not be one transaction.
   */
  verify(): Promise<Verdict> {
    const { connections, key, keys } = this.#parts;
    return connections.current.ask<Verdict, readonly unknown[]>(
      key,
      (port) => Promise.all([port.send(['GET', keys.lock]), port.send(['PTTL', keys.lock])]),
      ([value, pttl]) => {
        if (value === null || pttl === -2) return { is: 'deleted' };
        const found = String(value);
        if (!found.startsWith(`${this.holder}:`)) return { is: 'taken' };
        this.#contended = found.endsWith('+');
        return { is: 'ours', remainingMs: pttl === -1 ? Infinity : Number(pttl) };
      },
      { is: 'taken' },
    );
  }

  /** By a command of the server's own where nobody waits; else by the script, which hands it over. */
  release(): Promise<'released' | 'lost'> {
    const { connections, key, keys } = this.#parts;
    const link = connections.current;
    const native = this.#contended ? undefined : link.natives.deletion(keys.lock, this.#value);
    if (native === undefined) return this.#releaseByScript();
    return link
      .ask(
        key,
        (port) => port.send(native),
        (count) => Number(count) === 1,
        false,
      )
      .then(
        (isDeleted) => (isDeleted ? 'released' : this.#releaseByScript()),
        (error: unknown) => {
          if (link.natives.isRefusal(error)) return this.#releaseByScript();
          throw error;
        },
      );
  }

  #releaseByScript(): Promise<'released' | 'lost'> {
    const { connections, key, keys } = this.#parts;
    return connections.current.ask<'released' | 'lost', unknown>(
      key,
      (port) => release(port, keys, this.holder, 'holding'),
      (reply) => {
        const outcome = releaseOf(reply);
        if (outcome === 'released') return outcome;
        this.#lossFoundAtRelease = outcome;
        return 'lost';
      },
      'lost',
    );
  }

  withdraw(): Promise<unknown> {
    const { connections, key, keys } = this.#parts;
    return connections.current.ask(
      key,
      (port) => release(port, keys, this.holder, 'waiting'),
      releaseOf,
      'taken',
    );
  }

  findEars(): Promise<void> {
    return this.#parts.connections.contended(this.#parts.key);
  }

  #noted(answer: Answer): Answer {
    if (answer.is === 'acquired') {
      this.#contended = answer.contended;
      this.#value = `${this.holder}:${answer.tokens.first}`;
      this.tokens.add(answer.tokens);
    }
    return answer;
  }

  #extended(
    reply: unknown,
    {
      tokens,
      heard,
      number,
    }: { readonly tokens: number; readonly heard: boolean; readonly number: number },
  ): Extension {
    const answer = extensionOf(reply, tokens);
    if (answer.is !== 'extended') return answer;
    this.#parts.tally.extended();
    this.#contended = answer.contended;
    // An answer that comes after its time, over a connection of before, may bring tokens that are lower
    // than those a later one has brought.
    if (answer.tokens !== undefined && number === this.#extensions) {
      this.#reserve = 0;
      this.tokens.add(answer.tokens);
    }
    // A node of a cluster may be reached over a connection that nobody hears: one that is expected and
    // never comes would hide a push of somebody else's.
    return { is: 'extended', echoes: heard && this.hears ? 1 : 0 };
  }
}

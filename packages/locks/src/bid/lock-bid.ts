import type { Verdict } from '../lease/commands.ts';
import { readLockValue, writeLockValue } from '../lock-value.ts';
import { acquire, answerOf } from '../scripts/acquire.ts';
import type { Answer } from '../scripts/answer.ts';
import { extend, extensionOf } from '../scripts/extend.ts';
import { join } from '../scripts/join.ts';
import { release, releaseOf } from '../scripts/release.ts';
import type { Wish } from './bid.ts';
import { KeyBid, type KeyBidParts, type ScriptedExtension } from './key-bid.ts';
import { Tokens } from './tokens.ts';

/** A bid for a lock that one holds at a time. */
export class LockBid extends KeyBid {
  /** What the key holds since it was acquired, if nobody has written it since. */
  #value = '';

  constructor(place: KeyBidParts) {
    super(place, { tokens: new Tokens(), waiter: place.holder, lossFound: 'taken' });
  }

  take(wish: Wish, how: 'if-free' | 'force'): Promise<Answer> {
    const { connections, key, keys, holder } = this.place;
    const { leaseMs, tokens } = wish;
    return connections.current.send(
      key,
      (port) => acquire(port, keys, { holder, leaseMs, tokens }, how),
      (reply) => this.noteAnswer(answerOf(reply, tokens)),
    );
  }

  join(wish: Wish): Promise<Answer> {
    const { connections, key, keys, holder } = this.place;
    const { leaseMs, tokens } = wish;
    return connections.current.send(
      key,
      (port) => join(port, keys, { holder, leaseMs, tokens }),
      (reply) => this.noteAnswer(answerOf(reply, tokens)),
    );
  }

  /**
   * Sends: GET and PTTL in one round trip, GET first: whatever changes the key after it is pushed,
   * so the two need not be one transaction.
   */
  verify(): Promise<Verdict> {
    const { connections, key, keys } = this.place;
    return connections.current.ask<Verdict, readonly unknown[]>(
      key,
      (port) => Promise.all([port.send(['GET', keys.lock]), port.send(['PTTL', keys.lock])]),
      ([value, pttl]) => {
        if (value === null || pttl === -2) return { is: 'deleted' };
        const found = readLockValue(String(value));
        if (found?.holder !== this.holder) return { is: 'taken' };
        this.isContended = found.isContended;
        return { is: 'ours', remainingMs: pttl === -1 ? Infinity : Number(pttl) };
      },
      { is: 'taken' },
    );
  }

  /** By a command of the server's own where nobody waits; else by the script, which hands it over. */
  release(): Promise<'released' | 'lost'> {
    const { connections, key, keys } = this.place;
    const link = connections.current;
    const isPlain = !this.isContended && this.#lastToken === undefined;
    const native = !isPlain ? undefined : link.natives.deletion(keys.lock, this.#value);
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

  /** Of several servers none knows alone which tokens were used. */
  get #lastToken(): bigint | undefined {
    return this.place.isVote === true ? undefined : this.tokens.lastOfManyLeft;
  }

  #releaseByScript(): Promise<'released' | 'lost'> {
    const { connections, key, keys } = this.place;
    return connections.current.ask<'released' | 'lost', unknown>(
      key,
      (port) => release(port, keys, this.holder, 'holding', this.#lastToken),
      (reply) => {
        const outcome = releaseOf(reply);
        if (outcome === 'released') return outcome;
        this.lossFound = outcome;
        return 'lost';
      },
      'lost',
    );
  }

  withdraw(): Promise<unknown> {
    const { connections, key, keys } = this.place;
    return connections.current.ask(
      key,
      (port) => release(port, keys, this.holder, 'waiting'),
      releaseOf,
      'taken',
    );
  }

  protected sendExtension({ leaseMs, tokens }: Wish): Promise<ScriptedExtension> {
    const { connections, key, keys, holder } = this.place;
    return connections.current.ask<ScriptedExtension, unknown>(
      key,
      (port) => extend(port, keys, { holder, leaseMs, tokens }),
      (reply) => extensionOf(reply, tokens),
      { is: 'taken' },
    );
  }

  protected override noteAnswer<A extends Answer>(answer: A): A {
    if (answer.is === 'acquired')
      this.#value = writeLockValue({ holder: this.holder, token: answer.tokens.first });
    return super.noteAnswer(answer);
  }
}

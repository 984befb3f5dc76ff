import { ConfigError, OutcomeUnknownError } from '@redcache/core';
import { type Budget, TIMED_OUT } from '@redcache/core/toolkit';
import type { Wish } from '../bid/bid.ts';
import type { LockBid } from '../bid/lock-bid.ts';
import { isUnknown } from '../failures.ts';
import type { Extension } from '../lease/commands.ts';
import type { Releases } from '../releases.ts';
import type { Answer } from '../scripts/answer.ts';
import type { Vote } from './majority.ts';
import type { Member } from './member.ts';
import { voteOf } from './poll.ts';

export interface SeatParts {
  readonly member: Member;
  readonly key: string;
  /** New for each attempt: what is late of one does nothing to the next. */
  readonly holder: string;
  readonly budget: Budget;
  readonly releases: Releases;
}

/** What one attempt to get the lock has on one server. */
export class Seat {
  readonly #parts: SeatParts;
  readonly #bid: LockBid;
  #leaseMs = 0;
  /** It was taken here, or nobody knows. */
  #mayStand = false;
  #released = false;
  #giving: Promise<boolean> | undefined;
  /** It is given back, or will be tried until the lease has ended. */
  #isGivingBack = false;
  /** Nothing that is granted from now on is to be kept. */
  #isOver = false;

  constructor(parts: SeatParts) {
    this.#parts = parts;
    this.#bid = parts.member.bidUnder(parts.holder);
  }

  get mayStand(): boolean {
    return this.#mayStand;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Granted with the first token of those reserved. A grant that comes after the budget is kept, or given back. */
  async take(wish: Wish, how: 'if-free' | 'force'): Promise<Vote<bigint>> {
    const { member, key, budget } = this.#parts;
    const { server } = member;
    this.#leaseMs = Math.max(this.#leaseMs, wish.leaseMs);
    this.#mayStand = true;
    const vote = await voteOf(server, () =>
      member.write(() => budget.bound(this.#sendTake(wish, how)), echoesOf),
    );
    if (vote.vote !== 'granted') return vote;
    const { answer } = vote;
    if (answer === TIMED_OUT) {
      const message = `lock '${key}': Redis did not answer within ${budget.budgetMs} ms`;
      return { server, vote: 'failed', error: new OutcomeUnknownError(message, { key }) };
    }
    if (answer.is === 'acquired') return { server, vote: 'granted', answer: answer.tokens.first };
    if (answer.is === 'held') return { server, vote: 'held', remainingMs: answer.remainingMs };
    const message = `lock '${key}': its key in Redis holds something that is no lock`;
    return { server, vote: 'failed', error: new ConfigError(message, { key }) };
  }

  /** Granted with the first token of those reserved, 0n if none were wanted. */
  async extend(leaseMs: number, tokens: number): Promise<Vote<bigint>> {
    const { member } = this.#parts;
    const { server } = member;
    if (!this.#mayStand) return { server, vote: 'held', found: 'deleted' };
    this.#leaseMs = Math.max(this.#leaseMs, leaseMs);
    this.#bid.reserveWithNextExtension(tokens);
    const echoes = (answer: Extension): number => (answer.is === 'extended' ? answer.echoes : 0);
    const vote = await voteOf(server, () => member.write(() => this.#bid.extend(leaseMs), echoes));
    if (vote.vote !== 'granted') return vote;
    if (vote.answer.is !== 'extended') return this.#gone(vote.answer.is);
    // The block just reserved has taken the place of any before it.
    const first = tokens > 0 ? this.#bid.tokens.take() : undefined;
    return { server, vote: 'granted', answer: first ?? 0n };
  }

  /** Granted with the time that is left. */
  async verify(): Promise<Vote<number>> {
    const { member } = this.#parts;
    const { server } = member;
    member.forgetPushes();
    const vote = await voteOf(server, () => this.#bid.verify());
    if (vote.vote !== 'granted') return vote;
    if (vote.answer.is !== 'ours') return this.#gone(vote.answer.is);
    return { server, vote: 'granted', answer: vote.answer.remainingMs };
  }

  /** Granted if it was ours until now, by this call or one before. */
  async release(): Promise<Vote<void>> {
    const { server } = this.#parts.member;
    try {
      if (await this.#give()) return { server, vote: 'granted', answer: undefined };
      return { server, vote: 'held', found: reasonOf(this.#bid) };
    } catch (error) {
      return { server, vote: 'failed', error };
    }
  }

  /** Gives back, behind the scenes, what may stand here. Nothing is kept that is granted later. */
  giveBack(): void {
    this.#isOver = true;
    if (!this.#mayStand || this.#isGivingBack) return;
    this.#isGivingBack = true;
    const giveBack = async (): Promise<void> => {
      await this.#give();
      this.#isGivingBack = false;
    };
    this.#parts.releases.now({ forMs: this.#leaseMs, giveBack });
  }

  /** Answers whether it was ours. */
  #give(): Promise<boolean> {
    this.#isOver = true;
    if (!this.#mayStand) return Promise.resolve(this.#released);
    this.#giving ??= this.#sendRelease().finally(() => {
      this.#giving = undefined;
    });
    return this.#giving;
  }

  async #sendRelease(): Promise<boolean> {
    const isOurs = (answer: string): boolean => answer === 'released';
    const echoes = (answer: string): number => (isOurs(answer) ? 1 : 0);
    const answer = await this.#parts.member.write(() => this.#bid.release(), echoes);
    this.#mayStand = false;
    this.#released ||= isOurs(answer);
    return this.#released;
  }

  #sendTake(wish: Wish, how: 'if-free' | 'force'): Promise<Answer> {
    const sent = this.#bid.take(wish, how);
    // However late the answer is.
    void sent.then(
      (answer) => this.#answered(answer),
      (error: unknown) => {
        if (!isUnknown(error)) this.#mayStand = false;
      },
    );
    return sent;
  }

  #answered(answer: Answer): void {
    this.#mayStand = answer.is === 'acquired'; // guard: I11
    if (!this.#isOver || !this.#mayStand) return;
    // What was sent to give it back may have come before it, where it went over another connection.
    void Promise.resolve(this.#giving).then(
      (isGiven) => {
        if (isGiven) return;
        this.#mayStand = true;
        this.#isGivingBack = false;
        this.giveBack();
      },
      () => {},
    );
  }

  #gone(found: 'deleted' | 'taken'): Vote<never> {
    this.#mayStand = false;
    return { server: this.#parts.member.server, vote: 'held', found };
  }
}

function reasonOf({ lossFoundAtRelease }: LockBid): 'deleted' | 'taken' {
  return lossFoundAtRelease === 'taken' ? 'taken' : 'deleted';
}

function echoesOf(answer: Answer | typeof TIMED_OUT): number {
  return answer === TIMED_OUT || answer.is === 'not-a-lock' ? 0 : answer.echoes;
}

import type { Clock } from '@redcache/core';
import type { Budget } from '@redcache/core/toolkit';
import type { Bid, Stir, Wish } from '../bid/bid.ts';
import { Tokens } from '../bid/tokens.ts';
import { type LossReason, QuorumError } from '../errors.ts';
import { isPassing } from '../failures.ts';
import type { Extension, Verdict } from '../lease/commands.ts';
import type { Heard, Listen } from '../lease/listen.ts';
import type { RetrySettings } from '../options.ts';
import type { Releases } from '../releases.ts';
import type { Answer, TokenBlock } from '../scripts/answer.ts';
import type { Tally } from '../tally.ts';
import { Ballot } from './ballot.ts';
import { countOf, freeInMs, leaderOf, majorityOf, standsForMs, type Vote } from './majority.ts';
import { Member, type Place } from './member.ts';
import { poll, voteOf } from './poll.ts';

export interface QuorumBidParts {
  /** The lock as its users call it. */
  readonly key: string;
  readonly places: readonly Place[];
  readonly newHolder: () => string;
  readonly clock: Clock;
  readonly retry: RetrySettings;
  /** How long an answer of one server is waited for. */
  readonly budget: Budget;
  readonly releases: Releases;
  readonly tally: Tally;
}

/** The pause after a split vote: longer than a round trip, or twice as long until it is. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 640;
/** Two that pause equally long would collide again, so at least this part of it is left to chance. */
const LEAST_CHANCE = 0.5;

/**
 * A bid for a lock that counts as held by whoever has it on a majority of its places: servers that
 * know nothing of each other, or keys of one deployment.
 *
 * Q1  All are asked at once, each answer is waited for as long as the budget allows, and none for
 *     longer than it can change the outcome.
 * Q2  What an attempt got where it got no majority is given back, also if it is granted late. Each
 *     attempt has a holder id of its own, so what is late of one can't undo the next.
 * Q3  Between two that have it one after the other there is a server that gave both a token, or knew
 *     of the first one's before it was used: tokens are written to a majority before they are given
 *     to anybody.
 * Q4  It is ours as long as a majority says so. A place counts for an extension only if it was ours
 *     before it.
 */
export class QuorumBid implements Bid {
  readonly tokens: Tokens = new Tokens();
  /** That no majority can be asked is an answer as well, and says more than waiting would. */
  readonly isUp = true;
  /** Nobody can be heard who waits for the other servers, so there may always be somebody. */
  readonly contended = true;
  readonly #parts: QuorumBidParts;
  readonly #members: readonly Member[];
  #ballot: Ballot;
  #attempts = 0;
  #reserve = 0;
  #lossFoundAtRelease: LossReason = 'deleted';
  /** Split votes in a row. */
  #splits = 0;
  /** Until then a push is no reason to try again: it is of others who give back as we do. */
  #quietUntilAtMs = -Infinity;

  constructor(parts: QuorumBidParts) {
    this.#parts = parts;
    this.#members = parts.places.map((place, server) => new Member(server, parts.key, place));
    this.#ballot = this.#newBallot();
  }

  get holder(): string {
    return this.#ballot.holder;
  }

  get hears(): boolean {
    return this.#isMajority(({ hears }) => hears);
  }

  get lossFoundAtRelease(): LossReason {
    return this.#lossFoundAtRelease;
  }

  readonly listen: Listen = (tell) => {
    let wasUp: boolean | undefined;
    const changed = (): void => {
      const isUp = this.#isMajority((member) => member.isUp);
      // One that is there again has to be asked, so that it pushes; so the lease is put in doubt.
      if (isUp === wasUp) tell('disconnect');
      else tell(isUp ? 'up' : 'down');
      wasUp = isUp;
    };
    const stop = this.#hear((heard) => {
      if (heard !== 'up' && heard !== 'down') tell(heard);
      else if (wasUp !== undefined) changed();
    });
    changed();
    return stop;
  };

  onStir(tell: (stir: Stir) => void): () => void {
    const onEars = (): void => {
      if (this.hears) tell('ears');
    };
    const stops = [
      this.#hear((heard) => {
        if (heard === 'push' && this.#parts.clock.nowMs() < this.#quietUntilAtMs) return;
        tell(heard === 'down' || heard === 'close' ? 'disconnect' : heard);
      }),
      ...this.#members.map((member) => member.onEars(onEars)),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  /**
   * Sends: what {@link LockBid.take} sends, to all places at once; when a majority has granted it,
   * EVALSHA `raise-fence` (1 key) to them. If others were in the way, and some have granted it, GET.
   * Time: each of these rounds takes as long as the budget at most.
   * Throws: {@link QuorumError} if too many failed; what they say if that will not pass by itself.
   */
  async take(wish: Wish, how: 'if-free' | 'force'): Promise<Answer> {
    const ballot = this.#nextBallot();
    const resume = this.#members.map((member) => member.hold());
    try {
      const { outcome, votes } = await ballot.take(wish, how);
      if (outcome === 'granted') {
        const tokens = await this.#addTokens(votes, wish);
        return { is: 'acquired', tokens, contended: true, echoes: 0 };
      }
      // Where it was free, what was pushed meanwhile is no reason to try again.
      this.#forgetPushes(votes, 'granted');
      if (outcome === 'failed') throw this.#failure(votes);
      ballot.giveBack();
      return await this.#refused(votes);
    } catch (error) {
      ballot.giveBack(); // guard: I11
      throw error;
    } finally {
      for (const each of resume) each();
    }
  }

  reserveWithNextExtension(tokens: number): void {
    this.#reserve = tokens;
  }

  async extend(leaseMs: number): Promise<Extension> {
    const ballot = this.#ballot;
    const tokens = this.#reserve;
    const { outcome, votes } = await ballot.extend(leaseMs, tokens);
    switch (outcome) {
      case 'granted':
        if (tokens > 0) {
          await this.#addTokens(votes, { leaseMs, tokens });
          this.#reserve = 0;
        }
        this.#parts.tally.extended();
        ballot.retake(leaseMs);
        return { is: 'extended', echoes: 0 };
      case 'held':
        return this.#lost(ballot, votes);
      default:
        throw this.#failure(votes);
    }
  }

  /** Sends: GET and PTTL to all places. */
  async verify(): Promise<Verdict> {
    const ballot = this.#ballot;
    const { outcome, votes } = await ballot.verify();
    switch (outcome) {
      case 'granted': {
        const remaining = votes.flatMap((vote) => (vote.vote === 'granted' ? [vote.answer] : []));
        return { is: 'ours', remainingMs: standsForMs(remaining, this.#members.length) };
      }
      case 'held':
        return this.#lost(ballot, votes);
      default:
        throw this.#failure(votes);
    }
  }

  /** Settles when a majority has answered; the others are asked again until the lease has ended. */
  async release(): Promise<'released' | 'lost'> {
    const ballot = this.#ballot;
    const { outcome, votes } = await ballot.release();
    switch (outcome) {
      case 'granted':
        ballot.giveBack();
        return 'released';
      case 'held':
        this.#lossFoundAtRelease = this.#lost(ballot, votes).is;
        return 'lost';
      default:
        throw this.#failure(votes);
    }
  }

  withdraw(): Promise<unknown> {
    return this.#ballot.withdraw();
  }

  async findEars(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.findEars()));
  }

  async #refused(votes: readonly Vote[]): Promise<Answer> {
    const refused = { is: 'held', place: undefined, echoes: 0 } as const;
    if (await this.#isSplit(votes)) {
      const remainingMs = this.#nextPauseMs();
      // The first time it may just have been given back, here sooner than there, which was pushed.
      if (this.#splits > 1) {
        // Those who were in the way give back as we do, and that is what was pushed, and will be.
        this.#forgetPushes(votes, 'held');
        this.#quietUntilAtMs = this.#parts.clock.nowMs() + remainingMs;
      }
      return { ...refused, remainingMs };
    }
    this.#splits = 0;
    return { ...refused, remainingMs: finite(freeInMs(votes, this.#members.length)) };
  }

  #forgetPushes(votes: readonly Vote[], of: Vote['vote']): void {
    for (const { server, vote } of votes) if (vote === of) this.#members[server]?.forgetPushes();
  }

  #nextBallot(): Ballot {
    if (this.#attempts > 0) {
      // Given back before it is wanted again, on the same connections, so it is not in its own way.
      this.#ballot.giveBack();
      this.#ballot = this.#newBallot();
    }
    this.#attempts += 1;
    return this.#ballot;
  }

  #newBallot(): Ballot {
    const { key, newHolder, budget, releases } = this.#parts;
    return new Ballot({ members: this.#members, holder: newHolder(), key, budget, releases });
  }

  #isMajority(holds: (member: Member) => boolean): boolean {
    return this.#members.filter(holds).length >= majorityOf(this.#members.length);
  }

  #hear(tell: (heard: Heard) => void): () => void {
    const stops = this.#members.map((member) => member.listen(tell));
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** The tokens from the highest of those that were reserved, when a majority knows of them. */
  async #addTokens(votes: readonly Vote<bigint>[], { leaseMs, tokens }: Wish): Promise<TokenBlock> {
    const firsts = new Map<number, bigint>();
    let first = 0n;
    for (const vote of votes) {
      if (vote.vote !== 'granted') continue;
      firsts.set(vote.server, vote.answer);
      if (vote.answer > first) first = vote.answer;
    }
    const last = first + BigInt(tokens) - 1n;
    const { outcome, votes: raised } = await poll(
      this.#members.map((member) =>
        voteOf(member.server, async () => {
          // The one that gave out this block remembers its end already.
          if (firsts.get(member.server) !== first) await member.raiseFence(last, leaseMs);
        }),
      ),
    );
    if (outcome !== 'granted') throw this.#failure(raised); // guard: I10
    const block = { first, count: tokens };
    this.tokens.add(block);
    return block;
  }

  /** Whether nobody has a majority: others want it just now, and got as little of it as we did. */
  async #isSplit(votes: readonly Vote[]): Promise<boolean> {
    if (countOf(votes, 'granted') === 0) return false;
    const servers = votes.filter(({ vote }) => vote === 'held').map(({ server }) => server);
    const holders = await Promise.all(
      servers.map((server) => this.#members[server]?.readHolder().catch(() => undefined)),
    );
    return leaderOf(holders, this.#members.length) === undefined;
  }

  #nextPauseMs(): number {
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#splits, LONGEST_PAUSE_MS);
    this.#splits += 1;
    return longestMs * (1 - Math.max(this.#parts.retry.jitter, LEAST_CHANCE) * Math.random());
  }

  #lost(ballot: Ballot, votes: readonly Vote[]): { readonly is: 'deleted' | 'taken' } {
    // A minority may still stand, and would be in the way of whoever has it now.
    ballot.giveBack();
    const isTaken = votes.some((vote) => vote.vote === 'held' && vote.found === 'taken');
    return { is: isTaken ? 'taken' : 'deleted' };
  }

  #failure(votes: readonly Vote[]): unknown {
    const { key } = this.#parts;
    const servers = this.#members.length;
    const lasting = votes.flatMap((vote) =>
      vote.vote === 'failed' && !isPassing(vote.error) ? [vote.error] : [],
    );
    // The others could not make a majority, whatever becomes of them.
    if (lasting.length > servers - majorityOf(servers)) return lasting[0];
    return new QuorumError(key, servers, votes);
  }
}

/** As Redis says it: -1 for what does not end. */
function finite(remainingMs: number): number {
  return remainingMs === Infinity ? -1 : remainingMs;
}

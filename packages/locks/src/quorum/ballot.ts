import type { Wish } from '../bid/bid.ts';
import type { Member } from './member.ts';
import type { Polled } from './poll.ts';
import { poll } from './poll.ts';
import { Seat, type SeatParts } from './seat.ts';

export interface BallotParts extends Omit<SeatParts, 'member'> {
  readonly members: readonly Member[];
}

/** One attempt to get the lock from all servers, under a holder id of its own, and what comes of it. */
export class Ballot {
  readonly holder: string;
  readonly #seats: readonly Seat[];

  constructor({ members, ...parts }: BallotParts) {
    this.holder = parts.holder;
    this.#seats = members.map((member) => new Seat({ ...parts, member }));
  }

  take(wish: Wish, how: 'if-free' | 'force'): Promise<Polled<bigint>> {
    return poll(this.#seats.map((seat) => seat.take(wish, how)));
  }

  extend(leaseMs: number, tokens: number): Promise<Polled<bigint>> {
    return poll(this.#seats.map((seat) => seat.extend(leaseMs, tokens)));
  }

  verify(): Promise<Polled<number>> {
    return poll(this.#seats.map((seat) => seat.verify()));
  }

  release(): Promise<Polled<void>> {
    return poll(this.#seats.map((seat) => seat.release()));
  }

  /** Waits for all: what is not answered is to be asked again. */
  async withdraw(): Promise<void> {
    for (const vote of await Promise.all(this.#seats.map((seat) => seat.release())))
      if (vote.vote === 'failed') throw vote.error;
  }

  giveBack(): void {
    for (const seat of this.#seats) seat.giveBack();
  }

  /**
   * Takes it where it was lost, or never had, and is free: on a server that has come back empty.
   *
   * To be called when a majority has just confirmed that it is ours: nobody else can have had one
   * meanwhile, so one server more takes nothing from anybody, and that it counts from now on hides no
   * gap. It must not count for the extension that it follows: with it a majority would be claimed
   * that was not there all the time.
   */
  retake(leaseMs: number): void {
    for (const seat of this.#seats)
      if (!seat.mayStand && !seat.isOver) void seat.take({ leaseMs, tokens: 1 }, 'if-free');
  }
}

import type { LossReason } from '../errors.ts';
import type { LeaseCommands } from '../lease/commands.ts';
import type { Heard } from '../lease/listen.ts';
import type { Answer } from '../scripts/answer.ts';
import type { Tokens } from './tokens.ts';

/**
 * What befalls one who waits. `turn`: the lock was offered to it. `next`: to the one before it in the
 * queue, which will be looked after when the offer is over. `push`: the lock changed. `up`: the
 * connection is there again. `ears`: a change of the lock would be pushed from now on.
 */
export type Stir = 'turn' | 'next' | 'push' | 'flush' | 'disconnect' | 'up' | 'ears';

/** What is wanted of Redis; {@link Bid} knows for whom. */
export interface Wish {
  readonly leaseMs: number;
  /** How many fencing tokens to reserve. */
  readonly tokens: number;
}

/**
 * One process's bid for a lock under one holder id: what it does in Redis to get the lease, and then
 * to keep it. How the lock is kept there is known here alone.
 *
 * All commands are safe to repeat (I11). Those of {@link LeaseCommands} settle within the time budget;
 * `take` and `join` when they are answered or the connection is lost, those of a quorum in time as well.
 */
export interface Bid extends LeaseCommands {
  /** May be another one for each attempt; the same from when it has the lease. */
  readonly holder: string;
  /** Whether there is a connection to ask over. */
  readonly isUp: boolean;
  /** Whether a change of the lock would be pushed to this process. */
  readonly hears: boolean;
  /** Whether other processes wait, as far as this one has heard; always where that can't be heard. */
  readonly contended: boolean;
  readonly tokens: Tokens;
  /** Why the lock was no longer ours when it was released, if nobody had noticed before. */
  readonly lossFoundAtRelease: LossReason;
  /** What befalls the lease, and its connection. */
  listen(tell: (heard: Heard) => void): () => void;
  /** Takes the lock if it is free, or from whoever has it. */
  take(wish: Wish, how: 'if-free' | 'force'): Promise<Answer>;
  /** As `take`, and waits in the queue if it is held; left out where there is none. */
  join?(wish: Wish): Promise<Answer>;
  /** Hears what concerns one who waits. */
  onStir(tell: (stir: Stir) => void): () => void;
  /** The next extension reserves so many fencing tokens. */
  reserveWithNextExtension(tokens: number): void;
  /** Gives back whatever an attempt may have left: the lock, an offer, the place in the queue. */
  withdraw(): Promise<unknown>;
  /** Somebody has to wait and is not told of releases: gets a connection that hears, if it may. */
  findEars(): Promise<void>;
}

import type { BasicPooledClientSideCache } from 'redis';
import type { Fetched } from '../../flight/fetched.ts';
import type { Leading } from '../../flight/load.ts';
import type { ClientConnection } from './connection.ts';
import { askRemainingTimes, remainingOf, type TimesListener } from './remaining.ts';
import { handOut, replyBytes, saysAbsent } from './replies/index.ts';
import { SendOrder } from './send-order.ts';

type HandleCache = Parameters<InstanceType<typeof BasicPooledClientSideCache>['handleCache']>;

/** What node-redis asks of its cache: one command. */
export interface Call {
  readonly client: HandleCache[0];
  readonly parser: HandleCache[1];
  readonly send: HandleCache[2];
  readonly transformReply: HandleCache[3];
  readonly typeMapping: HandleCache[4];
}

export interface FetchingOwner {
  /** All callers get the same. */
  readonly isFrozen: boolean;
  /** What to store for a reply. */
  keep(answer: unknown): unknown;
  /** The call was redirected by ASK, and node-redis will repeat it elsewhere. */
  asked(parser: Call['parser']): void;
}

/**
 * One miss: the command and, right behind it on the same connection, its keys' remaining times. The
 * data command goes first: any write after it pushes, and a redirection flag of a cluster is eaten by
 * whatever comes first.
 *
 * An object and no chain of promises: a miss costs mostly what it leaves to the collector.
 */
export class Fetching implements TimesListener {
  readonly #owner: FetchingOwner;
  readonly #call: Call;
  readonly #leading: Leading<unknown>;
  #order: SendOrder | undefined;
  #hasReply = false;
  #reply: unknown;
  #isTracked = false;
  #times: readonly unknown[] | undefined;

  /** Sends. Whatever comes of it, `leading` is told. */
  constructor(
    owner: FetchingOwner,
    call: Call,
    connection: ClientConnection,
    leading: Leading<unknown>,
  ) {
    this.#owner = owner;
    this.#call = call;
    this.#leading = leading;
    try {
      this.#order = new SendOrder(connection);
      call.send().then(
        (reply) => this.#replied(reply),
        (error) => this.#failed(error),
      );
      askRemainingTimes(connection, call.parser.keys, this);
    } catch (error) {
      this.#failed(error);
    }
  }

  answered(times: readonly unknown[]): void {
    this.#times = times;
    if (this.#hasReply) this.#end(times);
  }

  #replied(reply: unknown): void {
    this.#hasReply = true;
    this.#reply = reply;
    this.#isTracked = this.#order?.isTracked === true;
    if (this.#times !== undefined) this.#end(this.#times);
  }

  #end(times: readonly unknown[]): void {
    const { parser, transformReply, typeMapping } = this.#call;
    try {
      const reply = this.#reply;
      const answer = transformReply
        ? transformReply(reply as never, parser.preserve, typeMapping)
        : reply;
      let cache = howLong(parser.redisArgs, answer, reply, times);
      if (!this.#isTracked) cache = 'uncacheable'; // guard: I2
      const value = this.#owner.keep(answer);
      // What is kept is a copy, so whoever leads has the reply to himself.
      const own = this.#owner.isFrozen ? handOut(value) : answer;
      this.#leading.arrived({ value, cache, own });
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (isAsk(error)) this.#owner.asked(this.#call.parser); // guard: I2
    this.#leading.failed(error);
  }
}

/**
 * The node that is asked does not own the slot: it holds some of its keys for the moment. What it
 * answers is not kept, since nothing tells it when the others change.
 */
export function isAsk(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('ASK ');
}

/** `-1`: no expiry; `-2`: no such key. Anything but a number: nobody knows. */
function howLong(
  redisArgs: readonly (string | Buffer)[],
  value: unknown,
  reply: unknown,
  times: readonly unknown[],
): Fetched<unknown>['cache'] {
  const remaining = remainingOf(times);
  if (remaining === 'unknown') return 'uncacheable';
  // The key may have ended between the command and its PTTL: then the reply is already outdated.
  if (remaining.isMissing && !saysAbsent(reply, redisArgs)) return 'uncacheable'; // guard: I3
  return {
    kind: remaining.isMissing ? 'negative' : 'present',
    remaining: remaining.ms,
    valueBytes: replyBytes(value),
  };
}

import type { Connections } from '../connections.ts';
import type { LossReason } from '../errors.ts';
import { type LockKeys, wakeKey } from '../keys.ts';
import type { Extension, Verdict } from '../lease/commands.ts';
import type { Heard } from '../lease/listen.ts';
import type { Answer, TokenBlock } from '../scripts/answer.ts';
import type { Tally } from '../tally.ts';
import type { Bid, Stir, Wish } from './bid.ts';
import type { Tokens } from './tokens.ts';

export interface KeyBidParts {
  readonly connections: Connections;
  /** The lock as its users call it. */
  readonly key: string;
  readonly keys: LockKeys;
  readonly holder: string;
  readonly tally: Pick<Tally, 'extended'>;
  /** It is one of several that decide together, also on what tokens are given to whom. */
  readonly isVote?: boolean;
}

/** What the scripts say of an extension. `echoes`: the pushes of our own that follow. */
export type ScriptedExtension =
  | {
      readonly is: 'extended';
      readonly contended: boolean;
      readonly echoes: number;
      readonly tokens: TokenBlock | undefined;
    }
  | { readonly is: 'deleted' }
  | { readonly is: 'taken' };

/**
 * What bids have in common whose lock stands in one key, whatever is kept there: over whatever
 * connection is current they listen to that key, and to the two by which one waiter is woken.
 */
export abstract class KeyBid implements Bid {
  readonly holder: string;
  readonly tokens: Tokens;
  protected lossFound: LossReason;
  protected isContended = false;
  protected readonly place: KeyBidParts;
  /** The name under which it stands in the queue. */
  readonly #waiter: string;
  #reserve = 0;
  /** How many were sent. */
  #extensions = 0;

  constructor(
    place: KeyBidParts,
    { tokens, waiter, lossFound }: { tokens: Tokens; waiter: string; lossFound: LossReason },
  ) {
    this.holder = place.holder;
    this.tokens = tokens;
    this.place = place;
    this.lossFound = lossFound;
    this.#waiter = waiter;
  }

  abstract take(wish: Wish, how: 'if-free' | 'force'): Promise<Answer>;
  abstract join(wish: Wish): Promise<Answer>;
  abstract verify(): Promise<Verdict>;
  abstract release(): Promise<'released' | 'lost'>;
  abstract withdraw(): Promise<unknown>;
  protected abstract sendExtension(wish: Wish): Promise<ScriptedExtension>;

  get isUp(): boolean {
    return this.place.connections.current.isUp;
  }

  get hears(): boolean {
    return this.place.connections.current.tracks(this.place.keys.lock);
  }

  get contended(): boolean {
    return this.isContended;
  }

  get lossFoundAtRelease(): LossReason {
    return this.lossFound;
  }

  listen(tell: (heard: Heard) => void): () => void {
    const { connections, keys } = this.place;
    return connections.current.watch(keys.lock, tell);
  }

  onStir(tell: (stir: Stir) => void): () => void {
    const { connections, keys } = this.place;
    const { engine } = connections.current;
    const stops = [
      this.onEars(() => tell('ears')),
      this.listen((heard) => tell(heard === 'down' || heard === 'close' ? 'disconnect' : heard)),
      ...(['turn', 'next'] as const).map((name) =>
        engine.onInvalidation(wakeKey(keys, name, this.#waiter), (cause) => {
          if (cause === 'push') tell(name);
        }),
      ),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** Told when a change of the lock would be pushed from now on, perhaps again. */
  onEars(tell: () => void): () => void {
    return this.place.connections.current.engine.onTracked(() => {
      if (this.hears) tell();
    });
  }

  findEars(): Promise<void> {
    return this.place.connections.contended(this.place.key);
  }

  reserveWithNextExtension(tokens: number): void {
    this.#reserve = tokens;
  }

  async extend(leaseMs: number): Promise<Extension> {
    const heard = this.hears;
    this.#extensions += 1;
    const number = this.#extensions;
    const answer = await this.sendExtension({ leaseMs, tokens: this.#reserve });
    if (answer.is !== 'extended') return answer;
    this.place.tally.extended();
    this.isContended = answer.contended;
    // An answer that comes after its time, over a connection of before, may bring tokens that are lower
    // than those a later one has brought.
    if (answer.tokens !== undefined && number === this.#extensions) {
      this.#reserve = 0;
      this.tokens.add(answer.tokens);
    }
    // A node of a cluster may be reached over a connection that nobody hears: one that is expected and
    // never comes would hide a push of somebody else's.
    return { is: 'extended', echoes: heard && this.hears ? answer.echoes : 0 };
  }

  protected noteAnswer<A extends Answer>(answer: A): A {
    if (answer.is === 'acquired') {
      this.isContended = answer.contended;
      this.tokens.add(answer.tokens);
    }
    return answer;
  }
}

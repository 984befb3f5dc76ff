import type { Attachment, Fetched, Filling, TrackingCache } from '@redcache/core';
import type { ManualClock } from '@redcache/core/testing';
import type { Connection } from './connection.ts';
import type { Answer, Judge, UnderWay } from './judge.ts';
import { type Seen, ServerError } from './node.ts';
import type { Rest } from './steps.ts';

/** A connection of the model and what the engine has for it; `undefined` while it is not attached. */
export interface Attached {
  readonly connection: Connection;
  attachment: Attachment | undefined;
}

/** The engine's bounds in time. */
export const LONGEST_MS = { present: 400, negative: 250 } as const;
const VALUE_BYTES = { GET: 60, STRLEN: 20 } as const;

/** Those who use the engine: they read and write through one of its connections, and hear the answer. */
export class Callers {
  readonly #cache: TrackingCache;
  readonly #clock: ManualClock;
  readonly #judge: Judge;
  readonly #optin: boolean;
  /** A node answered that it does not own the slots any more. */
  readonly #onMoved: () => void;
  /** Fences of writes whose outcome nobody knows, by key. */
  readonly #uncertain = new Map<string, (() => void)[]>();

  constructor(
    cache: TrackingCache,
    clock: ManualClock,
    judge: Judge,
    { optin, onMoved }: { readonly optin: boolean; readonly onMoved: () => void },
  ) {
    this.#cache = cache;
    this.#clock = clock;
    this.#judge = judge;
    this.#optin = optin;
    this.#onMoved = onMoved;
  }

  // Reads.

  /** A command of one key, filed under the key. */
  read(by: Attached, key: string, rest: Rest): void {
    const signature = `${rest} ${key}`;
    this.#read(by, [key], signature, rest);
  }

  /** A command of several keys, filed by its signature. */
  readTwo(by: Attached, keys: readonly string[]): void {
    this.#read(by, keys, ['MGET', ...keys].join(' '), undefined);
  }

  #read(by: Attached, keys: readonly string[], signature: string, rest: Rest | undefined): void {
    const { session } = by.attachment as Attachment;
    const floors = this.#floors(keys);
    const { store, flights } = this.#cache.internals;
    const kept = rest === undefined ? store.findReply(signature) : store.find(keys[0] ?? '', rest);
    const joins = flights.joinable(signature) !== undefined;
    let asked = false;
    const reading = this.#cache.read(
      keys,
      signature,
      () => {
        asked = true;
        return this.#fetch(by.connection, keys, signature, rest);
      },
      { session, ...(rest === undefined ? {} : { rest }) },
    );
    // At once: what was true when it was asked for need not be when the promise has settled.
    if (!asked && !joins && kept !== undefined) this.#judgeHit('read', kept.value as Answer);
    reading.then(
      (answer) => this.#judge.answered('read', answer, signature, floors),
      (error: unknown) => this.#judge.rejected('read', error),
    );
  }

  /** Several keys at once, each a read by itself, as an adapter reads MGET. */
  readMany(by: Attached, keys: readonly string[], rest: Rest): void {
    const { session } = by.attachment as Attachment;
    const wanted = keys
      .map((key) => ({ key, signature: `${rest} ${key}`, rest }))
      .filter(({ key }) => !this.lookup(key, rest));
    const floors = this.#floors(keys);
    const answers = this.#cache.loadMany(
      wanted,
      (positions) =>
        Promise.all(
          positions.map((position) => {
            const { key, signature } = wanted[position] as (typeof wanted)[number];
            return this.#fetch(by.connection, [key], signature, rest);
          }),
        ),
      session,
    );
    for (const [i, { signature }] of wanted.entries())
      answers[i]?.then(
        (answer) => this.#judge.answered('loadMany', answer, signature, floors),
        (error: unknown) => this.#judge.rejected('loadMany', error),
      );
  }

  /** Answers whether it was there. */
  lookup(key: string, rest: string): boolean {
    const entry = this.#cache.lookup(key, rest);
    if (entry !== undefined) this.#judgeHit('lookup', entry.value as Answer);
    return entry !== undefined;
  }

  lookupReply(signature: string): void {
    const entry = this.#cache.lookupReply(signature);
    if (entry !== undefined) this.#judgeHit('lookup', entry.value as Answer);
  }

  #judgeHit(how: string, answer: Answer): void {
    this.#judge.answered(how, answer, answer.signature, (key) => this.#judge.floor(key));
    this.#judge.hit(how, answer, this.#clock.nowMs());
  }

  /** Guard, send, fill: as a host does that reads by itself. */
  guarded(by: Attached, key: string): void {
    const { session } = by.attachment as Attachment;
    const guard = this.#cache.guard([key], () => rethrow('onBroken'), session);
    this.#fetch(by.connection, [key], `value ${key}`, 'GET').then(
      ({ value, cache }) => {
        if (cache === 'uncacheable') this.#cache.release(guard);
        else this.#cache.fill(guard, key, value, cache);
      },
      () => this.#cache.release(guard),
    );
  }

  /** As a loader fills: a script reads, writes and reads the key, and exactly one push follows. */
  ownScript(by: Attached, key: string): void {
    const { connection } = by;
    const { session } = by.attachment as Attachment;
    const under = this.#judge.begin([key], connection.line);
    const guard = this.#cache.guard([key], undefined, session);
    const sentAtMs = this.#clock.nowMs();
    this.#announce(connection);
    connection.send(['EVALSHA', key]).then(
      (reply) => {
        this.#judge.end(under);
        const seen = reply as Seen;
        const answer = this.#answer(`value ${key}`, [seen], sentAtMs, under, 1);
        const remaining = Math.max(0, seen.endsAtMs - this.#clock.nowMs());
        const filling: Filling = { kind: 'present', remaining, valueBytes: 60, by: 'own-write' };
        this.#cache.fill(guard, key, answer, filling);
      },
      (error: unknown) => {
        this.#judge.end(under);
        this.#cache.release(guard);
        this.#failed(error);
      },
    );
  }

  async #fetch(
    connection: Connection,
    keys: readonly string[],
    signature: string,
    rest: Rest | undefined,
  ): Promise<Fetched<Answer>> {
    const under = this.#judge.begin(keys, connection.line);
    const sentAtMs = this.#clock.nowMs();
    this.#announce(connection);
    try {
      const [reply, ...left] = await Promise.all([
        connection.send([rest ?? 'MGET', ...keys]),
        ...keys.map((key) => connection.send(['PTTL', key]) as Promise<number>),
      ]);
      const seen = (keys.length === 1 ? [reply] : reply) as readonly Seen[];
      const value = this.#answer(signature, seen, sentAtMs, under, 0);
      // A key that came or went between the two commands.
      if (seen.some(({ exists }, i) => exists === (left[i] === -2)))
        return { value, cache: 'uncacheable' };
      const ends = left.filter((each) => each >= 0);
      const remaining = ends.length === 0 ? 'none' : Math.min(...ends);
      const kind = seen.every(({ exists }) => exists) ? 'present' : 'negative';
      return { value, cache: { kind, remaining, valueBytes: VALUE_BYTES[rest ?? 'GET'] } };
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      this.#judge.end(under);
    }
  }

  #answer(
    signature: string,
    seen: readonly Seen[],
    sentAtMs: number,
    { severed, pushes }: UnderWay,
    echoes: 0 | 1,
  ): Answer {
    const longestMs = LONGEST_MS[seen.every(({ exists }) => exists) ? 'present' : 'negative'];
    return { signature, seen, sentAtMs, longestMs, echoes, end: { severed, pushes } };
  }

  #announce(connection: Connection): void {
    if (this.#optin) connection.send(['CLIENT', 'CACHING', 'YES']).catch(() => {});
  }

  // Writes.

  /** A write of our own, announced by a fence, or at the moments of issue and reply. */
  ownWrite(by: Attached, key: string, how: 'fence' | 'wrote'): void {
    if (how === 'wrote') {
      this.#wrote([key]);
      this.#written(by, ['SET', key], () => this.#wrote([key]));
      return;
    }
    const fence = this.#cache.fence([key]);
    this.#judge.fence(key);
    const settle = (): void => {
      fence.settle();
      this.#judge.unfence(key);
    };
    this.#written(by, ['SET', key], settle, () => {
      const others = this.#uncertain.get(key);
      if (others === undefined) this.#uncertain.set(key, [settle]);
      else others.push(settle);
    });
  }

  ownFlush(by: Attached): void {
    const wrote = (): void => {
      this.#judge.sever('all');
      this.#cache.wrote('all');
    };
    wrote();
    this.#written(by, ['FLUSHALL'], wrote);
  }

  #wrote(keys: readonly string[]): void {
    this.#judge.sever(keys);
    this.#cache.wrote(keys);
  }

  /** `onEnd`: it ran, or it is sure that it did not. `onLost`: nobody knows. */
  #written(
    { connection }: Attached,
    args: readonly string[],
    onEnd: () => void,
    onLost: () => void = onEnd,
  ): void {
    connection.send(args).then(
      (event) => {
        onEnd();
        // I6: whoever reads from now on sees this write, or something newer.
        if (args[1] !== undefined) this.#judge.raise(args[1], event as number);
        this.settleUncertain(args[1]);
      },
      (error: unknown) => {
        if (this.#failed(error)) onEnd();
        else onLost();
      },
    );
  }

  /** A later write was answered, so that the one before is done or never will be. */
  settleUncertain(key: string | undefined): void {
    for (const settle of (key !== undefined && this.#uncertain.get(key)) || []) settle();
    if (key !== undefined) this.#uncertain.delete(key);
  }

  /** Whether the server said so itself. */
  #failed(error: unknown): boolean {
    if (error instanceof ServerError && error.message.startsWith('MOVED')) this.#onMoved();
    return error instanceof ServerError;
  }

  #floors(keys: readonly string[]): (key: string) => number {
    const floors = new Map(keys.map((key) => [key, this.#judge.floor(key)]));
    return (key) => floors.get(key) ?? 0;
  }
}

/** As a callback of a user that fails. */
export function rethrow(what: string): never {
  throw new Error(`${what} throws`);
}

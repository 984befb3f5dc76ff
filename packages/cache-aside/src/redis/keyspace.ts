import {
  type Argument,
  type Clock,
  type CommandPort,
  type Remaining,
  type SendOptions,
  type TrackingSession,
  UnavailableError,
} from '@redcache/core';
import { Budget, isServerError, runScript, type Script, TIMED_OUT } from '@redcache/core/toolkit';
import type { Extension } from '@redcache/locks/lease';
import { acquire } from '../scripts/acquire.ts';
import { beginWrite } from '../scripts/begin-write.ts';
import { extend } from '../scripts/extend.ts';
import { fill } from '../scripts/fill.ts';
import { refreshAcquire } from '../scripts/refresh-acquire.ts';
import { refreshExtend } from '../scripts/refresh-extend.ts';
import { refreshFill } from '../scripts/refresh-fill.ts';
import { release } from '../scripts/release.ts';
import { Breaker } from './breaker.ts';
import { Gate } from './gate.ts';

/** Text, or the bytes of what is not. */
export type Content = string | Buffer;

/** What a key was seen to hold. `content` is `null` for nothing. */
export interface Seen {
  readonly content: Content | null;
  /** Time the key has left; `'unknown'`: it ended between the two commands, so nothing may be kept. */
  readonly remaining: Remaining | 'unknown';
}

export type Acquired = { readonly is: 'acquired' } | { readonly is: 'taken'; readonly seen: Seen };

/** `taken`: somebody else is loading it, for so long at most. `changed`: it is another value by now. */
export type RefreshAcquired =
  | { readonly is: 'acquired' }
  | { readonly is: 'taken'; readonly leftMs: number }
  | { readonly is: 'changed' };

/** The right to load a value anew: for which value, and where the lease stands. */
export interface RefreshKeys {
  readonly key: string;
  readonly lease: string;
  /** Of the value that is to be replaced. */
  readonly id: string;
}

/** How the keys of a cache are reached. */
export interface Way {
  readonly port: CommandPort;
  sessionFor(key: string): TrackingSession;
  /** Of a cluster, where a command names keys of one slot alone. */
  readonly hasSlots: boolean;
}

/** Keys named in one command; more would keep the server from its other clients. */
const KEYS_A_COMMAND = 500;

const BYTES: SendOptions = { replies: 'buffers' };

/**
 * The data keys in Redis: each method is one round trip and settles within the budget.
 *
 * Throws: `UnavailableError` when Redis cannot be asked, does not answer in time, or refuses (out of
 * memory, read-only, a key of another type): whatever the cause, the caller goes on without it.
 */
export class Keyspace {
  readonly port: CommandPort;
  readonly gate: Gate;
  readonly #way: Way;
  readonly #clock: Clock;
  readonly #budget: Budget;
  readonly #breaker = new Breaker();
  /** In a cluster one for each node: what does not answer must not keep anybody from the others. */
  readonly #breakers = new WeakMap<TrackingSession, Breaker>();

  constructor(way: Way, clock: Clock, budgetMs: number) {
    this.port = way.port;
    this.#way = way;
    this.#clock = clock;
    this.#budget = new Budget(clock, budgetMs);
    this.gate = new Gate(way.port, this.#budget, clock);
  }

  /** The connection that commands of this key travel on, to be named with every guard of it. */
  sessionFor(key: string): TrackingSession {
    return this.#way.sessionFor(key);
  }

  /**
   * Sends: `GET`, then `PTTL`, without MULTI: a write between them pushes, so the caller's guard
   * sees it.
   */
  async read(key: string, as: 'text' | 'bytes'): Promise<Seen> {
    const options = as === 'bytes' ? BYTES : undefined;
    return await this.ask(key, (port) => readOne(port, key, options));
  }

  /**
   * Sends: one `MGET` for every 500 keys, and `PTTL` for each key. In a cluster, and for a single key,
   * `GET` and `PTTL` for each, pipelined: a command of several keys is refused while their slot moves.
   * Resolves: for each key what was seen; in a cluster that may be the error of its node alone.
   */
  async readMany(
    keys: readonly string[],
    as: 'text' | 'bytes',
  ): Promise<readonly (Seen | UnavailableError)[]> {
    const [first = ''] = keys;
    if (keys.length === 1) return [await this.read(first, as)];
    if (this.#way.hasSlots) return Promise.all(keys.map((key) => this.#tryToRead(key, as)));
    const options = as === 'bytes' ? BYTES : undefined;
    const seen = await this.ask(first, (port) =>
      Promise.all(chunks(keys).map((chunk) => readChunk(port, chunk, options))),
    );
    return seen.flat();
  }

  async #tryToRead(key: string, as: 'text' | 'bytes'): Promise<Seen | UnavailableError> {
    try {
      return await this.read(key, as);
    } catch (error) {
      if (error instanceof UnavailableError) return error;
      throw error;
    }
  }

  /**
   * Sends: EVALSHA `acquire` (1 key). Atomic. `replaces`: what the value begins with that is to be
   * replaced, if any; `foreign`: what another program wrote is to be, too.
   *
   * A reply that comes after the caller has given up and says that the load was acquired is undone:
   * nobody would carry it out.
   */
  acquire(request: {
    readonly key: string;
    readonly placeholder: string;
    readonly leaseMs: number;
    readonly replaces: Content;
    readonly foreign: boolean;
    readonly as: 'text' | 'bytes';
  }): Promise<Acquired> {
    const { key, placeholder, leaseMs, replaces, foreign, as } = request;
    const args = [placeholder, String(leaseMs), replaces, foreign ? '1' : ''];
    return this.#take(
      key,
      async (port) => {
        const options = as === 'bytes' ? BYTES : undefined;
        const [won, content, pttl] = await replies(port, acquire, [key], args, options);
        return won === 1 ? { is: 'acquired' } : { is: 'taken', seen: seenAs(content, pttl) };
      },
      () => this.release(key, placeholder),
    );
  }

  /** Sends: EVALSHA `fill` (1 key). Atomic. Resolves whether the value was stored. */
  async fill(key: string, placeholder: string, envelope: Content, ttlMs: number): Promise<boolean> {
    const args = [placeholder, envelope, String(ttlMs)];
    return (await this.ask(key, (port) => runScript(port, fill, [key], args))) === 1;
  }

  /** Sends: EVALSHA `extend` (1 key). Atomic. */
  async extend(key: string, placeholder: string, leaseMs: number): Promise<Extension> {
    const args = [placeholder, String(leaseMs)];
    return extensionOf(await this.ask(key, (port) => runScript(port, extend, [key], args)));
  }

  /** Sends: EVALSHA `release` (1 key). Atomic. */
  async release(key: string, placeholder: string): Promise<'released' | 'lost'> {
    const reply = await this.ask(key, (port) => runScript(port, release, [key], [placeholder]));
    return reply === 1 ? 'released' : 'lost';
  }

  /** Sends: EVALSHA `refresh-acquire` (2 keys). Atomic. Undone if it is answered too late. */
  acquireRefresh(
    { key, lease, id }: RefreshKeys,
    holder: string,
    leaseMs: number,
  ): Promise<RefreshAcquired> {
    const args = [holder, String(leaseMs), id];
    return this.#take(
      key,
      async (port) => {
        const [won, pttl] = await replies(port, refreshAcquire, [key, lease], args);
        if (won === 1) return { is: 'acquired' };
        return won === 0 ? { is: 'taken', leftMs: Number(pttl) } : { is: 'changed' };
      },
      () => this.release(lease, holder),
    );
  }

  /** Sends: EVALSHA `refresh-extend` (2 keys). Atomic. */
  async extendRefresh(
    { key, lease, id }: RefreshKeys,
    holder: string,
    leaseMs: number,
  ): Promise<Extension> {
    const args = [holder, String(leaseMs), id];
    return extensionOf(
      await this.ask(key, (port) => runScript(port, refreshExtend, [key, lease], args)),
    );
  }

  /** Sends: EVALSHA `refresh-fill` (2 keys). Atomic. Resolves whether the value was stored. */
  async fillRefresh(
    { key, lease, id }: RefreshKeys,
    holder: string,
    envelope: Content,
    ttlMs: number,
  ): Promise<boolean> {
    const args = [holder, id, envelope, String(ttlMs)];
    return (await this.ask(key, (port) => runScript(port, refreshFill, [key, lease], args))) === 1;
  }

  /**
   * Sends: EVALSHA `begin-write` (1 key). Atomic. Resolves what the key holds, in words that only the
   * server has to understand. Where there is nothing the mark is put, for so long.
   */
  async beginWrite(key: string, mark: string, markMs: number): Promise<string> {
    const args = [mark, String(markMs)];
    return String(await this.ask(key, (port) => runScript(port, beginWrite, [key], args)));
  }

  /**
   * Sends what changes something. `reply` settles whenever Redis does, and late; `outcome` settles
   * within the budget, with {@link TIMED_OUT} if that came first. Unlike the other methods they
   * reject with what the client or the server said.
   */
  async write<T>(send: (port: CommandPort) => Promise<T>): Promise<Written<T>> {
    // No turn is lost, so that commands leave in the order of the calls.
    if (!this.gate.isUp) await this.gate.up();
    const reply = send(this.port);
    return { reply, outcome: this.#budget.bound(reply) };
  }

  /** Keys in lists that may stand in one command each. */
  together(keys: readonly string[]): readonly (readonly string[])[] {
    return this.#way.hasSlots ? keys.map((key) => [key]) : chunks(keys);
  }

  /** Asks Redis something about a key, or keys on the same connection, within the budget. */
  async ask<T>(key: string, send: (port: CommandPort) => Promise<T>): Promise<T> {
    if (!this.gate.isUp) await this.gate.up();
    const breaker = this.#way.hasSlots ? this.#breakerOf(key) : this.#breaker;
    if (!breaker.admits(this.#clock.nowMs()))
      throw new UnavailableError('Redis has not answered for a while, so it is not asked');
    let sent: Promise<T>;
    let reply: T | typeof TIMED_OUT;
    try {
      sent = send(this.port);
      reply = await this.#budget.bound(sent);
    } catch (cause) {
      const refused = isServerError(cause);
      if (refused) breaker.answered();
      const what = refused ? `Redis refused: ${cause.message}` : 'Redis did not answer';
      throw new UnavailableError(what, { cause });
    }
    if (reply === TIMED_OUT) {
      breaker.timedOut(this.#clock.nowMs());
      // Many may have waited for one slow moment, which is over as soon as one of them is answered.
      sent.then(
        () => breaker.answered(),
        () => {},
      );
      throw new UnavailableError(`Redis did not answer within ${this.#budget.budgetMs} ms`);
    }
    breaker.answered();
    return reply;
  }

  close(): void {
    this.gate.close();
  }

  #breakerOf(key: string): Breaker {
    const session = this.#way.sessionFor(key);
    let breaker = this.#breakers.get(session);
    if (breaker === undefined) {
      breaker = new Breaker();
      this.#breakers.set(session, breaker);
    }
    return breaker;
  }

  async #take<T extends { readonly is: string }>(
    key: string,
    send: (port: CommandPort) => Promise<T>,
    giveBack: () => Promise<unknown>,
  ): Promise<T> {
    let late = false;
    try {
      return await this.ask(key, async (port) => {
        const taken = await send(port);
        if (late && taken.is === 'acquired') giveBack().catch(() => {}); // guard: I9
        return taken;
      });
    } catch (error) {
      late = true;
      throw error;
    }
  }
}

export interface Written<T> {
  readonly reply: Promise<T>;
  readonly outcome: Promise<T | typeof TIMED_OUT>;
}

/** How much it is in Redis. */
export function bytesOf(content: Content): number {
  return typeof content === 'string' ? Buffer.byteLength(content) : content.length;
}

function chunks(keys: readonly string[]): string[][] {
  const all: string[][] = [];
  for (let from = 0; from < keys.length; from += KEYS_A_COMMAND)
    all.push(keys.slice(from, from + KEYS_A_COMMAND));
  return all;
}

async function readOne(
  port: CommandPort,
  key: string,
  options: SendOptions | undefined,
): Promise<Seen> {
  const [content, pttl] = await Promise.all([
    port.send(['GET', key], options),
    port.send(['PTTL', key]),
  ]);
  return seenAs(content, pttl);
}

async function readChunk(
  port: CommandPort,
  chunk: readonly string[],
  options: SendOptions | undefined,
): Promise<Seen[]> {
  const [contents, ...ttls] = await Promise.all([
    port.send(['MGET', ...chunk], options),
    ...chunk.map((key) => port.send(['PTTL', key])),
  ]);
  return (contents as unknown[]).map((content, i) => seenAs(content, ttls[i]));
}

async function replies(
  port: CommandPort,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
  options?: SendOptions,
): Promise<readonly unknown[]> {
  return (await runScript(port, script, keys, args, options)) as readonly unknown[];
}

function extensionOf(reply: unknown): Extension {
  if (reply === 1) return { is: 'extended', echoes: 1 };
  return { is: reply === 0 ? 'deleted' : 'taken' };
}

function seenAs(content: unknown, pttl: unknown): Seen {
  const ttl = Number(pttl);
  const remaining = ttl === -1 ? 'none' : ttl >= 0 ? ttl : 'unknown';
  const isContent = typeof content === 'string' || Buffer.isBuffer(content);
  return { content: isContent ? content : null, remaining };
}

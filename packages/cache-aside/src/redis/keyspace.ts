import { type Clock, type CommandPort, type Remaining, UnavailableError } from '@redcache/core';
import { Budget, isServerError, runScript, TIMED_OUT } from '@redcache/core/toolkit';
import type { Extension } from '@redcache/locks/lease';
import { acquire } from '../scripts/acquire.ts';
import { extend } from '../scripts/extend.ts';
import { fill } from '../scripts/fill.ts';
import { release } from '../scripts/release.ts';
import { Gate } from './gate.ts';

/** What a key was seen to hold. `text` is `null` for nothing. */
export interface Seen {
  readonly text: string | null;
  /** Time the key has left; `'unknown'`: it ended between the two commands, so nothing may be kept. */
  readonly remaining: Remaining | 'unknown';
}

export type Acquired = { readonly is: 'acquired' } | { readonly is: 'taken'; readonly seen: Seen };

/** Keys named in one command; more would keep the server from its other clients. */
const KEYS_A_COMMAND = 500;

/**
 * The data keys in Redis: each method is one round trip and settles within the budget.
 *
 * Throws: `UnavailableError` when Redis cannot be asked, does not answer in time, or refuses (out of
 * memory, read-only, a key of another type): whatever the cause, the caller goes on without it.
 */
export class Keyspace {
  readonly port: CommandPort;
  readonly gate: Gate;
  readonly #budget: Budget;

  constructor(port: CommandPort, clock: Clock, budgetMs: number) {
    this.port = port;
    this.#budget = new Budget(clock, budgetMs);
    this.gate = new Gate(port, this.#budget, clock);
  }

  /**
   * Sends: `GET`, then `PTTL`, without MULTI: a write between them pushes, so the caller's guard
   * sees it.
   */
  async read(key: string): Promise<Seen> {
    const [seen] = await this.#ask(() => this.#sendReads([key], ['GET', key]));
    return seen as Seen;
  }

  /** Sends: one `MGET` for every 500 keys, and `PTTL` for each key. */
  async readMany(keys: readonly string[]): Promise<Seen[]> {
    const seen = await this.#ask(() =>
      Promise.all(chunks(keys).map((chunk) => this.#sendReads(chunk, ['MGET', ...chunk]))),
    );
    return seen.flat();
  }

  async #sendReads(keys: readonly string[], command: readonly string[]): Promise<Seen[]> {
    const [reply, ...ttls] = await Promise.all([
      this.port.send(command),
      ...keys.map((key) => this.port.send(['PTTL', key])),
    ]);
    const texts = command[0] === 'GET' ? [reply] : (reply as unknown[]);
    return texts.map((text, i) => seenAs(text, ttls[i]));
  }

  /**
   * Sends: EVALSHA `acquire` (1 key). Atomic.
   *
   * A reply that comes after the caller has given up and says that the load was acquired is undone:
   * nobody would carry it out.
   */
  async acquire(request: {
    readonly key: string;
    readonly placeholder: string;
    readonly leaseMs: number;
    readonly unreadable: string;
  }): Promise<Acquired> {
    const { key, placeholder, leaseMs, unreadable } = request;
    let late = false;
    const send = async (): Promise<Acquired> => {
      const args = [placeholder, String(leaseMs), unreadable];
      const [won, text, pttl] = (await runScript(this.port, acquire, [key], args)) as unknown[];
      if (won !== 1) return { is: 'taken', seen: seenAs(text, pttl) };
      if (late) this.release(key, placeholder).catch(() => {});
      return { is: 'acquired' };
    };
    try {
      return await this.#ask(send);
    } catch (error) {
      late = true;
      throw error;
    }
  }

  /** Sends: EVALSHA `fill` (1 key). Atomic. Resolves whether the value was stored. */
  async fill(key: string, placeholder: string, envelope: string, ttlMs: number): Promise<boolean> {
    const args = [placeholder, envelope, String(ttlMs)];
    return (await this.#ask(() => runScript(this.port, fill, [key], args))) === 1;
  }

  /** Sends: EVALSHA `extend` (1 key). Atomic. */
  async extend(key: string, placeholder: string, leaseMs: number): Promise<Extension> {
    const args = [placeholder, String(leaseMs)];
    const reply = await this.#ask(() => runScript(this.port, extend, [key], args));
    if (reply === 1) return { is: 'extended', echoes: 1 };
    return { is: reply === 0 ? 'deleted' : 'taken' };
  }

  /** Sends: EVALSHA `release` (1 key). Atomic. */
  async release(key: string, placeholder: string): Promise<'released' | 'lost'> {
    const reply = await this.#ask(() => runScript(this.port, release, [key], [placeholder]));
    return reply === 1 ? 'released' : 'lost';
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

  /** Asks Redis something of one's own, within the budget. */
  ask<T>(send: (port: CommandPort) => Promise<T>): Promise<T> {
    return this.#ask(() => send(this.port));
  }

  close(): void {
    this.gate.close();
  }

  async #ask<T>(send: () => Promise<T>): Promise<T> {
    if (!this.gate.isUp) await this.gate.up();
    let reply: T | typeof TIMED_OUT;
    try {
      reply = await this.#budget.bound(send());
    } catch (cause) {
      const what = isServerError(cause)
        ? `Redis refused: ${cause.message}`
        : 'Redis did not answer';
      throw new UnavailableError(what, { cause });
    }
    if (reply === TIMED_OUT)
      throw new UnavailableError(`Redis did not answer within ${this.#budget.budgetMs} ms`);
    return reply;
  }
}

export interface Written<T> {
  readonly reply: Promise<T>;
  readonly outcome: Promise<T | typeof TIMED_OUT>;
}

export function chunks(keys: readonly string[]): string[][] {
  const all: string[][] = [];
  for (let from = 0; from < keys.length; from += KEYS_A_COMMAND)
    all.push(keys.slice(from, from + KEYS_A_COMMAND));
  return all;
}

function seenAs(text: unknown, pttl: unknown): Seen {
  const ttl = Number(pttl);
  const remaining = ttl === -1 ? 'none' : ttl >= 0 ? ttl : 'unknown';
  return { text: typeof text === 'string' ? text : null, remaining };
}

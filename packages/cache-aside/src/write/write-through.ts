import { setMaxListeners } from 'node:events';
import { types } from 'node:util';
import { type Clock, ConfigError, type Duration } from '@redcache/core';
import { Budget, besideOf, durationMs, isServerError, runScript } from '@redcache/core/toolkit';
import { AcquireTimeoutError, type Lock, LockLostError, type Locks } from '@redcache/locks';
import type { Awaitable } from '../compression.ts';
import { writeMark } from '../envelope.ts';
import type { Groups } from '../groups/groups.ts';
import type { WriteWish } from '../options.ts';
import type { Policy } from '../policy.ts';
import { firstAborted } from '../read/signals.ts';
import { bytesOf, type Keyspace } from '../redis/keyspace.ts';
import { storeHeld } from '../scripts/store-held.ts';
import type { Counters } from '../stats.ts';
import { within } from '../time-limit.ts';
import type { ValueFormat } from '../value.ts';
import type { FencedWrites } from './fenced-writes.ts';
import { type Outgoing, outgoing } from './outgoing.ts';

/** What a writer is told, and may say, beside the value. */
export interface WriteContext {
  /** Aborted when the lock is lost, by the caller's own signal, and when the cache is closed. */
  readonly signal: AbortSignal;
  /**
   * Rises from one writer of the key to the next. A source of truth that refuses lower ones than it has
   * seen is safe from a writer that was stopped for longer than its lease.
   */
  readonly fencingToken: bigint;
  /** Sets the TTL of what this writer answers. */
  ttl(duration: Duration): void;
}

/** As {@link WriteContext}, for many keys. */
export interface WriteManyContext extends Omit<WriteContext, 'fencingToken'> {
  fencingTokenOf(key: string): bigint;
}

/** Writes the source of truth and answers the value that is there now; `undefined`: there is none. */
export type ValueWriter<V> = (
  key: string,
  context: WriteContext,
) => V | undefined | Promise<V | undefined>;

/** Writes the source of truth of many keys and answers their values; a key it leaves out is absent. */
export type ManyWriter<V> = (
  keys: string[],
  context: WriteManyContext,
) => Written<V> | Promise<Written<V>>;
type Written<V> = ReadonlyMap<string, V | undefined> | Readonly<Record<string, V | undefined>>;

/** A writer of any number of keys, which is what both kinds become. */
export interface WriteAll {
  /** The call, as its user made it. */
  readonly where: string;
  call(names: string[], context: WriteManyContext): Promise<unknown>;
  /** What it answered, looked at when it has written: what is wrong with it costs the values. */
  values(answer: unknown): ReadonlyMap<string, unknown>;
}

export function writeOne<V>(name: string, writer: ValueWriter<V>): WriteAll {
  return {
    where: 'write',
    call: async (_, { fencingTokenOf, ...context }) =>
      writer(name, { ...context, fencingToken: fencingTokenOf(name) }),
    values: (answer) => new Map([[name, answer]]),
  };
}

export function writeSeveral<V>(writer: ManyWriter<V>): WriteAll {
  return {
    where: 'writeMany',
    call: async (names, context) => writer(names, context),
    values: (answer) => {
      if (types.isMap(answer)) return answer as ReadonlyMap<string, unknown>;
      if (typeof answer === 'object' && answer !== null && !(Symbol.iterator in answer))
        return new Map(Object.entries(answer));
      throw new ConfigError(
        'writeMany: the writer must answer a Map or an object of key and value',
      );
    },
  };
}

/** How values of one kind are written. */
export interface WriteWay {
  readonly format: ValueFormat;
  readonly writes: FencedWrites;
  readonly counters: Counters;
}

export interface WriteOutcome {
  /** As every process will read them, of the keys that were written. */
  readonly values: ReadonlyMap<string, unknown>;
  readonly errors: ReadonlyMap<string, unknown>;
}

/**
 * Writes to the source of truth and to Redis, one writer of a key after the other across the fleet.
 *
 * W1  No value in Redis is touched before the writer has succeeded. If it fails, the value and its
 *     remaining time stand.
 * W2  From when it has succeeded, what stood there before is outdated: whatever goes wrong then, the key
 *     is deleted.
 * W3  The script that stores looks itself whether the lock is still held, so that a writer that was
 *     stopped between its look and the store overwrites nothing that was written later.
 * W4  The lock is not given to the next writer, who may have it under the same holder, before the script
 *     of the one before was answered.
 * W5  Whatever happens to the key while the writer runs ends its right to store, as it does for a loader
 *     (I8): the source may have been changed by somebody else, who may have been the last. The key is
 *     deleted then, which costs one more load.
 * W6  While the slot of a key moves from one node of a cluster to another that script is refused. Then
 *     the key is deleted, which needs no lock, and the writer has done what he was called for.
 */
export class WriteThrough {
  readonly #keyspace: Keyspace;
  readonly #groups: Groups;
  readonly #prefix: string;
  readonly #budget: Budget;
  readonly #clock: Clock;
  readonly #makeLocks: () => Locks;
  readonly #onWritten: (key: string) => void;
  readonly #closing = new AbortController();
  readonly #active = new Set<Promise<unknown>>();
  /** Names whose writers run. */
  readonly #writing = new Map<readonly string[], WriteWay>();
  #locks: Locks | undefined;

  constructor(parts: {
    readonly keyspace: Keyspace;
    readonly groups: Groups;
    readonly prefix: string;
    readonly clock: Clock;
    readonly redisMs: number;
    /** Of locks whose keys begin with what they are called. */
    readonly makeLocks: () => Locks;
    readonly onWritten: (key: string) => void;
  }) {
    this.#keyspace = parts.keyspace;
    this.#groups = parts.groups;
    this.#prefix = parts.prefix;
    this.#budget = new Budget(parts.clock, parts.redisMs);
    this.#clock = parts.clock;
    this.#makeLocks = parts.makeLocks;
    this.#onWritten = parts.onWritten;
    // As many as there are writes under way.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Sends: what `acquire` of the locks does for each key, and EVALSHA `begin-write` (1 key); nothing
   * while the writer runs, but for their extensions; then EVALSHA `store-held` (2 keys) for each, and what `release` does.
   * Throws: the writer's own error; `AcquireTimeoutError`; `UnavailableError` if nothing was begun.
   * Abort: rejects this caller. A writer that runs by then is told, and what it answers is stored.
   */
  write(
    names: readonly string[],
    writer: WriteAll,
    wish: WriteWish,
    way: WriteWay,
  ): Promise<WriteOutcome> {
    const stopping = firstAborted([this.#closing.signal, wish.signal]);
    const work = this.#write(names, writer, wish, way, stopping.signal).finally(() => {
      stopping.stop();
      this.#active.delete(work);
    });
    this.#active.add(work);
    return new Promise((resolve, reject) => {
      work.then(resolve, reject);
      const { signal } = stopping;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  /**
   * Tells writers that run to stop, and waits for them as long as for Redis. The keys of those that go
   * on are deleted: nobody will store what they write.
   */
  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason);
    await this.#budget.bound(Promise.allSettled(this.#active));
    const running = [...this.#writing].flatMap(([names, way]) =>
      names.map((name) => this.#forget(name, way)),
    );
    await Promise.all(running);
    await this.#locks?.close();
  }

  async #write(
    names: readonly string[],
    writer: WriteAll,
    wish: WriteWish,
    way: WriteWay,
    stopping: AbortSignal,
  ): Promise<WriteOutcome> {
    stopping.throwIfAborted();
    // Locks wait for Redis as long as for a holder; whoever can't store need not begin.
    if (!this.#keyspace.gate.isUp) await this.#keyspace.gate.up();
    const held = await this.#acquire(names, wish, stopping);
    /** When each may be given back. */
    const answered = new Map<Lock, Promise<unknown>>();
    try {
      const { policy, tags } = wish;
      const [epoch, begun] = await Promise.all([
        this.#groups.now(),
        this.#beginAll(names, policy.ttlMs),
      ]);
      const run = await this.#run(held, writer, way, stopping).catch(async (error) => {
        await this.#takeBack(begun);
        throw error;
      });
      const kept = { policy, tags, ttlMs: run.ttlMs ?? wish.ttlMs };
      const values = new Map<string, unknown>();
      const errors = new Map<string, unknown>();
      const store = async (name: string, lock: Lock): Promise<void> => {
        try {
          const sign = begun.get(name)?.sign ?? '';
          const ready = await this.#ready(name, way, policy, () =>
            outgoing(writer.where, way.format, name, run.values().get(name), epoch, kept),
          );
          values.set(name, await this.#store({ name, lock, sign }, ready, way, answered));
        } catch (error) {
          errors.set(name, error);
        }
      };
      await Promise.all([...held].map(([name, lock]) => store(name, lock)));
      return { values, errors };
    } finally {
      await Promise.all(
        [...held.values()].map(async (lock) => {
          const released = giveBack(lock, answered.get(lock));
          if (!answered.has(lock)) await released;
        }),
      );
    }
  }

  /** By name, in the order in which they were given. */
  async #acquire(
    names: readonly string[],
    { leaseMs, waitMs }: WriteWish,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Lock>> {
    this.#locks ??= this.#makeLocks();
    const nameOf = new Map(names.map((name) => [lockOf(this.#prefix + name), name]));
    try {
      const { locks } = await this.#locks.acquireMany(nameOf.keys(), {
        ...{ lease: leaseMs, wait: waitMs, signal },
      });
      const byKey = new Map(locks.map((lock) => [lock.key, lock]));
      return new Map([...nameOf].map(([key, name]) => [name, byKey.get(key) as Lock]));
    } catch (error) {
      const name = nameOf.get((error as { key?: string }).key ?? '');
      if (name === undefined) throw error;
      if (error instanceof LockLostError) throw new LockLostError(name, error.reason);
      if (!(error instanceof AcquireTimeoutError)) throw error;
      throw new AcquireTimeoutError(name, `${waitMs} ms`, error.cause);
    }
  }

  /**
   * Notes what the keys hold (W5). Where a server refuses that, nothing will be stored.
   *
   * Throws: `UnavailableError` if one goes unanswered: nothing is to be written then.
   */
  async #beginAll(
    names: readonly string[],
    markMs: number,
  ): Promise<ReadonlyMap<string, { readonly mark: string; readonly sign: string }>> {
    const begun = await Promise.all(
      names.map(async (name) => {
        const mark = writeMark();
        const sign = await this.#keyspace
          .beginWrite(this.#prefix + name, mark, markMs)
          .catch((error) => {
            if (isServerError(error.cause)) return '';
            throw error;
          });
        return [name, { mark, sign }] as const;
      }),
    );
    return new Map(begun);
  }

  /** Leaves the keys as they were. A mark that stays is as good as nothing, and ends by itself. */
  async #takeBack(
    begun: ReadonlyMap<string, { readonly mark: string; readonly sign: string }>,
  ): Promise<void> {
    const marked = [...begun].filter(([, { mark, sign }]) => mark === `${sign}\n`);
    await Promise.allSettled(
      marked.map(([name, { mark }]) => this.#keyspace.release(this.#prefix + name, mark)),
    );
  }

  /** Calls the writer, and tells it what becomes of its locks. */
  async #run(
    held: ReadonlyMap<string, Lock>,
    { call, values }: WriteAll,
    way: WriteWay,
    stopping: AbortSignal,
  ): Promise<{ readonly ttlMs: number | undefined; values(): ReadonlyMap<string, unknown> }> {
    stopping.throwIfAborted();
    const losses = [...held].map(([name, lock]) => lossSignal(name, lock));
    const told = firstAborted([stopping, ...losses.map(({ signal }) => signal)]);
    const names = [...held.keys()];
    let ttlMs: number | undefined;
    this.#writing.set(names, way);
    try {
      const answer = await call([...names], {
        signal: told.signal,
        fencingTokenOf: (name) => {
          const lock = held.get(name);
          if (lock === undefined) throw new ConfigError(`fencingTokenOf: '${name}' is not written`);
          return lock.fencingToken;
        },
        ttl: (duration) => {
          ttlMs = durationMs(duration, 'ctx.ttl');
        },
      });
      return { ttlMs, values: () => values(answer) };
    } finally {
      this.#writing.delete(names);
      told.stop();
      for (const { stop } of losses) stop();
    }
  }

  /** What can't be made ready, or not in time, is in the source of truth all the same (W2). */
  async #ready(
    name: string,
    way: WriteWay,
    { hardMs }: Policy,
    make: () => Awaitable<Outgoing>,
  ): Promise<Outgoing> {
    try {
      const making = make();
      if (!(making instanceof Promise)) return making;
      const limit = { clock: this.#clock, forMs: hardMs, signal: this.#closing.signal };
      return await within(making, limit, `write: the value of '${name}' was not judged`);
    } catch (error) {
      await this.#forget(name, way); // guard: W2
      throw error;
    }
  }

  /** Sends: EVALSHA `store-held` (2 keys), and what `Groups.keep` does. */
  async #store(
    { name, lock, sign }: { readonly name: string; readonly lock: Lock; readonly sign: string },
    { envelope, keptMs, member, value }: Outgoing,
    { writes, counters }: WriteWay,
    answered: Map<Lock, Promise<unknown>>,
  ): Promise<unknown> {
    const key = this.#prefix + name;
    const args = [lock.holder, envelope, String(keptMs), sign];
    const storing = writes.run(
      [key],
      (port) => {
        const reply = runScript(port, storeHeld, [key, lock.key], args);
        answered.set(lock, reply);
        return reply;
      },
      { name, onRefusal: 'delete' },
    );
    // Without it the value counts as outdated at its first look.
    const keeping = this.#groups.keep(member, keptMs).catch(() => {});
    const [code] = await Promise.all([storing.catch(heldApart), keeping]);
    answered.delete(lock);
    this.#onWritten(key);
    if (code === APART) {
      await writes.run([key], (port) => port.send(['DEL', key]), { name, onRefusal: 'delete' });
      const lost = lossOf(name, lock);
      if (lost !== undefined) throw lost;
      return value;
    }
    if (code === 2) return value;
    if (code !== 1)
      throw lossOf(name, lock) ?? new LockLostError(name, code === 0 ? 'deleted' : 'taken');
    counters.writes += 1;
    counters.bytesWritten += bytesOf(envelope);
    return value;
  }

  /** Deletes what is outdated; if that is not answered, it is repeated behind. */
  async #forget(name: string, { writes }: WriteWay): Promise<void> {
    const key = this.#prefix + name;
    const deleting = writes.run([key], (port) => port.send(['DEL', key]), {
      ...{ name, onRefusal: 'delete' },
    });
    await deleting.catch(() => {});
    this.#onWritten(key);
  }
}

/** Its slot is on its way from node to node: the key and its lock can't be looked at together (W6). */
const APART = Symbol('apart');

function heldApart(error: unknown): typeof APART {
  if (isServerError(error) && error.message.startsWith('TRYAGAIN ')) return APART;
  throw error;
}

/** The lock of a data key, in its slot, so that a script may look at both. */
function lockOf(key: string): string {
  const { before, after } = besideOf(key);
  return `${before}redcache:write${after}`;
}

/** Aborts when the lock is lost, with an error that calls it as its user does. */
function lossSignal(name: string, lock: Lock): { readonly signal: AbortSignal; stop(): void } {
  const own = new AbortController();
  const { signal } = lock;
  const onLost = (): void => own.abort(lossOf(name, lock));
  if (signal.aborted) onLost();
  else signal.addEventListener('abort', onLost, { once: true });
  return { signal: own.signal, stop: () => signal.removeEventListener('abort', onLost) };
}

function lossOf(name: string, { signal }: Lock): unknown {
  if (!signal.aborted) return undefined;
  const { reason } = signal;
  return reason instanceof LockLostError ? new LockLostError(name, reason.reason) : reason;
}

/** Gives a lock back when what was sent under it was answered (W4). Never rejects. */
async function giveBack(lock: Lock, answered: Promise<unknown> | undefined): Promise<void> {
  await answered?.catch(() => {});
  await lock[Symbol.asyncDispose]();
}

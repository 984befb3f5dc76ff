import type { Clock, Invalidation } from '@redcache/core';
import { COMMANDS, CommandError, type Reply, type Room } from './commands.ts';
import { bytesOf, type InProcessConnection, textOf } from './connection.ts';
import { Scripts } from './scripts.ts';

interface Held {
  readonly value: Parameters<Room['write']>[1];
  readonly endsAtMs: number | undefined;
}

/**
 * A Redis of a few commands and all scripts, with tracking as servers do it: what was read is told once
 * and then forgotten, own writes are told after their reply, a key that has ended is told when somebody
 * stumbles over it.
 */
export class RedisInProcess {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #held = new Map<string, Held>();
  readonly #readers = new Map<string, Set<InProcessConnection>>();
  readonly #connections = new Set<InProcessConnection>();
  readonly #scripts = new Scripts();

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
  }

  /** It is told when all that it has read is gone, or everything. */
  add(connection: InProcessConnection): void {
    this.#connections.add(connection);
  }

  /** The keys there are, as text. */
  keys(): string[] {
    return [...this.#held].filter(([, held]) => !this.#isOver(held)).map(([key]) => textOf(key));
  }

  /** The text that stands under a key now; nobody is told that it was looked at. */
  peek(key: string): { text: string; leftMs: number | undefined } | undefined {
    const held = this.#held.get(bytesOf(key));
    if (held === undefined || this.#isOver(held) || typeof held.value !== 'string')
      return undefined;
    const { value, endsAtMs } = held;
    return { text: textOf(value), leftMs: endsAtMs && endsAtMs - this.#clock.nowMs() };
  }

  /** A command of somebody without tracking, done at once. */
  by(...args: readonly (string | Buffer)[]): Reply {
    const reply = this.execute(args.map(bytesOf), undefined);
    if (reply instanceof CommandError) throw reply;
    return typeof reply === 'string' ? textOf(reply) : reply;
  }

  /** `by`: whose command it is; what is pushed to him comes after the reply. */
  execute(
    [name = '', ...args]: readonly string[],
    by: InProcessConnection | undefined,
  ): Reply | CommandError {
    const own: Invalidation[] = [];
    const room = this.#roomFor(by, own);
    const call = ([command = '', ...rest]: readonly string[]): Reply => {
      const act = COMMANDS[command.toUpperCase()];
      if (act === undefined) throw new CommandError(`ERR unknown command '${command}'`);
      return act(room, rest);
    };
    let reply: Reply | CommandError;
    try {
      reply = this.#do(name, args, by, call);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      reply = error;
    }
    by?.arrive({ reply });
    for (const push of own) by?.arrive({ push });
    return reply;
  }

  /** It is gone, and what it has read with it. */
  forget(connection: InProcessConnection): void {
    if (connection.state === 'closed') this.#connections.delete(connection);
    for (const [key, readers] of this.#readers)
      if (readers.delete(connection) && readers.size === 0) this.#readers.delete(key);
  }

  #do(
    name: string,
    args: readonly string[],
    by: InProcessConnection | undefined,
    call: (words: readonly string[]) => Reply,
  ): Reply {
    if (name === 'CLIENT' && by !== undefined) return by.client(args[0], args[1]);
    if (name !== 'EVAL' && name !== 'EVALSHA') return call([name, ...args]);
    const [script = '', count, ...rest] = args;
    const [keys, argv] = [rest.slice(0, Number(count)), rest.slice(Number(count))];
    return name === 'EVAL'
      ? this.#scripts.run(script, keys, argv, call)
      : this.#scripts.runKnown(script, keys, argv, call);
  }

  #roomFor(by: InProcessConnection | undefined, own: Invalidation[]): Room {
    const tell = (to: InProcessConnection, push: Invalidation): void => {
      if (to === by) own.push(push);
      else to.arrive({ push });
    };
    const changed = (key: string): void => {
      const readers = this.#readers.get(key);
      this.#readers.delete(key);
      for (const reader of readers ?? []) tell(reader, { kind: 'keys', keys: [textOf(key)] });
    };
    const find = (key: string): Held | undefined => {
      const held = this.#held.get(key);
      if (held === undefined || !this.#isOver(held)) return held;
      this.#held.delete(key);
      changed(key);
      return undefined;
    };
    return {
      read: (key) => {
        const held = find(key);
        if (by?.isTracking) this.#track(key, by);
        return held?.value;
      },
      look: (key) => find(key)?.value,
      endOf: (key) => find(key)?.endsAtMs,
      write: (key, value, endsAtMs) => {
        this.#held.set(key, { value, endsAtMs });
        changed(key);
      },
      remove: (key) => {
        if (find(key) === undefined) return false;
        this.#held.delete(key);
        changed(key);
        return true;
      },
      removeAll: () => {
        this.#held.clear();
        this.#readers.clear();
        for (const each of this.#connections) if (each.isTracking) tell(each, { kind: 'flush' });
      },
      nowMs: () => this.#clock.nowMs(),
    };
  }

  #track(key: string, by: InProcessConnection): void {
    const readers = this.#readers.get(key);
    if (readers === undefined) this.#readers.set(key, new Set([by]));
    else readers.add(by);
  }

  #isOver({ endsAtMs }: Held): boolean {
    return endsAtMs !== undefined && endsAtMs <= this.#clock.nowMs();
  }
}

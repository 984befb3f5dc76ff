import type { ManualClock } from '@redcache/core/testing';
import type { History } from './history.ts';
import type { Line, Sent } from './line.ts';

/** What one command found of one key, and all that is needed to judge whether it may be served. */
export interface Seen {
  readonly key: string;
  readonly exists: boolean;
  /** When the server read it: a number of {@link History}. */
  readonly readAt: number;
  /** When the key ends on the clock of all; `Infinity`: never. */
  readonly endsAtMs: number;
  readonly line: Line;
  /** The server was to tell of the next change. */
  readonly announced: boolean;
}

/** What the server answered. */
export class ServerError extends Error {}

/** The half of the slots a key is in: all keys of one half have the same owner. */
export type Half = 0 | 1;

/** Who owns which half; a single server owns both. */
export interface Slots {
  owner(half: Half): Node;
  /** The answer to `CLUSTER SLOTS`. */
  readonly table: unknown;
  /** Rises whenever a slot gets another owner. */
  readonly epoch: number;
  halfOf(key: string): Half;
}

/** One server: a Map of values that end, and for each connection the keys it is told of. */
export class Node {
  readonly id: string;
  readonly lines = new Set<Line>();
  readonly #clock: ManualClock;
  readonly #history: History;
  readonly #slots: Slots;
  /** When each key that exists ends. */
  readonly #ends = new Map<string, number>();

  constructor(id: string, clock: ManualClock, history: History, slots: Slots) {
    this.id = id;
    this.#clock = clock;
    this.#history = history;
    this.#slots = slots;
  }

  /** Runs so many of the commands that have arrived on the connection, in one turn. */
  run(line: Line, commands: number): void {
    for (const command of line.commands.splice(0, commands)) this.#execute(line, command);
    this.#endTurn();
  }

  // What others do.

  set(keys: readonly string[], ttlMs: number | undefined): void {
    this.#set(keys, ttlMs, undefined);
    this.#endTurn();
  }

  delete(key: string): void {
    if (this.#ends.delete(key)) this.#changed([key], undefined);
    this.#endTurn();
  }

  /** PEXPIRE: the value stays, its end moves. */
  touch(key: string, ttlMs: number): void {
    if (!this.#ends.has(key)) return;
    this.#ends.set(key, this.#clock.nowMs() + ttlMs);
    this.#changed([key], undefined);
    this.#endTurn();
  }

  flush(): void {
    this.#flush();
    this.#endTurn();
  }

  /** The server comes round to removing what has ended, late as it is (fact R7). */
  expire(): void {
    for (const [key, endsAtMs] of this.#ends) if (endsAtMs <= this.#clock.nowMs()) this.delete(key);
  }

  // Slots.

  /** MIGRATE deletes here, which is pushed; a half without keys leaves without a word (fact R11). */
  migrate(half: Half, to: Node): void {
    for (const [key, endsAtMs] of this.#ends) {
      if (this.#slots.halfOf(key) !== half) continue;
      to.#ends.set(key, endsAtMs);
      this.#ends.delete(key);
      this.#tell([key], this.#history.next(), undefined);
    }
    this.#endTurn();
  }

  /** Another one takes over what it has had as a replica: nothing is pushed. */
  handOver(half: Half, to: Node): void {
    for (const [key, endsAtMs] of this.#ends) {
      if (this.#slots.halfOf(key) !== half) continue;
      to.#ends.set(key, endsAtMs);
      this.#ends.delete(key);
    }
  }

  // Commands.

  #execute(line: Line, command: Sent): void {
    const [name = '', ...args] = command.args;
    const key = args[0] ?? '';
    if (name === 'CLIENT') {
      this.#client(line, command, args);
      return;
    }
    if (name === 'CLUSTER') {
      line.reply(command, this.#cluster(key));
      return;
    }
    if (name === 'PING' || name === 'RESET') {
      line.reply(command, name);
      if (name === 'RESET') line.forget();
      return;
    }
    const keys = name === 'MGET' ? args : name === 'FLUSHALL' ? [] : [key];
    const owns = keys.every((each) => this.#owns(each));
    if (name === 'SET' && key.startsWith('redcache:probe'))
      line.proves = owns && !line.traits.readOnly;
    if (owns) this.#onKeys(line, command, name, args);
    else line.reply(command, new ServerError(`MOVED ${this.#slots.halfOf(key)}`));
    line.caching = false;
  }

  #onKeys(line: Line, command: Sent, name: string, args: readonly string[]): void {
    const key = args[0] as string;
    switch (name) {
      case 'GET':
      case 'STRLEN':
        this.#read(line, [key], ([seen]) => line.reply(command, seen));
        return;
      case 'MGET':
        this.#read(line, args, (seen) => line.reply(command, seen));
        return;
      case 'PTTL':
        this.#read(line, [key], ([seen]) => line.reply(command, this.#left(seen as Seen)));
        return;
    }
    if (line.traits.readOnly) {
      line.reply(command, new ServerError('NOPERM this user may not write'));
      return;
    }
    if (name === 'SET') {
      this.#set([key], undefined, line, () => line.reply(command, this.#history.events));
    } else if (name === 'FLUSHALL') {
      line.reply(command, this.#history.events);
      this.#flush();
    } else {
      // Fact R4: a script that reads, writes and reads leaves the key tracked, and one push behind.
      line.track(key);
      this.#set([key], 60, line, () => line.reply(command, this.#seen(line, key)));
      line.track(key);
    }
  }

  #client(line: Line, command: Sent, args: readonly string[]): void {
    const [what, on] = args;
    if (what === 'CACHING') {
      const allowed = line.tracking?.mode === 'optin';
      line.caching = allowed;
      line.reply(command, allowed ? 'OK' : new ServerError('ERR CLIENT CACHING needs OPTIN'));
    } else if (what === 'TRACKINGINFO') {
      line.reply(command, { flags: [line.tracking === undefined ? 'off' : 'on'] });
    } else if (on === 'OFF') {
      line.forget();
      line.reply(command, 'OK');
    } else if (line.traits.refuses) {
      line.reply(command, new ServerError('NOPERM this user may not track'));
    } else {
      line.tracking = {
        mode: args.includes('BCAST') ? 'broadcast' : args.includes('OPTIN') ? 'optin' : 'default',
        noLoop: args.includes('NOLOOP'),
        prefixes: args.filter((_, i) => args[i - 1] === 'PREFIX'),
      };
      line.reply(command, 'OK');
    }
  }

  #cluster(what: string): unknown {
    switch (what) {
      case 'MYID':
        return this.id;
      case 'SLOTS':
        return this.#slots.table;
      case 'NODES':
        return `${this.id} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected`;
      default:
        return `cluster_state:ok\r\ncluster_current_epoch:${this.#slots.epoch}\r\n`;
    }
  }

  /** Fact R9: a read that finds a key ended answers first, is told of it then, and tracks it still. */
  #read(line: Line, keys: readonly string[], answer: (seen: readonly Seen[]) => void): void {
    const ended = keys.filter((key) => {
      const endsAtMs = this.#ends.get(key);
      return endsAtMs !== undefined && endsAtMs <= this.#clock.nowMs() && this.#ends.delete(key);
    });
    const event = ended.map((key) => this.#history.changed(key, this.#clock.nowMs())).at(-1);
    for (const key of ended) line.tracked.delete(key);
    const seen = keys.map((key) => this.#seen(line, key));
    answer(seen);
    if (event !== undefined) {
      line.tell(ended, event, false);
      for (const other of this.lines) if (other !== line) other.tell(ended, event, false);
      for (const key of ended) line.track(key);
    }
  }

  #seen(line: Line, key: string): Seen {
    return {
      key,
      exists: this.#ends.has(key),
      readAt: this.#history.next(),
      endsAtMs: this.#ends.get(key) ?? Number.POSITIVE_INFINITY,
      line,
      announced: line.track(key),
    };
  }

  #left({ exists, endsAtMs }: Seen): number {
    if (!exists) return -2;
    return endsAtMs === Number.POSITIVE_INFINITY ? -1 : endsAtMs - this.#clock.nowMs();
  }

  #set(
    keys: readonly string[],
    ttlMs: number | undefined,
    by: Line | undefined,
    answer?: () => void,
  ): void {
    const nowMs = this.#clock.nowMs();
    for (const key of keys)
      this.#ends.set(key, ttlMs === undefined ? Number.POSITIVE_INFINITY : nowMs + ttlMs);
    const event = keys.map((key) => this.#history.changed(key, nowMs)).at(-1) as number;
    answer?.();
    this.#tell(keys, event, by);
  }

  #changed(keys: readonly string[], by: Line | undefined): void {
    const events = keys.map((key) => this.#history.changed(key, this.#clock.nowMs()));
    this.#tell(keys, events.at(-1) as number, by);
  }

  #flush(): void {
    const nowMs = this.#clock.nowMs();
    for (const key of this.#ends.keys()) this.#history.changed(key, nowMs);
    this.#ends.clear();
    const event = this.#history.next();
    for (const line of this.lines) line.tellFlush(event);
  }

  #tell(keys: readonly string[], event: number, by: Line | undefined): void {
    for (const line of this.lines) line.tell(keys, event, line === by);
  }

  #endTurn(): void {
    for (const line of this.lines) line.endTurn();
  }

  #owns(key: string): boolean {
    return this.#slots.owner(this.#slots.halfOf(key)) === this;
  }
}

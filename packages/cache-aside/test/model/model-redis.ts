import type { Connection, Invalidation, TrackingPort } from '@redcache/core';
import type { ManualClock } from '@redcache/core/testing';
import { acquire } from '../../src/scripts/acquire.ts';
import { expire } from '../../src/scripts/expire.ts';
import { extend } from '../../src/scripts/extend.ts';
import { fill } from '../../src/scripts/fill.ts';
import { keepEpoch } from '../../src/scripts/keep-epoch.ts';
import { nextEpoch } from '../../src/scripts/next-epoch.ts';
import { raiseEpoch } from '../../src/scripts/raise-epoch.ts';
import { readEpoch } from '../../src/scripts/read-epoch.ts';
import { refreshAcquire } from '../../src/scripts/refresh-acquire.ts';
import { refreshExtend } from '../../src/scripts/refresh-extend.ts';
import { refreshFill } from '../../src/scripts/refresh-fill.ts';
import { release } from '../../src/scripts/release.ts';
import { touch } from '../../src/scripts/touch.ts';

interface Held {
  readonly text: string;
  readonly expiresAtMs: number | undefined;
}

/** One command while it runs: what it reads is tracked, what it writes is pushed. */
interface Run {
  get(key: string): string | null;
  pttl(key: string): number;
  set(key: string, text: string, ttlMs?: number): void;
  pexpire(key: string, ttlMs: number): void;
  del(key: string): number;
  nowUs(): number;
}

/** What the Lua of each script says, in words of this model. */
const MEANING = new Map<
  string,
  (run: Run, keys: readonly string[], argv: readonly string[]) => unknown
>([
  [
    acquire.sha1,
    (run, [key = ''], [mark = '', leaseMs, replaces = '', foreign]) => {
      const held = run.get(key);
      if (held !== null && held !== mark) {
        const left = run.pttl(key);
        const isReplaced = held.startsWith('rc1 l ')
          ? left === -1
          : (replaces !== '' && held.startsWith(replaces)) ||
            (foreign === '1' && !held.startsWith('rc1 '));
        if (!isReplaced) return [0, held, left];
      }
      run.set(key, mark, Number(leaseMs));
      run.get(key);
      return [1];
    },
  ],
  [
    extend.sha1,
    (run, [key = ''], [mark, leaseMs]) => {
      const held = run.get(key);
      if (held === null) return 0;
      if (held !== mark) return -1;
      run.pexpire(key, Number(leaseMs));
      run.get(key);
      return 1;
    },
  ],
  [
    fill.sha1,
    (run, [key = ''], [mark, envelope = '', ttlMs]) => {
      if (run.get(key) !== mark) return 0;
      run.set(key, envelope, Number(ttlMs));
      run.get(key);
      return 1;
    },
  ],
  [release.sha1, (run, [key = ''], [mark]) => (run.get(key) === mark ? run.del(key) : 0)],
  [
    refreshAcquire.sha1,
    (run, [key = '', lease = ''], [mine = '', leaseMs, id]) => {
      if (idOf(run.get(key)) !== id) return [-1];
      const holder = run.get(lease);
      if (holder !== null && holder !== mine) {
        const left = run.pttl(lease);
        if (left !== -1) return [0, left];
      }
      run.set(lease, mine, Number(leaseMs));
      run.get(lease);
      return [1];
    },
  ],
  [
    refreshExtend.sha1,
    (run, [key = '', lease = ''], [mine, leaseMs, id]) => {
      const holder = run.get(lease);
      if (holder === null) return 0;
      if (holder !== mine || idOf(run.get(key)) !== id) return -1;
      run.pexpire(lease, Number(leaseMs));
      run.get(lease);
      return 1;
    },
  ],
  [
    refreshFill.sha1,
    (run, [key = '', lease = ''], [mine, id, envelope = '', ttlMs]) => {
      if (run.get(lease) !== mine) return 0;
      const isSame = idOf(run.get(key)) === id;
      run.del(lease);
      if (!isSame) return 0;
      run.set(key, envelope, Number(ttlMs));
      run.get(key);
      return 1;
    },
  ],
  [
    expire.sha1,
    (run, [key = '']) => {
      const tail = tailOf(run.get(key));
      if (tail === undefined) return 0;
      const left = run.pttl(key);
      if (tail === 0) return run.del(key);
      if (left === -1 || left > tail) run.pexpire(key, tail);
      return 1;
    },
  ],
  [
    touch.sha1,
    (run, [key = ''], [ttlMs]) => {
      const held = run.get(key);
      const tail = tailOf(held);
      if (tail === undefined) return [0];
      run.pexpire(key, Number(ttlMs) + tail);
      return [1, /^.*\n/.exec(held ?? '')?.[0]];
    },
  ],
  [
    readEpoch.sha1,
    (run, [key = '']) => {
      const epoch = run.get(key);
      if (epoch !== null) return [epoch, 0];
      const begun = String(run.nowUs());
      run.set(key, begun);
      return [begun, 1];
    },
  ],
  [
    nextEpoch.sha1,
    (run, [key = '']) => {
      const last = Number(run.get(key) ?? 0);
      const epoch = String(Math.max(last + 1, run.nowUs()));
      run.set(key, epoch);
      return epoch;
    },
  ],
  [
    raiseEpoch.sha1,
    (run, [key = ''], [epoch = '', forMs]) => {
      if (Number(run.get(key) ?? 0) >= Number(epoch)) return 0;
      run.set(key, epoch, forMs === '' ? undefined : Number(forMs));
      return 1;
    },
  ],
  [
    keepEpoch.sha1,
    (run, [key = ''], [epoch = '', neededMs, keptMs]) => {
      if (run.get(key) !== null) {
        const left = run.pttl(key);
        if (left >= 0 && left < Number(neededMs)) run.pexpire(key, Number(keptMs));
        return 0;
      }
      if (epoch === '') return 0;
      run.set(key, epoch, Number(keptMs));
      return 1;
    },
  ],
]);

const SCRIPTS = [
  acquire,
  extend,
  fill,
  release,
  refreshAcquire,
  refreshExtend,
  refreshFill,
  expire,
  touch,
  readEpoch,
  nextEpoch,
  raiseEpoch,
  keepEpoch,
];
const SHA_OF = new Map(SCRIPTS.map(({ lua, sha1 }) => [lua, sha1]));

function idOf(held: string | null): string | undefined {
  return /^rc1 [vn] (\S+) /.exec(held ?? '')?.[1];
}

function tailOf(held: string | null): number | undefined {
  const [, tail] = /^rc1 (?:v \S+|n) \S+ \d+ (\d+) \d+/.exec(held ?? '') ?? [];
  return tail === undefined ? undefined : Number(tail);
}

/**
 * A Redis of a few commands, with tracking as real ones do it: what was read is forgotten after one
 * push, own writes push after their reply, an expired key is pushed when somebody stumbles over it.
 */
export class ModelRedis {
  readonly clock: ManualClock;
  readonly #held = new Map<string, Held>();
  readonly #readers = new Map<string, Set<ModelConnection>>();
  readonly #connections = new Set<ModelConnection>();
  readonly #scripts = new Set<string>();

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  connection(): ModelConnection {
    const connection = new ModelConnection(this);
    this.#connections.add(connection);
    return connection;
  }

  /** What stands under a key now; nobody is told that it was looked at. */
  peek(key: string): { text: string; leftMs: number | undefined } | undefined {
    const held = this.#held.get(key);
    if (held === undefined || isOver(held, this.clock.nowMs())) return undefined;
    const { text, expiresAtMs } = held;
    return { text, leftMs: expiresAtMs && expiresAtMs - this.clock.nowMs() };
  }

  /** A command of somebody without tracking, done at once. */
  by(...args: readonly string[]): unknown {
    return this.execute(args, undefined);
  }

  /** `by`: whose command it is; what is pushed to him comes after the reply. */
  execute(args: readonly string[], by: ModelConnection | undefined): unknown {
    const own: Invalidation[] = [];
    const tell = (to: ModelConnection, push: Invalidation): void => {
      if (to === by) own.push(push);
      else to.arrive({ push });
    };
    const changed = (key: string): void => {
      const readers = this.#readers.get(key);
      this.#readers.delete(key);
      for (const reader of readers ?? []) tell(reader, { kind: 'keys', keys: [key] });
    };
    const find = (key: string): Held | undefined => {
      const held = this.#held.get(key);
      if (held === undefined || !isOver(held, this.clock.nowMs())) return held;
      this.#held.delete(key);
      changed(key);
      return undefined;
    };
    const run: Run = {
      get: (key) => {
        const held = find(key);
        if (by?.tracking) {
          const readers = this.#readers.get(key);
          if (readers === undefined) this.#readers.set(key, new Set([by]));
          else readers.add(by);
        }
        return held?.text ?? null;
      },
      pttl: (key) => {
        const held = find(key);
        if (held === undefined) return -2;
        return held.expiresAtMs === undefined ? -1 : held.expiresAtMs - this.clock.nowMs();
      },
      set: (key, text, ttlMs) => {
        const expiresAtMs = ttlMs === undefined ? undefined : this.clock.nowMs() + ttlMs;
        this.#held.set(key, { text, expiresAtMs });
        changed(key);
      },
      pexpire: (key, ttlMs) => {
        const held = find(key);
        if (held !== undefined) run.set(key, held.text, ttlMs);
      },
      del: (key) => {
        if (find(key) === undefined) return 0;
        this.#held.delete(key);
        changed(key);
        return 1;
      },
      nowUs: () => Math.floor(this.clock.nowMs() * 1_000),
    };
    const flush = (): void => {
      this.#held.clear();
      this.#readers.clear();
      for (const each of this.#connections) if (each.tracking) tell(each, { kind: 'flush' });
    };
    const reply = this.#do(args, run, by, flush);
    by?.arrive({ reply });
    for (const push of own) by?.arrive({ push });
    return reply;
  }

  #do(
    args: readonly string[],
    run: Run,
    by: ModelConnection | undefined,
    flush: () => void,
  ): unknown {
    const [command, ...rest] = args;
    const [key = '', text = '', px, ms] = rest;
    switch (command) {
      case 'GET':
        return run.get(key);
      case 'MGET':
        return rest.map((each) => run.get(each));
      case 'PTTL':
        return run.pttl(key);
      case 'SET':
        if (px === 'NX' && run.pttl(key) !== -2) return null;
        run.set(key, text, px === 'PX' ? Number(ms) : undefined);
        return 'OK';
      case 'DEL':
        return rest.reduce((sum, each) => sum + run.del(each), 0);
      case 'FLUSHALL':
        flush();
        return 'OK';
      case 'PING':
        return 'PONG';
      case 'CLIENT':
        return key === 'TRACKINGINFO' ? { flags: [by?.tracking ? 'on' : 'off'] } : by?.track();
      case 'EVAL':
      case 'EVALSHA':
        return this.#script(command, rest, run);
      default:
        return new Error(`ERR unknown command '${command}'`);
    }
  }

  #script(command: 'EVAL' | 'EVALSHA', args: readonly string[], run: Run): unknown {
    const [given = '', count, ...rest] = args;
    const [keys, argv] = [rest.slice(0, Number(count)), rest.slice(Number(count))];
    const sha1 = command === 'EVAL' ? (SHA_OF.get(given) ?? '') : given;
    if (command === 'EVAL') this.#scripts.add(sha1);
    else if (!this.#scripts.has(sha1)) return new Error('NOSCRIPT No matching script');
    return MEANING.get(sha1)?.(run, keys, argv);
  }

  forget(connection: ModelConnection): void {
    for (const readers of this.#readers.values()) readers.delete(connection);
  }
}

function isOver({ expiresAtMs }: Held, nowMs: number): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs;
}

type Arrival = { readonly reply: unknown } | { readonly push: Invalidation };

interface Sent {
  readonly args: readonly string[];
  resolve(reply: unknown): void;
  reject(error: unknown): void;
}

/**
 * A connection whose two directions are the test's to move: {@link execute} lets the server do what
 * was sent, {@link deliver} lets what it said arrive, several messages as in one chunk.
 */
export class ModelConnection implements TrackingPort {
  readonly #redis: ModelRedis;
  /** On their way to the server; done, and their replies on the way back. */
  #sent: Sent[] = [];
  #done: Sent[] = [];
  #arrivals: Arrival[] = [];
  #state: Connection = 'down';
  readonly #onPush = new Set<(invalidation: Invalidation) => void>();
  readonly #onConnection = new Set<(connection: Connection) => void>();
  tracking = false;
  /** Every command ever sent, words joined by spaces. */
  readonly log: string[] = [];

  constructor(redis: ModelRedis) {
    this.#redis = redis;
  }

  get state(): Connection {
    return this.#state;
  }

  get listeners(): number {
    return this.#onPush.size + this.#onConnection.size;
  }

  get toExecute(): number {
    return this.#state === 'up' ? this.#sent.length : 0;
  }

  get toDeliver(): number {
    return this.#arrivals.length;
  }

  track(): 'OK' {
    this.tracking = true;
    return 'OK';
  }

  send(args: readonly string[]): Promise<unknown> {
    if (this.#state === 'closed') return Promise.reject(new Error('The client is closed'));
    this.log.push(args.join(' '));
    return new Promise((resolve, reject) => this.#sent.push({ args, resolve, reject }));
  }

  onPush(listener: (invalidation: Invalidation) => void): () => void {
    this.#onPush.add(listener);
    return () => this.#onPush.delete(listener);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    this.#onConnection.add(listener);
    listener(this.#state);
    return () => this.#onConnection.delete(listener);
  }

  /** The server does the next commands. */
  execute(count = this.toExecute): void {
    for (const sent of this.#sent.splice(0, Math.min(count, this.toExecute))) {
      this.#done.push(sent);
      this.#redis.execute(sent.args, this);
    }
  }

  arrive(arrival: Arrival): void {
    this.#arrivals.push(arrival);
  }

  /** The next messages are parsed in one turn: pushes run before what awaits the replies. */
  deliver(count = this.#arrivals.length): void {
    for (const arrival of this.#arrivals.splice(0, count))
      if ('push' in arrival) for (const listener of [...this.#onPush]) listener(arrival.push);
      else {
        const sent = this.#done.shift();
        if (arrival.reply instanceof Error) sent?.reject(arrival.reply);
        else sent?.resolve(arrival.reply);
      }
  }

  /**
   * `down`: what was sent and not answered is rejected, whether or not the server has done it, but
   * for the last `unsent` commands: they had not left yet, and go first on the next connection.
   * `up`: a new connection that tracks nothing.
   */
  become(state: Connection, unsent = 0): void {
    if (state === this.#state) return;
    this.#state = state;
    if (state !== 'up') {
      this.#redis.forget(this);
      this.tracking = false;
      const kept = state === 'down' && unsent > 0 ? this.#sent.slice(-unsent) : [];
      const lost = [...this.#done, ...this.#sent.slice(0, this.#sent.length - kept.length)];
      this.#done = [];
      this.#sent = kept;
      this.#arrivals = [];
      for (const { reject } of lost) reject(new Error('Socket closed unexpectedly'));
    }
    for (const listener of [...this.#onConnection]) listener(state);
  }
}

import {
  attach,
  type Connection,
  createTrackingCache,
  type Invalidation,
  type TrackingCache,
  type TrackingOptions,
  type TrackingPort,
  type TrackingSession,
} from '@redcache/core';
import { type ManualClock, settled } from '@redcache/core/testing';
import { ACQUIRE } from '../../src/scripts/acquire.ts';
import type { BatchedScript } from '../../src/scripts/batched.ts';
import { EXTEND } from '../../src/scripts/extend.ts';
import { TOKEN_OUTLIVES_LEASE_MS } from '../../src/scripts/fencing.ts';
import { INSPECT } from '../../src/scripts/inspect.ts';
import { JOIN } from '../../src/scripts/join.ts';
import { OFFER_MS, PROMISE_GRACE_MS } from '../../src/scripts/queue.ts';
import { RAISE_FENCE } from '../../src/scripts/raise-fence.ts';
import { RELEASE } from '../../src/scripts/release.ts';
import { ModelCounted } from './model-counted.ts';

interface Stored {
  readonly value: string;
  readonly expiresAtMs: number;
}

/** Those who wait for one lock, in their order. */
type ModelQueue = Map<string, { readonly sinceMs: number; readonly promisedMs: number }>;

const SCRIPTS: ReadonlyMap<string, string> = new Map([
  [ACQUIRE.sha1, 'acquire'],
  [JOIN.sha1, 'join'],
  [EXTEND.sha1, 'extend'],
  [RELEASE.sha1, 'release'],
  [INSPECT.sha1, 'inspect'],
  [RAISE_FENCE.sha1, 'raise-fence'],
]);

/** What the keys begin with that an engine writes to hear of it. */
const PROBE = 'redcache:probe:';

const BATCHED: readonly BatchedScript[] = [ACQUIRE, RELEASE];

/**
 * A Redis that knows what the scripts of the locks do, tracks keys as Redis does, and lives on a
 * manual clock. It is written from what the scripts say they do, not from their text.
 */
export class ModelServer {
  readonly clock: ManualClock;
  readonly counted: ModelCounted = new ModelCounted(this);
  readonly #data = new Map<string, Stored>();
  readonly #queues = new Map<string, ModelQueue>();
  readonly #connections = new Set<ModelConnection>();

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  /**
   * A connection that is up, and tracked unless that is not wanted. Its heartbeat is off if nothing is
   * said of it, so that the timers of the clock are those of the locks. That it is tracked is proved
   * at once, or not before `proof`.
   */
  async connect(
    tracked = true,
    { maxStaleness = false, proof }: LinkOptions = {},
  ): Promise<ModelLink> {
    const port = new ModelConnection(this);
    this.#connections.add(port);
    const engine = createTrackingCache({ clock: this.clock });
    const tracking = proof === undefined ? port : provedBy(port, proof);
    const session = tracked ? attach(engine, tracking, { maxStaleness }).session : engine.session;
    port.up();
    await settled();
    return { port, engine, session, tracks: () => session.state.is === 'tracking' };
  }

  get keys(): readonly string[] {
    return [...this.#data.keys()];
  }

  get(key: string): string | undefined {
    const stored = this.#data.get(key);
    if (stored === undefined) return undefined;
    if (stored.expiresAtMs > this.clock.nowMs()) return stored.value;
    this.#data.delete(key);
    this.#changed(key);
    return undefined;
  }

  /** As PTTL says it: -2 there is no such key, -1 it has no end. */
  pttl(key: string): number {
    if (this.get(key) === undefined) return -2;
    const { expiresAtMs } = this.#data.get(key) as Stored;
    return expiresAtMs === Infinity ? -1 : expiresAtMs - this.clock.nowMs();
  }

  set(key: string, value: string, forMs = Infinity): void {
    this.#data.set(key, { value, expiresAtMs: this.clock.nowMs() + forMs });
    this.#changed(key);
  }

  pexpire(key: string, forMs: number): void {
    const value = this.get(key);
    if (value !== undefined) this.set(key, value, forMs);
  }

  del(key: string): void {
    if (this.#data.delete(key)) this.#changed(key);
  }

  flush(): void {
    this.#data.clear();
    this.#queues.clear();
    for (const connection of this.#connections) connection.flushed();
  }

  /** Removes what has expired, as Redis does in its own time. */
  removeExpired(): void {
    for (const key of [...this.#data.keys()]) this.get(key);
  }

  /** Written and removed at once: whoever has read it is told. */
  touch(key: string): void {
    this.#changed(key);
  }

  leftOf(key: string): number {
    return (this.#data.get(key)?.expiresAtMs ?? 0) - this.clock.nowMs();
  }

  /** Text without end that no lock wrote. */
  isNoLock(key: string): boolean {
    return this.pttl(key) === -1 && !/^[\da-f-]+:\d+\+?$/.test(this.get(key) ?? '');
  }

  reserve(fence: string, count: number, leaseMs: number): string {
    const last = BigInt(this.get(fence) ?? 0);
    const now = BigInt(Math.round(this.clock.nowMs() * 1_000));
    const token = last >= now ? last + 1n : now;
    this.set(fence, String(token + BigInt(count) - 1n), leaseMs + TOKEN_OUTLIVES_LEASE_MS);
    return String(token);
  }

  queueOf(key: string): ModelQueue {
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const queue: ModelQueue = new Map();
    this.#queues.set(key, queue);
    return queue;
  }

  dropDead(queue: ModelQueue): void {
    for (const [id, { promisedMs }] of queue)
      if (promisedMs >= this.clock.nowMs()) return;
      else queue.delete(id);
  }

  /** Offers the lock to the first who waits, or frees it. */
  handOver(key: string, queue: ModelQueue, [, , before, after]: readonly string[]): void {
    this.dropDead(queue);
    const [head, second] = queue.keys();
    if (head === undefined) {
      this.del(key);
      return;
    }
    queue.delete(head);
    this.set(key, `${head}:0${second === undefined ? '' : '+'}`, OFFER_MS);
    this.touch(`${before}turn${after}:${head}`);
    if (second !== undefined) this.touch(`${before}next${after}:${second}`);
  }

  #changed(key: string): void {
    for (const connection of this.#connections) connection.changed(key);
  }
}

interface LinkOptions extends Pick<TrackingOptions, 'maxStaleness'> {
  readonly proof?: Promise<unknown>;
}

/** What proves that pushes arrive is sent later. */
function provedBy(port: ModelConnection, proof: Promise<unknown>): TrackingPort {
  return {
    send: async (args) => {
      if (String(args[1]).startsWith(PROBE)) await proof;
      return port.send(args as readonly string[]);
    },
    onPush: (listener) => port.onPush(listener),
    onConnection: (listener) => port.onConnection(listener),
  };
}

export interface ModelLink {
  readonly port: ModelConnection;
  readonly engine: TrackingCache;
  readonly session: TrackingSession;
  tracks(key: string): boolean;
}

interface Waiting {
  readonly args: readonly string[];
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * One connection to the model. A command runs when it is sent, and what it pushes is heard before
 * the code that awaits its reply goes on: the worst of the orders that real connections have.
 */
export class ModelConnection implements TrackingPort {
  /** Names of what the locks sent, oldest first; scripts by their own. What the engine sends is not here. */
  readonly log: string[] = [];
  readonly #server: ModelServer;
  readonly #tracked = new Set<string>();
  readonly #onPush = new Set<(invalidation: Invalidation) => void>();
  readonly #onConnection = new Set<(connection: Connection) => void>();
  #connection: Connection = 'down';
  #tracking = false;
  #hanging: Waiting[] | undefined;
  #pushes: Invalidation[] = [];
  /** Set: what the server says is still on its way. */
  #onTheWay: { readonly waiting?: Waiting; arrive(): void }[] | undefined;

  constructor(server: ModelServer) {
    this.#server = server;
  }

  send(args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#connection !== 'up') throw new Error('sent on a connection that is down');
      const waiting = { args, resolve, reject };
      if (this.#hanging) this.#hanging.push(waiting);
      else this.#answer(waiting);
    });
  }

  onPush(listener: (invalidation: Invalidation) => void): () => void {
    this.#onPush.add(listener);
    return () => this.#onPush.delete(listener);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    this.#onConnection.add(listener);
    listener(this.#connection);
    return () => this.#onConnection.delete(listener);
  }

  get listeners(): number {
    return this.#onConnection.size;
  }

  get unanswered(): number {
    return this.#hanging?.length ?? 0;
  }

  up(): void {
    this.#tell('up');
  }

  /** What is unanswered is rejected; it never runs. */
  down(): void {
    this.#tracking = false;
    this.#tracked.clear();
    const unheard = (this.#onTheWay ?? []).flatMap(({ waiting }) => waiting ?? []);
    const lost = [...unheard, ...(this.#hanging ?? [])];
    this.#hanging = undefined;
    this.#onTheWay = undefined;
    this.#pushes = [];
    this.#tell('down');
    for (const { reject } of lost) reject(new Error('Socket closed unexpectedly'));
  }

  /** From now on nothing runs and nothing is heard. */
  hang(): void {
    this.#hanging = [];
  }

  /** From now on what is sent runs, but nothing of what the server says arrives. */
  delay(): void {
    this.#onTheWay = [];
  }

  /** What was sent meanwhile runs, in order; what is on its way arrives. */
  resume(): void {
    const arriving = this.#onTheWay ?? [];
    this.#onTheWay = undefined;
    for (const { arrive } of arriving) arrive();
    const waiting = this.#hanging ?? [];
    this.#hanging = undefined;
    for (const push of this.#pushes.splice(0)) this.#push(push);
    for (const each of waiting) this.#answer(each);
  }

  /** What was sent meanwhile runs, but nobody hears of it: its answers are lost on the way. */
  runUnheard(): void {
    for (const { args } of this.#hanging ?? []) this.#run(args);
  }

  changed(key: string): void {
    if (this.#tracked.delete(key)) this.#push({ kind: 'keys', keys: [key] });
  }

  flushed(): void {
    this.#tracked.clear();
    if (this.#tracking) this.#push({ kind: 'flush' });
  }

  #push(invalidation: Invalidation): void {
    if (this.#hanging) this.#pushes.push(invalidation);
    else if (this.#answering) this.#answering.push(invalidation);
    else if (this.#onTheWay) this.#onTheWay.push({ arrive: () => this.#push(invalidation) });
    else for (const listener of [...this.#onPush]) listener(invalidation);
  }

  #tell(connection: Connection): void {
    this.#connection = connection;
    for (const listener of [...this.#onConnection]) listener(connection);
  }

  #answering: Invalidation[] | undefined;

  #answer(waiting: Waiting): void {
    const { args, resolve, reject } = waiting;
    this.#answering = [];
    let arrive: () => void;
    try {
      const reply = this.#run(args);
      arrive = () => resolve(reply);
    } catch (error) {
      arrive = () => reject(error);
    }
    if (this.#onTheWay) this.#onTheWay.push({ waiting, arrive });
    else arrive();
    const pushes = this.#answering;
    this.#answering = undefined;
    for (const push of pushes) this.#push(push);
  }

  #read(key: string): string | undefined {
    const value = this.#server.get(key);
    if (this.#tracking) this.#tracked.add(key);
    return value;
  }

  #run([command, sha1, ...given]: readonly string[]): unknown {
    const server = this.#server;
    const [, key = '', ...more] = given;
    if (command === 'EVALSHA') {
      const ofCounted = server.counted.nameOf(sha1 ?? '');
      if (ofCounted !== undefined) {
        this.log.push(ofCounted);
        return server.counted.run(ofCounted, given, (key) => this.#read(key));
      }
      const name = SCRIPTS.get(sha1 ?? '');
      const isBatched = BATCHED.some((each) => each.sha1 === sha1);
      if (isBatched && given[0] !== '1') return this.#runBatch(sha1 ?? '', given);
      if (name !== undefined) this.log.push(name);
      switch (name) {
        case 'acquire':
          return this.#acquire(key, more);
        case 'join':
          return this.#join([key, ...more]);
        case 'extend':
          return this.#extend(key, more);
        case 'release':
          return this.#release(key, more);
        case 'inspect':
          return this.#inspect(key, more);
        case 'raise-fence':
          return this.#raiseFence(key, more);
        default:
          throw new Error('NOSCRIPT No matching script');
      }
    }
    const ofEngine = this.#runOfEngine([command, sha1, ...given]);
    if (ofEngine !== undefined) return ofEngine;
    this.log.push(command ?? '');
    switch (command) {
      case 'COMMAND':
        return [null, null];
      case 'CLIENT':
        return 'id=1 name= db=0 user=default';
      case 'GET':
        return this.#read(sha1 ?? '') ?? null;
      case 'PTTL':
        return server.pttl(sha1 ?? '');
      case 'EXISTS':
        return server.get(sha1 ?? '') === undefined ? 0 : 1;
      default:
        throw new Error(`ERR unknown command '${command}'`);
    }
  }

  /** What `attach` sends; nothing for the rest. `null`: there is no such key. */
  /** Several calls of a script, each for a key of its own. */
  #runBatch(sha1: string, [count, ...given]: readonly string[]): unknown[] {
    const keys = given.slice(0, Number(count));
    const shared = given.slice(keys.length, -keys.length);
    const holders = given.slice(-keys.length);
    return keys.map((key, i) =>
      this.#run(['EVALSHA', sha1, '1', key, ...shared, holders[i] ?? '']),
    );
  }

  #runOfEngine([command, name = '', ...more]: readonly (string | undefined)[]): unknown {
    const words = `${command} ${name}`;
    if (words === 'CLIENT TRACKING') {
      this.#tracking = true;
      return 'OK';
    }
    if (words === 'CLIENT TRACKINGINFO') return { flags: [this.#tracking ? 'on' : 'off'] };
    if (!name.startsWith(PROBE)) return undefined;
    if (command === 'GET') return this.#read(name) ?? null;
    this.#server.set(name, more[0] ?? '', Number(more[2]));
    return 'OK';
  }

  #owned(key: string, holder: string | undefined): number {
    const value = this.#read(key);
    if (value === undefined) return 0;
    return value.startsWith(`${holder}:`) ? 1 : -1;
  }

  #acquire(key: string, more: readonly string[]): unknown {
    const [leaseMs, count, how, tag, holder = ''] = more;
    const server = this.#server;
    const [before, after] = sidesOf(key, tag);
    const fence = `${before}fence${after}`;
    const value = server.get(key);
    const give = (mark: string): string => {
      const token = server.reserve(fence, Number(count), Number(leaseMs));
      server.set(key, `${holder}:${token}${mark}`, Number(leaseMs));
      this.#read(key);
      return token;
    };
    if (value === undefined) return Number(give(''));
    this.#read(key);
    if (server.isNoLock(key)) return [-1, 0];
    if (!value.startsWith(`${holder}:`) && how !== 'force') return [0, server.pttl(key)];
    const mark = value.endsWith('+') ? '+' : '';
    return [1, give(mark), mark.length, 1];
  }

  #join([key = '', turn = '', next = '', ...more]: readonly string[]): unknown {
    const [holder = '', leaseMs, before, after, count] = more;
    const fence = `${before}fence${after}`;
    const nexts = `${before}next${after}:`;
    const server = this.#server;
    const queue = server.queueOf(`${before}queue${after}`);
    for (const read of [turn, next]) this.#read(read);
    const value = this.#read(key);
    const take = (): unknown => {
      queue.delete(holder);
      const [head] = queue.keys();
      const mark = head === undefined ? '' : '+';
      const token = server.reserve(fence, Number(count), Number(leaseMs));
      server.set(key, `${holder}:${token}${mark}`, Number(leaseMs));
      if (head !== undefined) server.touch(nexts + head);
      this.#read(key);
      for (const read of [turn, next]) server.touch(read);
      return [1, token, mark.length, 1];
    };
    let leftMs = OFFER_MS;
    if (value !== undefined) {
      if (value.startsWith(`${holder}:`)) return take();
      if (server.isNoLock(key)) return [-1, 0];
      leftMs = server.pttl(key);
    } else {
      server.dropDead(queue);
      const [head] = queue.keys();
      if (head === undefined || head === holder) return take();
    }
    const nowMs = server.clock.nowMs();
    queue.set(holder, {
      sinceMs: queue.get(holder)?.sinceMs ?? nowMs,
      promisedMs: nowMs + Math.max(leftMs, 0) + PROMISE_GRACE_MS,
    });
    let echoes = 1;
    if (value === undefined) server.handOver(key, queue, more);
    else if (!value.endsWith('+')) server.set(key, `${value}+`, server.leftOf(key));
    else echoes = 0;
    this.#read(key);
    return [0, leftMs, [...queue.keys()].indexOf(holder), echoes];
  }

  #extend(key: string, [holder, leaseMs, fence = '', count]: readonly string[]): unknown {
    const server = this.#server;
    const owned = this.#owned(key, holder);
    if (owned !== 1) return [owned];
    server.pexpire(key, Number(leaseMs));
    const contended = this.#read(key)?.endsWith('+') ? 1 : 0;
    if (count === '0') return [1, contended];
    return [1, contended, server.reserve(fence, Number(count), Number(leaseMs))];
  }

  #release(key: string, more: readonly string[]): unknown {
    const [of, lastToken, tag, holder = ''] = more;
    const [before, after] = sidesOf(key, tag);
    const [turns, nexts] = [`${before}turn${after}:`, `${before}next${after}:`];
    const server = this.#server;
    const queue = server.queueOf(`${before}queue${after}`);
    if (of === 'waiting') {
      const wasFirst = [...queue.keys()][0] === holder;
      queue.delete(holder);
      for (const of of [turns, nexts]) server.touch(of + holder);
      const [head] = queue.keys();
      if (wasFirst && head !== undefined) server.touch(nexts + head);
    }
    const owned = this.#owned(key, holder);
    if (owned !== 1) return owned;
    const fence = `${before}fence${after}`;
    if (lastToken) server.set(fence, lastToken, server.leftOf(fence));
    if (server.get(key)?.endsWith('+')) server.handOver(key, queue, ['', '', before, after]);
    else server.del(key);
    return 1;
  }

  #raiseFence(key: string, [token = '', fence = '', rememberMs]: readonly string[]): number {
    const server = this.#server;
    this.#read(key);
    const last = BigInt(server.get(fence) ?? 0);
    const highest = last > BigInt(token) ? String(last) : token;
    server.set(fence, highest, Number(rememberMs));
    return 1;
  }

  #inspect(key: string, [queueKey = '']: readonly string[]): unknown {
    const server = this.#server;
    const queue = server.queueOf(queueKey);
    const nowMs = server.clock.nowMs();
    const named = [...queue].flatMap(([id, { sinceMs }]) => [id, (nowMs - sinceMs) * 1_000]);
    return [this.#read(key) ?? '', server.pttl(key), queue.size, ...named];
  }
}

/** What the keys beside a lock begin and end with; `tag`: as the scripts are given it. */
function sidesOf(lock: string, tag: string | undefined): readonly [string, string] {
  return tag === '' ? [`{${lock}}:`, ''] : [`{${tag}}:`, `:${lock}`];
}

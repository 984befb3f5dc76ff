import {
  attach,
  createTrackingCache,
  type Entry,
  type TrackingCache,
  type TrackingSession,
  type TrackingState,
} from '@redcache/core';
import { assertIdle, assertStoreValid, ManualClock, settled } from '@redcache/core/testing';
import { type Attached, Callers, LONGEST_MS, rethrow } from './callers.ts';
import { Connection } from './connection.ts';
import { History } from './history.ts';
import { type Answer, Judge } from './judge.ts';
import type { LineTraits } from './line.ts';
import type { Half, Node } from './node.ts';
import { Servers } from './servers.ts';
import { KEYS, RESTS, type Reaction, type Setting, type Step } from './steps.ts';

const BOUNDS = { maxEntries: 5, maxBytes: 900 } as const;
const SOUND: LineTraits = { refuses: false, swallows: false, readOnly: false };
/** A connection that stands, whatever came of its tracking, or never will. */
const SETTLED: ReadonlySet<TrackingState['is']> = new Set([
  'tracking',
  'unverified',
  'untracked',
  'closed',
]);
/** How long everything waits for an answer while time passes. */
const MOMENT_MS = 20;
/** A beat that is late lets the loop read first, and one that was not needed before begins anew. */
const SLACK_MS = 100;

/** Done to an engine before its life begins, so that it must be found out. */
export type Sabotage = (cache: TrackingCache) => void;

/**
 * One engine, its connections to one server or several, and those who use it. Each step may be
 * anything that can happen next; after each the judge is asked whether anything is wrong.
 */
export class World {
  readonly clock = new ManualClock();
  readonly judge: Judge;
  readonly cache: TrackingCache;
  /** How often a suspect was shown. */
  suspects = 0;
  readonly #setting: Setting;
  readonly #history = new History();
  readonly #servers: Servers;
  readonly #attached: Attached[];
  readonly #callers: Callers;
  readonly #stops: (() => void)[] = [];
  /** Who the client believes to own which half. */
  #view: [Node, Node];
  #isClosed = false;

  constructor(setting: Setting, sabotage?: Sabotage) {
    const { clock } = this;
    this.#setting = setting;
    const { maxStaleness, store, evictedThrows } = setting;
    this.judge = new Judge(this.#history, maxStaleness === false ? Infinity : maxStaleness);
    this.#servers = new Servers(setting.nodes, clock, this.#history);
    this.#view = [this.#servers.owner(0), this.#servers.owner(1)];
    this.cache = createTrackingCache({
      ...BOUNDS,
      ttl: LONGEST_MS.present,
      negativeTtl: LONGEST_MS.negative,
      store,
      clock,
      ...(evictedThrows ? { onEvicted: () => rethrow('onEvicted') } : {}),
    });
    sabotage?.(this.cache);
    this.#attached = this.#servers.nodes.flatMap((node) =>
      Array.from({ length: setting.connections }, () => {
        const connection = new Connection(node, this.#servers.isCluster, clock, this.judge);
        return { connection, attachment: this.#attach(connection) };
      }),
    );
    this.#callers = new Callers(this.cache, clock, this.judge, {
      optin: setting.mode === 'optin',
      onMoved: () => {
        this.#view = [this.#servers.owner(0), this.#servers.owner(1)];
        this.#clear();
      },
    });
    this.#listen();
  }

  /** All connections come up and prove that they are tracked. */
  async start(): Promise<void> {
    for (const { connection } of this.#attached) connection.connect(SOUND);
    await this.#exchange(this.#attached);
  }

  async run(step: Step): Promise<void> {
    await this.#do(step);
    await settled();
    this.#check(step);
  }

  /** Everything that was asked is answered; then nothing may be left of it, nor after a close. */
  async finish(): Promise<void> {
    for (const stop of this.#stops) stop();
    for (const { connection, attachment } of this.#attached) {
      if (attachment === undefined) continue;
      connection.blocked = false;
      if (connection.silent || connection.line === undefined) connection.connect(SOUND);
    }
    await settled();
    for (let left = 20; left > 0 && this.#attached.some(isAsking); left -= 1)
      await this.#exchange(this.#attached);
    for (const key of KEYS) this.#callers.settleUncertain(key);
    this.#check({ is: 'clear' });
    if (this.judge.waiting() > 0) this.#wrong(`I9: ${this.judge.waiting()} calls never settled`);
    this.#assert('I12', () => assertIdle(this.cache));
    this.#close();
    for (const { attachment } of this.#attached) attachment?.detach();
    this.#check({ is: 'close' });
    const listeners = this.#attached.map(({ connection }) => connection.listeners);
    if (listeners.some((count) => count > 0)) this.#wrong(`I14: listeners left: ${listeners}`);
  }

  async #do(step: Step): Promise<void> {
    switch (step.is) {
      case 'read':
        this.#for(step.by, [step.key], (by) => this.#callers.read(by, step.key, step.rest));
        return;
      case 'read-two':
        this.#forHalf(step, (by, keys) => this.#callers.readTwo(by, keys));
        return;
      case 'read-many':
        this.#forHalf(step, (by, keys) => this.#callers.readMany(by, keys, step.rest));
        return;
      case 'guarded':
        this.#for(step.by, [step.key], (by) => this.#callers.guarded(by, step.key));
        return;
      case 'own-script':
        this.#for(step.by, [step.key], (by) => this.#ownScript(by, step.key));
        return;
      case 'lookup':
        this.#lookUp(step.key);
        return;
      case 'own-write':
        this.#for(step.by, [step.key], (by) => this.#callers.ownWrite(by, step.key, step.how));
        return;
      case 'own-flush':
        this.#for(step.by, [], (by) => this.#callers.ownFlush(by));
        return;
      case 'write':
        this.#servers.ownerOf(step.key).set([step.key], step.ttlMs);
        return;
      case 'write-two':
        this.#servers.owner(step.half).set(this.#keysOf(step.half), undefined);
        return;
      case 'touch':
        this.#servers.ownerOf(step.key).touch(step.key, step.ttlMs);
        return;
      case 'delete':
        this.#servers.ownerOf(step.key).delete(step.key);
        return;
      case 'flush':
        this.#node(step.node).flush();
        return;
      case 'expire':
        this.#node(step.node).expire();
        return;
      case 'move':
        this.#servers.move(step.half, this.#node(step.to), step.how);
        return;
      case 'clear':
        this.#clear();
        return;
      case 'close':
        this.#close();
        return;
      case 'advance':
        this.clock.advance(step.byMs);
        return;
      case 'pass':
        await this.#pass(step.byMs);
        return;
      case 'jump':
        this.clock.jump(step.byMs);
        return;
      default:
        await this.#onConnection(step);
    }
  }

  async #onConnection(step: Extract<Step, { by: number }>): Promise<void> {
    const it = this.#chosen(step);
    const { connection } = it;
    switch (step.is) {
      case 'execute':
        connection.execute(step.commands);
        return;
      case 'deliver':
        connection.deliver(step.frames);
        return;
      case 'exchange':
        await this.#exchange([it]);
        return;
      case 'connect':
        connection.connect(step.traits);
        return;
      case 'disconnect':
        connection.disconnect();
        return;
      case 'silence':
        connection.deliver(step.frames);
        connection.silent = connection.line !== undefined;
        return;
      case 'block':
        connection.blocked = connection.line !== undefined && !connection.blocked;
        return;
      case 'reset':
        this.#reset(it, step.told);
        return;
      case 'leave':
        it.attachment?.detach();
        it.attachment = undefined;
        connection.end();
        return;
      case 'join':
        it.attachment ??= this.#attach(connection);
        return;
    }
  }

  /** On the wire, one of the connections where there is something to be done. */
  #chosen({ is, by }: Extract<Step, { by: number }>): Attached {
    const onWire = is === 'execute' || is === 'deliver' || is === 'exchange' || is === 'silence';
    const busy = onWire ? this.#attached.filter(isAsking) : [];
    const among = busy.length > 0 ? busy : this.#attached;
    return among[by % among.length] as Attached;
  }

  #attach(connection: Connection): Attached['attachment'] {
    const { mode, noLoop, maxStaleness, replaceSilent } = this.#setting;
    return attach(this.cache, connection, { mode, noLoop, maxStaleness, replaceSilent });
  }

  /** A handshake in a cluster takes three rounds. */
  async #exchange(which: readonly Attached[]): Promise<void> {
    for (let left = 4; left > 0 && which.some(isAsking); left -= 1) {
      for (const { connection } of which) {
        connection.execute(100);
        connection.deliver(100);
      }
      await settled();
    }
  }

  async #pass(byMs: number): Promise<void> {
    const untilMs = this.clock.nowMs() + byMs;
    for (let leftMs = byMs; leftMs > 0; leftMs = untilMs - this.clock.nowMs()) {
      this.clock.advance(Math.min(leftMs, MOMENT_MS));
      await this.#exchange(this.#attached);
    }
  }

  #reset({ connection, attachment }: Attached, told: boolean): void {
    const { line } = connection;
    if (line === undefined || attachment === undefined) return;
    if (!told) {
      line.forget();
      line.forgotten = true;
      return;
    }
    connection.send(['RESET']).catch(() => {});
    this.judge.lost(line);
    attachment.session.dispatch({ is: 'changed' });
  }

  /** Where own writes are not pushed back they are announced, which would refuse the script's fill. */
  #ownScript(by: Attached, key: string): void {
    if (this.#setting.noLoop) this.#callers.ownWrite(by, key, 'wrote');
    else this.#callers.ownScript(by, key);
  }

  #lookUp(key: string): void {
    for (const rest of ['', ...RESTS]) this.#callers.lookup(key, rest);
    this.#callers.lookupReply(['MGET', ...this.#keysOf(this.#servers.halfOf(key))].join(' '));
  }

  #clear(): void {
    this.judge.sever('all');
    this.cache.clear();
  }

  #close(): void {
    this.#isClosed = true;
    this.judge.sever('all');
    this.cache.close();
  }

  #node(i: number): Node {
    return this.#servers.nodes[i % this.#servers.nodes.length] as Node;
  }

  #keysOf(half: Half): string[] {
    return KEYS.filter((key) => this.#servers.halfOf(key) === half);
  }

  #forHalf(
    { by, half }: { readonly by: number; readonly half: Half },
    act: (by: Attached, keys: string[]) => void,
  ): void {
    const keys = this.#keysOf(half);
    this.#for(by, keys, (it) => act(it, keys));
  }

  /** One of the connections to the node that the client takes for the owner of the keys. */
  #for(by: number, [key]: readonly string[], act: (by: Attached) => void): void {
    const node = key === undefined ? undefined : this.#view[this.#servers.halfOf(key)];
    const able = this.#attached.filter(
      ({ attachment, connection }) =>
        attachment !== undefined && (node === undefined || connection.node === node),
    );
    const chosen = able[by % able.length];
    if (chosen !== undefined) act(chosen);
  }

  #listen(): void {
    for (const [i, reaction] of (this.#setting.listeners ?? []).entries()) {
      const key = KEYS[i] as string;
      const stop = this.cache.onInvalidation(key, () => {
        // I5: whoever is woken finds nothing that is older than what he is woken for.
        for (const each of KEYS) this.#lookUp(each);
        this.#react(reaction, key, stop);
      });
      this.#stops.push(stop);
    }
  }

  #react(reaction: Reaction, key: string, stop: () => void): void {
    if (reaction === 'throw') rethrow('onInvalidation');
    if (reaction === 'stop') stop();
    if (reaction === 'clear') this.#clear();
    if (reaction === 'read') this.#for(0, [key], (by) => this.#callers.read(by, key, 'GET'));
    if (reaction === 'write') this.#for(0, [key], (by) => this.#callers.ownWrite(by, key, 'wrote'));
  }

  #check(step: Step): void {
    const nowMs = this.clock.nowMs();
    const { store, guards, flights } = this.cache.internals;
    let held = 0;
    for (const entry of store) {
      held += 1;
      this.#checkSuspect(entry, nowMs);
      if (entry.source.lost) continue;
      this.judge.stored('the store', entry.value as Answer);
      if (entry.serves(nowMs)) this.judge.hit('the store', entry.value as Answer, nowMs);
    }
    if (held > BOUNDS.maxEntries || store.bytes > BOUNDS.maxBytes)
      this.#wrong(`I12: ${held} entries, ${store.bytes} bytes`);
    if (this.judge.waiting() === 0 && guards.size + flights.size > 0)
      this.#wrong(`I12: ${guards.size} guards and ${flights.size} flights left behind`);
    if (this.#isClosed) {
      if (held > 0) this.#wrong(`I14: ${held} entries after the close`);
      if (this.clock.timers > 0) this.#wrong(`I14: ${this.clock.timers} timers after the close`);
    }
    for (const each of this.#attached) this.#checkSilence(each, step);
    this.#assert('I12', () => assertStoreValid(this.cache));
  }

  /** I4: nothing is suspect once its connection stands again. */
  #checkSuspect(entry: Entry, nowMs: number): void {
    const { owner } = entry.source;
    if (entry.source.suspect && SETTLED.has((owner as TrackingSession).state.is))
      this.#wrong(`I4: ${entry.key} is suspect though its connection stands`);
    const shown = entry.keys === undefined ? this.cache.suspect(entry.key, entry.rest) : undefined;
    if (shown === undefined) return;
    this.suspects += 1;
    this.judge.suspect('a suspect', shown.value as Answer, nowMs);
  }

  /** I4: one that is silent while somebody depends on it is replaced in time. */
  #checkSilence({ connection, attachment }: Attached, step: Step): void {
    const { maxStaleness, replaceSilent } = this.#setting;
    const { silent, blocked, line } = connection;
    if (connection.replacedInVain > 0)
      this.#wrong('I4: a connection was replaced that must not be');
    if (!replaceSilent && connection.replaced > 0) this.#wrong('I4: replaced against the option');
    const isDue =
      silent &&
      !blocked &&
      replaceSilent &&
      maxStaleness !== false &&
      this.#isNeeded(line, attachment);
    // Tracking may have been tried anew in the middle of the step: time counts from then on.
    const since = isDue ? attachment?.session.source : undefined;
    if (step.is === 'jump' || since === undefined || connection.dueSince !== since)
      connection.overdueMs = 0;
    else if (step.is === 'advance' || step.is === 'pass') connection.overdueMs += step.byMs;
    connection.dueSince = since;
    if (connection.overdueMs > Number(maxStaleness) + SLACK_MS)
      this.#wrong(`I4: silent for ${connection.overdueMs} ms and not replaced`);
  }

  #isNeeded(line: Connection['line'], attachment: Attached['attachment']): boolean {
    if (line === undefined || attachment?.session.source === undefined) return false;
    const { hub, store } = this.cache.internals;
    if (hub.listenedKeys > 0 || this.judge.waiting(line) > 0) return true;
    return [...store].some(({ source }) => source === attachment.session.source);
  }

  /** What throws is one more thing that is wrong, beside what the judge says. */
  #assert(invariant: string, assertion: () => void): void {
    try {
      assertion();
    } catch (error) {
      this.#wrong(`${invariant}: ${(error as Error).message}`);
    }
  }

  #wrong(what: string): void {
    this.judge.wrong.push(what);
  }
}

const isAsking = ({ connection: { line, unanswered } }: Attached): boolean =>
  line !== undefined && unanswered + line.frames.length > 0;

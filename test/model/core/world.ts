import { attach, createTrackingCache, type Fence, type TrackingCache } from '@redcache/core';
import {
  assertStoreValid,
  FakeClient,
  ManualClock,
  type SentCommand,
  settled,
} from '@redcache/core/testing';

/** One thing that happens: to the server, on the wire, or by a caller of the engine. */
export type Step =
  | { readonly is: 'read' | 'lookup' | 'own-write' | 'own-script'; readonly key: string }
  | { readonly is: 'write'; readonly key: string; readonly ttlMs: number | undefined }
  | { readonly is: 'delete'; readonly key: string }
  | { readonly is: 'write-two'; readonly keys: readonly [string, string] }
  | { readonly is: 'flush' | 'clear' | 'disconnect' | 'expire-actively' }
  | { readonly is: 'connect'; readonly refused: boolean }
  /** The server runs so many of the commands that have reached it. */
  | { readonly is: 'execute'; readonly commands: number }
  /** So many frames arrive in one chunk: no continuation runs between them. */
  | { readonly is: 'deliver'; readonly frames: number }
  | { readonly is: 'advance' | 'jump'; readonly byMs: number };

const BOUNDS = { maxEntries: 3, maxBytes: 1_000, ttl: 50, negativeTtl: 20 } as const;

/** What a read brought back, and all that is needed to judge whether it may still be served. */
interface Seen {
  readonly key: string;
  readonly version: number | undefined;
  /** When the server read it, as its count of events. */
  readonly readAt: number;
  /** When the key ends, by the clock of both. */
  readonly endsAtMs: number;
  /** When its command was sent. */
  sentAtMs: number;
  /** Whatever happened to its key since then, so that it must not have been stored. */
  broken: boolean;
}

type Frame =
  | { readonly is: 'reply'; readonly command: SentCommand; readonly value: unknown }
  | { readonly is: 'push'; readonly keys: readonly string[]; readonly eventAt: number }
  | { readonly is: 'flush'; readonly eventAt: number };

interface Stored {
  readonly version: number;
  readonly endsAtMs: number;
}

/** A command under way: sent, and not settled. */
interface UnderWay {
  readonly key: string;
  broken: boolean;
}

/**
 * An engine, and the plainest possible server for it: a Map, a Set of tracked keys, a queue of
 * frames. Each event at the server has a number; what a caller may see is judged by these alone.
 */
export class World {
  readonly clock = new ManualClock();
  readonly client = new FakeClient();
  readonly cache: TrackingCache = createTrackingCache({ ...BOUNDS, clock: this.clock });
  /** What went wrong, in words. */
  readonly wrong: string[] = [];
  readonly #values = new Map<string, Stored>();
  readonly #tracked = new Set<string>();
  readonly #wire: Frame[] = [];
  readonly #executed = new Set<SentCommand>();
  readonly #underWay = new Set<UnderWay>();
  /** By key: what was read at or before this event must not be served to those who ask from now on. */
  readonly #floor = new Map<string, number>();
  #floorOfAll = 0;
  /** Own writes of a key that are under way, or whose outcome is unknown. */
  readonly #fenced = new Map<string, number>();
  #events = 0;
  #trackingOn = false;
  #refuse = false;
  #up = false;

  constructor(keys: readonly string[]) {
    attach(this.cache, this.client);
    // I5: whoever is woken finds nothing that is older than what he is woken for.
    for (const key of keys) this.cache.onInvalidation(key, () => this.#judgeStore('I5'));
  }

  async run(step: Step): Promise<void> {
    this.#do(step);
    await settled();
    this.#check();
  }

  /** Brings the connection up, runs and delivers all there is, so that every call can settle. */
  async finish(): Promise<void> {
    if (!this.#up) await this.run({ is: 'connect', refused: false });
    while (this.client.sent.length > 0 || this.#wire.length > 0) {
      await this.run({ is: 'execute', commands: 100 });
      await this.run({ is: 'deliver', frames: 100 });
    }
    if (this.#underWay.size > 0) this.wrong.push(`${this.#underWay.size} calls never settled`);
  }

  #do(step: Step): void {
    switch (step.is) {
      case 'read':
        this.#read(step.key);
        return;
      case 'lookup':
        this.#lookup(step.key);
        return;
      case 'own-write':
        this.#ownWrite(step.key);
        return;
      case 'own-script':
        this.#ownScript(step.key);
        return;
      case 'write':
        this.#changed([step.key], this.#set(step.key, step.ttlMs));
        return;
      case 'delete':
        this.#remove(step.key);
        return;
      case 'write-two':
        this.#set(step.keys[0], undefined);
        this.#changed(step.keys, this.#set(step.keys[1], undefined));
        return;
      case 'flush':
        this.#values.clear();
        this.#tracked.clear();
        this.#events += 1;
        if (this.#trackingOn) this.#wire.push({ is: 'flush', eventAt: this.#events });
        return;
      case 'clear':
        this.cache.clear();
        this.#break();
        return;
      case 'disconnect':
        this.#disconnect();
        return;
      case 'connect':
        this.#connect(step.refused);
        return;
      case 'expire-actively':
        for (const [key, { endsAtMs }] of this.#values)
          if (endsAtMs <= this.clock.nowMs()) this.#remove(key);
        return;
      case 'execute': {
        if (!this.#up) return;
        const waiting = this.client.sent.filter((command) => !this.#executed.has(command));
        for (const command of waiting.slice(0, step.commands)) this.#execute(command);
        return;
      }
      case 'deliver':
        for (const frame of this.#wire.splice(0, step.frames)) this.#deliver(frame);
        return;
      case 'advance':
        this.clock.advance(step.byMs);
        return;
      case 'jump':
        this.clock.jump(step.byMs);
        return;
    }
  }

  // The callers.

  #read(key: string): void {
    const floor = this.#floorOf(key);
    const startedAtMs = this.clock.nowMs();
    let asked = false;
    const reading = this.cache.read([key], `GET ${key}`, async () => {
      asked = true;
      const under = this.#begin(key);
      const sentAtMs = this.clock.nowMs();
      try {
        const [seen, remaining] = (await Promise.all([
          this.client.send(['GET', key]),
          this.client.send(['PTTL', key]),
        ])) as [Seen, number];
        seen.sentAtMs = sentAtMs;
        seen.broken = under.broken;
        if ((remaining === -2) !== (seen.version === undefined))
          return { value: seen, cache: 'uncacheable' as const };
        return {
          value: seen,
          cache: {
            kind: remaining === -2 ? ('negative' as const) : ('present' as const),
            remaining: remaining < 0 ? ('none' as const) : remaining,
            valueBytes: 100,
          },
        };
      } finally {
        this.#underWay.delete(under);
      }
    });
    const isHit =
      !asked && this.cache.internals.flights.joinable(`\u0001sGET ${key}`) === undefined;
    reading.then(
      (seen) => {
        this.#judge('I1', 'read', seen, floor);
        if (isHit) this.#judgeAge('read', seen, startedAtMs);
      },
      () => {},
    );
  }

  #lookup(key: string): void {
    const entry = this.cache.lookup(key);
    if (entry === undefined) return;
    this.#judge('I1', 'lookup', entry.value as Seen, this.#floorOf(key));
    this.#judgeAge('lookup', entry.value as Seen, this.clock.nowMs());
  }

  #ownWrite(key: string): void {
    const fence: Fence = this.cache.fence([key]);
    this.#break(key);
    this.#fenced.set(key, (this.#fenced.get(key) ?? 0) + 1);
    this.client.send(['SET', key]).then(
      (eventAt) => {
        fence.settle();
        this.#break(key);
        const left = (this.#fenced.get(key) ?? 0) - 1;
        if (left > 0) this.#fenced.set(key, left);
        else this.#fenced.delete(key);
        this.#raise(key, eventAt as number);
      },
      // Nobody knows whether it ran: the fence stays.
      () => {},
    );
  }

  /** As a loader fills: a script reads, writes and reads the key, and exactly one push follows. */
  #ownScript(key: string): void {
    const guard = this.cache.guard([key]);
    const sentAtMs = this.clock.nowMs();
    this.client.send(['EVALSHA', key]).then(
      (reply) => {
        const seen = reply as Seen;
        seen.sentAtMs = sentAtMs;
        this.cache.fill(guard, key, seen, {
          kind: 'present',
          remaining: seen.endsAtMs - this.clock.nowMs() <= 0 ? 0 : 30,
          valueBytes: 100,
          by: 'own-write',
        });
      },
      () => this.cache.release(guard),
    );
  }

  // The server.

  #execute(command: SentCommand): void {
    this.#executed.add(command);
    const [name, key = ''] = command.args;
    switch (name) {
      case 'CLIENT':
        this.#trackingOn = !this.#refuse;
        this.#reply(command, this.#refuse ? new Error('NOPERM') : 'OK');
        return;
      case 'GET': {
        const expired = this.#expireLazily(key);
        this.#reply(command, this.#seen(key));
        if (expired) this.#changed([key], this.#events);
        if (this.#trackingOn) this.#tracked.add(key);
        return;
      }
      case 'PTTL': {
        const expired = this.#expireLazily(key);
        const stored = this.#values.get(key);
        const leftMs = stored === undefined ? -2 : stored.endsAtMs - this.clock.nowMs();
        this.#reply(command, leftMs === Number.POSITIVE_INFINITY ? -1 : leftMs);
        if (expired) this.#changed([key], this.#events);
        if (this.#trackingOn) this.#tracked.add(key);
        return;
      }
      case 'SET':
        this.#set(key, undefined);
        this.#reply(command, this.#events);
        this.#changed([key], this.#events);
        return;
      case 'EVALSHA': {
        if (this.#trackingOn) this.#tracked.add(key);
        const eventAt = this.#set(key, 30);
        this.#reply(command, this.#seen(key));
        this.#changed([key], eventAt);
        if (this.#trackingOn) this.#tracked.add(key);
      }
    }
  }

  #reply(command: SentCommand, value: unknown): void {
    this.#wire.push({ is: 'reply', command, value });
  }

  #seen(key: string): Seen {
    const stored = this.#values.get(key);
    this.#events += 1;
    return {
      key,
      version: stored?.version,
      readAt: this.#events,
      endsAtMs: stored?.endsAtMs ?? Number.POSITIVE_INFINITY,
      sentAtMs: Number.NaN,
      broken: false,
    };
  }

  #set(key: string, ttlMs: number | undefined): number {
    this.#events += 1;
    const endsAtMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.clock.nowMs() + ttlMs;
    this.#values.set(key, { version: this.#events, endsAtMs });
    return this.#events;
  }

  #remove(key: string): void {
    this.#events += 1;
    if (this.#values.delete(key)) this.#changed([key], this.#events);
  }

  #expireLazily(key: string): boolean {
    const stored = this.#values.get(key);
    if (stored === undefined || stored.endsAtMs > this.clock.nowMs()) return false;
    this.#events += 1;
    return this.#values.delete(key);
  }

  #changed(keys: readonly string[], eventAt: number): void {
    const told = keys.filter((key) => this.#tracked.delete(key));
    if (told.length > 0) this.#wire.push({ is: 'push', keys: told, eventAt });
  }

  // The wire.

  #deliver(frame: Frame): void {
    switch (frame.is) {
      case 'reply':
        if (frame.value instanceof Error) frame.command.fail(frame.value);
        else frame.command.reply(frame.value);
        return;
      case 'push':
        for (const key of frame.keys) {
          this.#break(key);
          this.#raise(key, frame.eventAt);
        }
        this.client.push(...frame.keys);
        return;
      case 'flush':
        this.#break();
        this.#floorOfAll = Math.max(this.#floorOfAll, frame.eventAt);
        this.client.flush();
        return;
    }
  }

  #disconnect(): void {
    this.#up = false;
    this.#drop();
    this.client.connection('down');
  }

  /** Also when it is up: a client need not have noticed that it lost the connection before. */
  #connect(refused: boolean): void {
    const lost = this.#up ? [...this.client.sent] : [];
    this.#up = true;
    this.#drop();
    this.#refuse = refused;
    for (const command of lost) command.fail(new Error('the connection was lost'));
    this.client.connection('up');
  }

  #drop(): void {
    this.#wire.length = 0;
    this.#tracked.clear();
    this.#trackingOn = false;
    this.#floorOfAll = this.#events;
    this.#break();
  }

  // The judgement.

  #begin(key: string): UnderWay {
    const under = { key, broken: false };
    this.#underWay.add(under);
    return under;
  }

  #break(key?: string): void {
    for (const under of this.#underWay)
      if (key === undefined || under.key === key) under.broken = true;
  }

  #raise(key: string, eventAt: number): void {
    this.#floor.set(key, Math.max(this.#floor.get(key) ?? 0, eventAt));
  }

  #floorOf(key: string): number {
    return Math.max(this.#floor.get(key) ?? 0, this.#floorOfAll);
  }

  #judge(invariant: string, how: string, seen: Seen, floor: number): void {
    if (seen.readAt <= floor)
      this.wrong.push(
        `${invariant}: ${how} of ${seen.key}: read at ${seen.readAt}, told of ${floor}`,
      );
  }

  #judgeAge(how: string, seen: Seen, nowMs: number): void {
    const longestMs = seen.version === undefined ? BOUNDS.negativeTtl : BOUNDS.ttl;
    if (nowMs >= seen.endsAtMs || nowMs >= seen.sentAtMs + longestMs)
      this.wrong.push(`I3: ${how} of ${seen.key} at ${nowMs}, which ended at ${seen.endsAtMs}`);
  }

  #judgeStore(invariant: string): void {
    for (const [, entry] of this.cache.internals.store) {
      const seen = entry.value as Seen;
      this.#judge(invariant, 'the store', seen, this.#floorOf(seen.key));
      if (seen.broken) this.wrong.push(`I2: stored ${seen.key}, which was broken under way`);
      if (this.#fenced.has(seen.key)) this.wrong.push(`I6: stored ${seen.key}, which is fenced`);
    }
  }

  #check(): void {
    this.#judgeStore('I1');
    const { store } = this.cache.internals;
    const { entries, bytes } = this.cache.stats();
    if (entries > BOUNDS.maxEntries || bytes > BOUNDS.maxBytes || store.indexedKeys > entries)
      this.wrong.push(`I12: ${entries} entries, ${bytes} bytes, ${store.indexedKeys} keys`);
    assertStoreValid(this.cache);
  }
}

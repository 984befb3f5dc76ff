import { GATE_OUTLIVES_MS } from '../../src/counted/scripts/counting.ts';
import { WRITER_ASKS_EVERY_MS } from '../../src/counted/scripts/entering.ts';
import { COUNTED_EXTEND } from '../../src/counted/scripts/extend.ts';
import { COUNTED_INSPECT } from '../../src/counted/scripts/inspect.ts';
import { COUNTED_JOIN } from '../../src/counted/scripts/join.ts';
import { COUNTED_LOOK } from '../../src/counted/scripts/look.ts';
import { COUNTED_RELEASE } from '../../src/counted/scripts/release.ts';
import { COUNTED_TAKE } from '../../src/counted/scripts/take.ts';
import type { Beside } from '../../src/keys.ts';
import { OFFER_MS, PROMISE_GRACE_MS } from '../../src/scripts/queue.ts';
import type { ModelServer } from './model-server.ts';

const SCRIPTS: ReadonlyMap<string, string> = new Map([
  [COUNTED_TAKE.sha1, 'take'],
  [COUNTED_JOIN.sha1, 'join of counted'],
  [COUNTED_EXTEND.sha1, 'extend of counted'],
  [COUNTED_RELEASE.sha1, 'release of counted'],
  [COUNTED_LOOK.sha1, 'look'],
  [COUNTED_INSPECT.sha1, 'inspect of counted'],
]);

/** Members by the end of their lease. */
type Holders = Map<string, number>;

/**
 * What the scripts of locks that several may hold do, written from what they say. A gate is a text
 * here, as everything that this model keeps.
 */
export class ModelCounted {
  readonly #server: ModelServer;
  readonly #holders = new Map<string, Holders>();

  constructor(server: ModelServer) {
    this.#server = server;
  }

  /** How a script is called; `undefined` for one that is none of these. */
  nameOf(sha1: string): string | undefined {
    return SCRIPTS.get(sha1);
  }

  /** Those whose lease has not ended. */
  standing(gate: string, holdersKey: string): ReadonlySet<string> {
    if (this.#server.get(gate) === undefined) return new Set();
    const nowMs = this.#server.clock.nowMs();
    const standing = [...this.holdersOf(holdersKey)].filter(([, endMs]) => endMs > nowMs);
    return new Set(standing.map(([member]) => member));
  }

  holdersOf(key: string): Holders {
    const known = this.#holders.get(key);
    if (known !== undefined) return known;
    const holders: Holders = new Map();
    this.#holders.set(key, holders);
    return holders;
  }

  /** `read`: as the connection that asks does it. */
  run(
    name: string,
    [count, ...rest]: readonly string[],
    read: (key: string) => string | undefined,
  ): unknown {
    const keys = rest.slice(0, Number(count));
    const args = rest.slice(Number(count));
    if (name === 'look') return this.#look(keys, args, read);
    if (name === 'inspect of counted') return this.#inspect(keys[0] ?? '', args, read);
    const call = new Call(this.#server, this, keys, args, read);
    switch (name) {
      case 'take':
        return call.enter(false);
      case 'join of counted':
        return call.enter(true);
      case 'extend of counted':
        return call.extend();
      default:
        return call.release();
    }
  }

  #look(
    [gate = '', holders = '']: readonly string[],
    args: readonly string[],
    read: (key: string) => unknown,
  ): unknown {
    const [member = '', queue = ''] = args;
    if (read(gate) === undefined) return [0];
    const leftMs = (this.holdersOf(holders).get(member) ?? 0) - this.#server.clock.nowMs();
    if (leftMs <= 0) return [0];
    const contended = this.#server.queueOf(queue).size > 0 ? 1 : 0;
    return [1, Math.min(leftMs, this.#server.pttl(gate)), contended];
  }

  #inspect(gate: string, args: readonly string[], read: (key: string) => unknown): unknown {
    const [holdersKey = '', queueKey = ''] = args;
    const nowMs = this.#server.clock.nowMs();
    const standing = this.standing(gate, holdersKey);
    const holders = [...this.holdersOf(holdersKey)].filter(([member]) => standing.has(member));
    const queue = this.#server.queueOf(queueKey);
    return [
      read(gate) ?? '',
      holders.length,
      queue.size,
      holders.flatMap(([member, endMs]) => [member, endMs - nowMs]),
      [...queue].flatMap(([member, { sinceMs }]) => [member, (nowMs - sinceMs) * 1_000]),
    ];
  }
}

const isWriter = (member: string): boolean => member.startsWith('w:');

/** One call of a script. */
class Call {
  readonly #server: ModelServer;
  readonly #keys: readonly string[];
  readonly #args: readonly string[];
  readonly #read: (key: string) => string | undefined;
  readonly #nowMs: number;
  readonly #gate: string;
  readonly #me: string;
  readonly #holders: Holders;
  readonly #queue: ReturnType<ModelServer['queueOf']>;
  readonly #found: string | undefined;
  #longestMs = 0;
  #isMoved = false;

  constructor(
    server: ModelServer,
    model: ModelCounted,
    keys: readonly string[],
    args: readonly string[],
    read: (key: string) => string | undefined,
  ) {
    this.#server = server;
    this.#keys = keys;
    this.#args = args;
    this.#read = read;
    this.#nowMs = server.clock.nowMs();
    this.#gate = keys[0] ?? '';
    this.#me = this.#arg(1);
    this.#holders = model.holdersOf(this.#beside('holders'));
    this.#queue = server.queueOf(this.#beside('queue'));
    for (const key of keys.slice(2)) read(key);
    this.#found = read(this.#gate);
    for (const [member, endMs] of this.#holders)
      if (this.#found === undefined || endMs <= this.#nowMs) this.#holders.delete(member);
  }

  enter(joins: boolean): unknown {
    if (this.#isOther) return [-1, this.#found];
    const { sinceMs } = this.#queue.get(this.#me) ?? { sinceMs: this.#nowMs };
    if (!this.#holders.has(this.#me)) {
      const promisedMs = this.#nowMs + PROMISE_GRACE_MS;
      if (joins) this.#queue.set(this.#me, { sinceMs, promisedMs });
      this.#offer();
    }
    const isFree = this.#head === undefined && this.#fits(this.#me);
    if (!this.#holders.has(this.#me) && !isFree) return this.#refuse(joins, sinceMs);
    this.#queue.delete(this.#me);
    this.#letIn(this.#me, Number(this.#arg(6)));
    const token = this.#reserve();
    const answer = [1, token, this.#contended, this.#keepGate()];
    for (const key of this.#keys.slice(2)) this.#server.touch(key);
    return answer;
  }

  extend(): unknown {
    if (!this.#holders.has(this.#me)) return [0];
    this.#letIn(this.#me, Number(this.#arg(6)));
    const token = this.#arg(7) === '0' ? [] : [this.#reserve()];
    return [1, this.#contended, this.#keepGate(), ...token];
  }

  release(): unknown {
    if (this.#arg(6) === 'waiting') {
      this.#isMoved = [...this.#queue.keys()][0] === this.#me;
      this.#queue.delete(this.#me);
      for (const of of ['turn', 'next'] as const)
        this.#server.touch(`${this.#beside(of)}:${this.#me}`);
    }
    if (this.#isOther) return 0;
    const released = this.#holders.delete(this.#me) ? 1 : 0;
    this.#offer();
    if (this.#longestMs > 0) this.#keepGate();
    else if (this.#holders.size === 0) this.#server.del(this.#gate);
    return released;
  }

  #beside(name: Beside): string {
    return this.#arg(4) + name + this.#arg(5);
  }

  #arg(number: number): string {
    return this.#args[number - 1] ?? '';
  }

  get #isOther(): boolean {
    if (this.#found === undefined || this.#found === this.#arg(2)) return false;
    return this.#holders.size > 0 || this.#head !== undefined;
  }

  get #head(): string | undefined {
    const [before] = this.#queue.keys();
    this.#server.dropDead(this.#queue);
    const [head] = this.#queue.keys();
    this.#isMoved ||= head !== before;
    return head;
  }

  get #contended(): number {
    return this.#queue.size > 0 ? 1 : 0;
  }

  #fits(member: string): boolean {
    if (this.#holders.size === 0) return true;
    if (isWriter(member) || [...this.#holders.keys()].some(isWriter)) return false;
    return this.#holders.size < Number(this.#arg(3));
  }

  #letIn(member: string, forMs: number): void {
    this.#holders.set(member, this.#nowMs + forMs);
    this.#longestMs = Math.max(this.#longestMs, forMs);
  }

  #offer(): void {
    let head = this.#head;
    for (; head !== undefined && this.#fits(head); head = this.#head) {
      this.#queue.delete(head);
      this.#isMoved = true;
      this.#letIn(head, OFFER_MS);
      if (head !== this.#me) this.#server.touch(`${this.#beside('turn')}:${head}`);
    }
    if (this.#isMoved && head !== undefined && head !== this.#me)
      this.#server.touch(`${this.#beside('next')}:${head}`);
  }

  #refuse(joins: boolean, sinceMs: number): unknown {
    const head = this.#head ?? this.#me;
    const ends = [...this.#holders.values()].sort((a, b) => a - b);
    const surplus = Math.max(0, ends.length - Number(this.#arg(3)));
    let leftMs = ((isWriter(head) ? ends.at(-1) : ends[surplus]) ?? Number.NaN) - this.#nowMs;
    if (isWriter(head)) leftMs = Math.min(leftMs, WRITER_ASKS_EVERY_MS);
    if (joins) {
      const untilMs = this.#nowMs + leftMs + PROMISE_GRACE_MS;
      this.#queue.set(this.#me, { sinceMs, promisedMs: untilMs });
    }
    return [0, leftMs, [...this.#queue.keys()].indexOf(this.#me), this.#keepGate()];
  }

  #keepGate(): number {
    if (this.#longestMs === 0) return 0;
    const outlivesMs = GATE_OUTLIVES_MS;
    const isLong = this.#server.pttl(this.#gate) >= this.#longestMs + outlivesMs / 2;
    if (this.#found === this.#arg(2) && isLong) return 0;
    this.#server.set(this.#gate, this.#arg(2), this.#longestMs + outlivesMs);
    this.#read(this.#gate);
    return 1;
  }

  #reserve(): string {
    return this.#server.reserve(this.#beside('fence'), Number(this.#arg(7)), Number(this.#arg(6)));
  }
}

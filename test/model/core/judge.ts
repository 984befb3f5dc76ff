import { LostError, type Witness } from './connection.ts';
import type { History } from './history.ts';
import type { Line } from './line.ts';
import { type Seen, ServerError } from './node.ts';

/** The longest that an entry of a connection lives whose pushes could not be proved. */
const LONGEST_UNVERIFIED_MS = 2_000;

/** What a command brought back. The engine keeps it as the value. */
export interface Answer {
  readonly signature: string;
  readonly seen: readonly Seen[];
  readonly sentAtMs: number;
  /** The longest it lives, by the engine's options. */
  readonly longestMs: number;
  /** Pushes of its keys while it was under way that are the echo of its own write. */
  readonly echoes: 0 | 1;
  /** What happened to its keys while it was under way. */
  readonly end: { readonly severed: boolean; readonly pushes: number };
}

/** A command on its way, and what has happened to its keys since it was sent. */
export interface UnderWay {
  readonly keys: readonly string[];
  readonly line: Line | undefined;
  severed: boolean;
  pushes: number;
}

/**
 * Knows what the process was told and what was true when, and says what must not have been served or
 * stored by these alone: it never asks the engine.
 */
export class Judge implements Witness {
  /** What is wrong, in words. */
  readonly wrong: string[] = [];
  readonly #history: History;
  readonly #maxStalenessMs: number;
  readonly #underWay = new Set<UnderWay>();
  /** By key: what was read at or before this event must not be served to those who ask from now on. */
  readonly #floors = new Map<string, number>();
  #floorOfAll = 0;
  /** Own writes of a key that are under way, or whose outcome is unknown. */
  readonly #fenced = new Map<string, number>();

  constructor(history: History, maxStalenessMs: number) {
    this.#history = history;
    this.#maxStalenessMs = maxStalenessMs;
  }

  // What happens.

  begin(keys: readonly string[], line: Line | undefined): UnderWay {
    const severed = line === undefined || keys.some((key) => this.isFenced(key));
    const begun: UnderWay = { keys, line, severed, pushes: 0 };
    this.#underWay.add(begun);
    return begun;
  }

  end(begun: UnderWay): void {
    this.#underWay.delete(begun);
  }

  pushed(keys: readonly string[] | 'all', event: number): void {
    if (keys === 'all') {
      this.sever('all');
      this.#floorOfAll = Math.max(this.#floorOfAll, event);
      return;
    }
    for (const key of keys) {
      for (const each of this.#underWay) if (each.keys.includes(key)) each.pushes += 1;
      this.raise(key, event);
    }
  }

  lost(line: Line): void {
    for (const each of this.#underWay) if (each.line === line) each.severed = true;
  }

  /** Nothing that is under way may be stored: an own write, or whatever drops everything. */
  sever(keys: readonly string[] | 'all'): void {
    for (const each of this.#underWay)
      if (keys === 'all' || each.keys.some((key) => keys.includes(key))) each.severed = true;
  }

  /** The process knows that the key was changed at this event. */
  raise(key: string | 'all', event: number): void {
    if (key === 'all') this.#floorOfAll = Math.max(this.#floorOfAll, event);
    else this.#floors.set(key, Math.max(this.#floors.get(key) ?? 0, event));
  }

  fence(key: string): void {
    this.sever([key]);
    this.#fenced.set(key, (this.#fenced.get(key) ?? 0) + 1);
  }

  unfence(key: string): void {
    this.sever([key]);
    const left = (this.#fenced.get(key) ?? 0) - 1;
    if (left > 0) this.#fenced.set(key, left);
    else this.#fenced.delete(key);
  }

  isFenced(key: string): boolean {
    return this.#fenced.has(key);
  }

  /** How many commands wait for an answer on this connection, or on any. */
  waiting(line?: Line): number {
    if (line === undefined) return this.#underWay.size;
    return [...this.#underWay].filter((each) => each.line === line).length;
  }

  floor(key: string): number {
    return Math.max(this.#floors.get(key) ?? 0, this.#floorOfAll);
  }

  // The judgement.

  assertRight(): void {
    if (this.wrong.length > 0) throw new Error(this.wrong.join('\n'));
  }

  /** An answer to somebody who asked when these floors stood (I1, I6). */
  answered(how: string, answer: Answer, signature: string, floors: (key: string) => number): void {
    if (answer.signature !== signature)
      this.#say('I1', how, `${signature} got ${answer.signature}`);
    for (const { key, readAt } of answer.seen)
      if (readAt <= floors(key)) this.#say('I1', how, `${key} of ${readAt}, told ${floors(key)}`);
  }

  /** The engine has no errors of its own for reads: it passes on what the command was answered. */
  rejected(how: string, error: unknown): void {
    if (error instanceof ServerError || error instanceof LostError) return;
    this.wrong.push(`a ${how} rejected with ${String(error)}`);
  }

  /** An answer that came from the store at this time (I3, I4, T2, T5). */
  hit(how: string, answer: Answer, nowMs: number): void {
    if (nowMs >= answer.sentAtMs + answer.longestMs) this.#say('I3', how, answer.signature);
    for (const seen of answer.seen) this.#hitOf(how, seen, nowMs);
  }

  #hitOf(how: string, { key, endsAtMs, readAt, line }: Seen, nowMs: number): void {
    const { swallows } = line.traits;
    // One that forgets in silence, or whose pushes are swallowed, does not tell of a change between the
    // value and its remaining time.
    if (nowMs >= endsAtMs && !line.forgotten && !swallows)
      this.#say('I3', how, `${key} ended at ${endsAtMs}, it is ${nowMs}`);
    if (line.lost) this.#say('T2', how, `${key} came from a lost connection`);
    if (swallows && line.proves) this.#say('T5', how, `${key}: no push can arrive`);
    const changedAtMs = this.#history.outdatedSinceMs(key, readAt);
    if (changedAtMs === undefined) return;
    // Who forgets in silence is found out only once nothing else is asked of it.
    const sinceMs = line.forgotten ? Math.max(changedAtMs, line.usedAtMs) : changedAtMs;
    const longestMs = swallows
      ? Math.min(this.#maxStalenessMs, LONGEST_UNVERIFIED_MS)
      : this.#maxStalenessMs;
    if (nowMs - sinceMs >= longestMs)
      this.#say('I4', how, `${key} is outdated for ${nowMs - sinceMs} ms`);
  }

  /** An answer of a connection that is lost, which may be shown to whoever has nothing else (I1, I3, I4). */
  suspect(how: string, answer: Answer, nowMs: number): void {
    this.stored(how, answer);
    if (nowMs >= answer.sentAtMs + answer.longestMs) this.#say('I3', how, answer.signature);
    for (const { key, line } of answer.seen)
      if (!line.lost) this.#say('I4', how, `${key} came from a connection that stands`);
  }

  /** An answer that is kept, whether it may be served at the moment or not (I1, I2, I6). */
  stored(how: string, { seen, echoes, end, signature }: Answer): void {
    if (end.severed || end.pushes > echoes)
      this.#say('I2', how, `${signature} was disturbed: ${JSON.stringify(end)}`);
    for (const { key, readAt, announced, line } of seen) {
      if (readAt <= this.floor(key)) this.#say('I1', how, `${key} of ${readAt} is outdated`);
      if (this.isFenced(key)) this.#say('I6', how, `${key} is fenced`);
      if (!announced && !line.forgotten) this.#say('I2', how, `${key}: nobody tells of a change`);
    }
  }

  #say(invariant: string, how: string, what: string): void {
    this.wrong.push(`${invariant}: ${how}: ${what}`);
  }
}

import type { Ranked } from './policy.ts';
import type { Source } from './source.ts';

/**
 * One local copy, and everything that decides how long it may be served.
 *
 * `present` holds a value; `negative` holds the knowledge that there is none. A slot that is being
 * filled is no entry but an open {@link Guard}.
 */
export class Entry<V = unknown> implements Ranked {
  readonly kind: 'present' | 'negative';
  readonly value: V;
  /** I3: compared with the clock in the call itself, never left to a timer. */
  readonly deadlineAtMs: number;
  readonly source: Source;
  /** The Redis key it was read from; for a reply of several keys its signature. */
  readonly key: string;
  /** What of the key: `''` its value, else the command without its key. */
  readonly rest: string;
  /** The Redis keys of a reply of several. A push of any of them drops it. */
  readonly keys: readonly string[] | undefined;
  /** What it is counted with against `maxBytes`. */
  readonly bytes: number;
  /**
   * Echoes: pushes of our own write that are still to come and say nothing new. Only the script
   * that wrote the value may set it, by the count of pushes it saw (see `Guard.pushes`).
   */
  echoes: number;

  /** The eviction policy's own; nobody else reads or writes them. */
  prev: Ranked | undefined = undefined;
  next: Ranked | undefined = undefined;
  rank = 0;
  uses = 0;

  constructor(content: EntryContent<V>) {
    this.kind = content.kind;
    this.value = content.value;
    this.deadlineAtMs = content.deadlineAtMs;
    this.source = content.source;
    this.key = content.key;
    this.rest = content.rest;
    this.keys = content.keys;
    this.bytes = content.bytes;
    this.echoes = content.echoes;
  }

  /** Whether it may be served at this moment of the engine's clock. */
  serves(nowMs: number): boolean {
    return nowMs < this.deadlineAtMs && nowMs < this.source.servesUntilMs;
  }

  /** Whether it may be shown, while its connection is lost, to whoever has nothing else. */
  isSuspect(nowMs: number): boolean {
    return this.source.suspect && nowMs < this.deadlineAtMs; // guard: I3, I4
  }

  dependsOn(key: string): boolean {
    return this.keys === undefined ? this.key === key : this.keys.includes(key);
  }
}

export interface EntryContent<V> {
  readonly kind: Entry['kind'];
  readonly value: V;
  readonly deadlineAtMs: number;
  readonly source: Source;
  readonly key: string;
  readonly rest: string;
  readonly keys: readonly string[] | undefined;
  readonly bytes: number;
  readonly echoes: number;
}

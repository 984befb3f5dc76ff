import { callSafely } from '../channels.ts';
import { ShortLivedMap } from '../short-lived-map.ts';
import type { Source } from './source.ts';

/** What a guard must know of the connection that its command travels on. */
export interface Line {
  /** As it is now; none while it is down or cannot be tracked. */
  readonly source: Source | undefined;
  /** How long it may be silent. */
  readonly rules: { readonly maxStalenessMs: number };
  /** Whether one push, and exactly one, follows a script of ours that reads, writes and reads a key. */
  readonly echoesWrites: boolean;
  /** A command that was sent at this time was answered. */
  heard(source: Source, sentAtMs: number): void;
}

/** Told at the first push of a key, and at the first thing that no reply can survive. */
export type OnBroken = (by: 'push' | 'severed') => void;

export interface BreakListener {
  readonly broken: OnBroken;
}

/**
 * Watches keys from before a command is sent until its reply has been dealt with, so that a reply
 * is stored only if nothing made it outdated meanwhile (I2).
 *
 * A push that was read in the same TCP chunk as the reply is handled before the code that awaits
 * the reply continues, so comparing before and after is not enough: the guard must already stand
 * when the command leaves.
 */
export class Guard {
  readonly keys: readonly string[];
  /** Before the send: what the server says of time left is counted from here, which is safe. */
  readonly openedAtMs: number;
  readonly line: Line;
  /** The connection as it was then. Without one nothing is stored. */
  readonly source: Source | undefined;
  /** Whether it is among the {@link Guards}, which alone write it. */
  isOpen = false;
  readonly #listener: BreakListener | undefined;
  #pushes = 0;
  #overheard = false;
  #severed: boolean;
  #disturbed = false;

  constructor(opening: {
    readonly keys: readonly string[];
    readonly openedAtMs: number;
    readonly line: Line;
    /** Nothing may be stored from the start; the listener is still told of what happens later. */
    readonly severed: boolean;
    readonly listener: BreakListener | undefined;
  }) {
    this.keys = opening.keys;
    this.openedAtMs = opening.openedAtMs;
    this.line = opening.line;
    this.source = opening.line.source;
    this.#severed = opening.severed;
    this.#listener = opening.listener;
  }

  /** Nothing happened to the keys since the guard was opened. */
  get intact(): boolean {
    return this.#pushes === 0 && !this.#severed;
  }

  /**
   * Invalidations of the keys so far. A script that reads, writes and reads a key again is followed
   * by exactly one push of its own, so its caller counts instead of asking for none.
   */
  get pushes(): number {
    return this.#pushes;
  }

  /**
   * Something happened since it was opened. Unlike {@link intact} it is false for a guard that was
   * severed from the start, where waiting for something to happen still makes sense.
   */
  get disturbed(): boolean {
    return this.#pushes > 0 || this.#disturbed;
  }

  /** A flush, a lost connection, an own write: whatever the reply says, it must not be stored. */
  get severed(): boolean {
    return this.#severed;
  }

  /**
   * Nothing happened but, perhaps, one push on its own connection: the echo of its own write. What
   * another connection hears of may be a later write, heard before the echo.
   */
  get intactButForEcho(): boolean {
    return !this.#severed && !this.#overheard && this.#pushes <= 1;
  }

  /** `line`: the connection that it came on, if it is known. */
  push(line: Line | undefined): void {
    this.#pushes += 1; // guard: I2
    if (line !== this.line) this.#overheard = true; // guard: I2
    if (this.#pushes === 1) this.#tell('push');
  }

  sever(): void {
    this.#severed = true; // guard: I2, I6
    if (this.#disturbed) return;
    this.#disturbed = true;
    this.#tell('severed');
  }

  /** One that throws must not keep the guards after it from breaking. */
  #tell(by: 'push' | 'severed'): void {
    const listener = this.#listener;
    if (listener !== undefined) callSafely('onBroken', () => listener.broken(by));
  }
}

const NONE: readonly Guard[] = [];

/** The guards that are open, by key. Bounded by the commands in flight: nothing is remembered of others. */
export class Guards {
  /** Nearly always a key is read once at a time, so that it needs no set. */
  readonly #byKey = new ShortLivedMap<string, Guard | Set<Guard>>();
  #size = 0;
  readonly #fenced = new Map<string, number>();

  get size(): number {
    return this.#size;
  }

  get fencedKeys(): number {
    return this.#fenced.size;
  }

  open(guard: Guard): void {
    guard.isOpen = true;
    this.#size += 1;
    for (const key of guard.keys) {
      const others = this.#byKey.get(key);
      if (others === undefined) this.#byKey.set(key, guard);
      else if (others instanceof Set) others.add(guard);
      else if (others !== guard) this.#byKey.set(key, new Set([others, guard]));
    }
  }

  /** I6: while a write of ours is under way nobody knows which of the two values a reply shows. */
  isFenced(keys: readonly string[]): boolean {
    return this.#fenced.size > 0 && keys.some((key) => this.#fenced.has(key));
  }

  /** True the first time only: a guard admits one fill. */
  close(guard: Guard): boolean {
    if (!guard.isOpen) return false; // guard: I2
    guard.isOpen = false;
    this.#size -= 1; // guard: I12
    for (const key of guard.keys) {
      const others = this.#byKey.get(key);
      if (others === guard) this.#byKey.delete(key);
      else if (others instanceof Set && others.delete(guard) && others.size === 0)
        this.#byKey.delete(key);
    }
    return true;
  }

  push(key: string, line?: Line): void {
    for (const guard of this.#of(key)) guard.push(line); // guard: I1, I2
  }

  sever(key: string): void {
    for (const guard of this.#of(key)) guard.sever(); // guard: I6
  }

  /** Those of the key that name another connection, or any if none is named. */
  severOthers(key: string, line: Line | undefined): void {
    for (const guard of this.#of(key)) if (guard.line !== line) guard.sever(); // guard: I2
  }

  severAll(): void {
    for (const guard of this.#all()) guard.sever(); // guard: I2
  }

  /** What was asked of a connection that is lost may be answered by the next one, unheard. */
  severFrom(source: Source): void {
    for (const guard of this.#all()) if (guard.source === source) guard.sever(); // guard: I2, T2
  }

  /** A copy; one of several keys more than once. */
  #all(): readonly Guard[] {
    return this.#byKey.values().flatMap((each) => (each instanceof Set ? [...each] : [each]));
  }

  /** A copy: a guard opened by a callback of one of them began after what is being told. */
  #of(key: string): readonly Guard[] {
    const guards = this.#byKey.get(key);
    if (guards === undefined) return NONE;
    return guards instanceof Set ? [...guards] : [guards];
  }

  fence(key: string): void {
    this.#fenced.set(key, (this.#fenced.get(key) ?? 0) + 1);
    this.sever(key); // guard: I6
  }

  unfence(key: string): void {
    const left = (this.#fenced.get(key) ?? 0) - 1;
    if (left > 0) this.#fenced.set(key, left);
    else this.#fenced.delete(key);
    this.sever(key); // guard: I6
  }
}

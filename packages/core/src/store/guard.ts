import { callSafely } from '../channels.ts';

/** Told at the first push of a key, and at the first thing that no reply can survive. */
export type OnBroken = (by: 'push' | 'severed') => void;

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
  readonly #onBroken: OnBroken | undefined;
  #pushes = 0;
  #severed: boolean;
  #disturbed = false;

  constructor(opening: {
    readonly keys: readonly string[];
    readonly openedAtMs: number;
    /** Nothing may be stored from the start; `onBroken` is still told of what happens later. */
    readonly severed: boolean;
    readonly onBroken: OnBroken | undefined;
  }) {
    this.keys = opening.keys;
    this.openedAtMs = opening.openedAtMs;
    this.#severed = opening.severed;
    this.#onBroken = opening.onBroken;
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

  push(): void {
    this.#pushes += 1;
    if (this.#pushes === 1) this.#tell('push');
  }

  sever(): void {
    this.#severed = true;
    if (this.#disturbed) return;
    this.#disturbed = true;
    this.#tell('severed');
  }

  /** One that throws must not keep the guards after it from breaking. */
  #tell(by: 'push' | 'severed'): void {
    const onBroken = this.#onBroken;
    if (onBroken !== undefined) callSafely('onBroken', () => onBroken(by));
  }
}

/** The guards that are open, by key. Bounded by the commands in flight: nothing is remembered of others. */
export class Guards {
  readonly #open = new Set<Guard>();
  readonly #byKey = new Map<string, Set<Guard>>();
  readonly #fenced = new Map<string, number>();

  get size(): number {
    return this.#open.size;
  }

  get fencedKeys(): number {
    return this.#fenced.size;
  }

  open(guard: Guard): void {
    this.#open.add(guard);
    for (const key of guard.keys) {
      const others = this.#byKey.get(key);
      if (others === undefined) this.#byKey.set(key, new Set([guard]));
      else others.add(guard);
    }
  }

  /** I6: while a write of ours is under way nobody knows which of the two values a reply shows. */
  isFenced(keys: readonly string[]): boolean {
    return this.#fenced.size > 0 && keys.some((key) => this.#fenced.has(key));
  }

  /** True the first time only: a guard admits one fill. */
  close(guard: Guard): boolean {
    if (!this.#open.delete(guard)) return false;
    for (const key of guard.keys) {
      const others = this.#byKey.get(key);
      if (others?.delete(guard) && others.size === 0) this.#byKey.delete(key);
    }
    return true;
  }

  push(key: string): void {
    for (const guard of this.#of(key)) guard.push();
  }

  sever(key: string): void {
    for (const guard of this.#of(key)) guard.sever();
  }

  severAll(): void {
    for (const guard of [...this.#open]) guard.sever();
  }

  /** A copy: a guard opened by a callback of one of them began after what is being told. */
  #of(key: string): readonly Guard[] {
    const guards = this.#byKey.get(key);
    return guards === undefined ? [] : [...guards];
  }

  fence(key: string): void {
    this.#fenced.set(key, (this.#fenced.get(key) ?? 0) + 1);
    this.sever(key);
  }

  unfence(key: string): void {
    const left = (this.#fenced.get(key) ?? 0) - 1;
    if (left > 0) this.#fenced.set(key, left);
    else this.#fenced.delete(key);
    this.sever(key);
  }
}

import type { SentCommand } from '@redcache/core/testing';

/** How the server behaves on one connection, decided when it comes up. */
export interface LineTraits {
  /** `CLIENT TRACKING` is refused. */
  readonly refuses: boolean;
  /** Something on the way drops pushes. */
  readonly swallows: boolean;
  /** Writes are refused. */
  readonly readOnly: boolean;
}

/** What the server sends, in its order. */
export type Frame =
  | { readonly is: 'reply'; readonly command: Sent; readonly value: unknown }
  | { readonly is: 'push'; readonly keys: readonly string[]; readonly event: number }
  | { readonly is: 'flush'; readonly event: number };

export interface Sent extends Omit<SentCommand, 'args'> {
  readonly args: readonly string[];
  readonly sentAtMs: number;
}

export interface Tracking {
  readonly mode: 'default' | 'optin' | 'broadcast';
  readonly noLoop: boolean;
  readonly prefixes: readonly string[];
}

/** One connection from the time it comes up until it is lost, as the server sees it. */
export class Line {
  readonly traits: LineTraits;
  /** Sent and not run yet. */
  readonly commands: Sent[] = [];
  /** On the way to the client. */
  readonly frames: Frame[] = [];
  tracking: Tracking | undefined;
  /** Keys whose next change is pushed; not in broadcast mode. */
  readonly tracked = new Set<string>();
  /** `CLIENT CACHING YES` came right before. */
  caching = false;
  /** The latest probe was written, so that its push must have come before anything is served. */
  proves = false;
  /** Nothing of it may be served any more: the client knows that it is gone. */
  lost = false;
  /** The server forgot what it tracked, and nobody told the client. */
  forgotten = false;
  /** When the latest of the user's commands that was answered had been sent. */
  usedAtMs = Number.NEGATIVE_INFINITY;
  /** In broadcast mode pushes leave at the end of the server's turn. */
  readonly #owed = new Map<string, number>();

  constructor(traits: LineTraits) {
    this.traits = traits;
  }

  reply(command: Sent, value: unknown): void {
    this.frames.push({ is: 'reply', command, value });
  }

  /** Answers whether a later change of the key will be pushed. */
  track(key: string): boolean {
    const { tracking } = this;
    if (tracking === undefined) return false;
    if (tracking.mode === 'broadcast')
      return tracking.prefixes.some((each) => key.startsWith(each));
    if (tracking.mode === 'default' || this.caching) this.tracked.add(key);
    return this.tracked.has(key);
  }

  forget(): void {
    this.tracking = undefined;
    this.tracked.clear();
    this.#owed.clear();
  }

  /** A key changed; `own`: by a command of this connection. */
  tell(keys: readonly string[], event: number, own: boolean): void {
    const { tracking } = this;
    if (tracking === undefined) return;
    const silent = own && tracking.noLoop;
    if (tracking.mode === 'broadcast') {
      for (const key of keys)
        if (tracking.prefixes.some((each) => key.startsWith(each))) this.#owed.set(key, event);
      return;
    }
    // Fact R3: a write that is not pushed back forgets the key all the same.
    const told = keys.filter((key) => this.tracked.delete(key));
    if (told.length > 0 && !silent) this.#push({ is: 'push', keys: told, event });
  }

  tellFlush(event: number): void {
    this.tracked.clear();
    if (this.tracking !== undefined) this.#push({ is: 'flush', event });
  }

  endTurn(): void {
    for (const [key, event] of this.#owed) this.#push({ is: 'push', keys: [key], event });
    this.#owed.clear();
  }

  #push(frame: Frame): void {
    if (!this.traits.swallows) this.frames.push(frame);
  }
}

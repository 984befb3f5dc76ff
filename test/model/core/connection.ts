import type { Connection as Status, TrackingPort } from '@redcache/core';
import type { ManualClock } from '@redcache/core/testing';
import { type Frame, Line, type LineTraits, type Sent } from './line.ts';
import type { Node } from './node.ts';

type PushListener = Parameters<TrackingPort['onPush']>[0];
type StatusListener = (status: Status) => void;

/** What the model must know of a connection before the engine is told. */
export interface Witness {
  pushed(keys: readonly string[] | 'all', event: number): void;
  lost(line: Line): void;
}

/** No answer will come. */
export class LostError extends Error {}

/**
 * A client's connection to one server, as node-redis behaves: what was sent is rejected when it is
 * lost, what was not sent yet waits for the next one.
 */
export class Connection implements TrackingPort {
  readonly node: Node;
  readonly cluster: boolean;
  /** A command that waits on the server is under way. */
  blocked = false;
  /** Nothing arrives any more, and TCP says nothing of it. */
  silent = false;
  line: Line | undefined;
  /** How often the engine had it replaced, and how often of these it had no reason to. */
  replaced = 0;
  replacedInVain = 0;
  /** For how long a heartbeat has had reason and occasion to find it silent. */
  overdueMs = 0;
  dueSince: object | undefined;
  readonly #clock: ManualClock;
  readonly #witness: Witness;
  readonly #unsent: Sent[] = [];
  readonly #unanswered = new Set<Sent>();
  readonly #onPush = new Set<PushListener>();
  readonly #onConnection = new Set<StatusListener>();

  constructor(node: Node, cluster: boolean, clock: ManualClock, witness: Witness) {
    this.node = node;
    this.cluster = cluster;
    this.#clock = clock;
    this.#witness = witness;
  }

  send(args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T): void => {
          this.#unanswered.delete(sent);
          how(value);
        };
      const sent: Sent = {
        args,
        sentAtMs: this.#clock.nowMs(),
        reply: settle(resolve),
        fail: settle(reject),
      };
      this.#unanswered.add(sent);
      (this.line === undefined ? this.#unsent : this.line.commands).push(sent);
    });
  }

  onPush(listener: PushListener): () => void {
    this.#onPush.add(listener);
    return () => this.#onPush.delete(listener);
  }

  onConnection(listener: StatusListener): () => void {
    this.#onConnection.add(listener);
    listener(this.line === undefined ? 'down' : 'up');
    return () => this.#onConnection.delete(listener);
  }

  replace(): void {
    this.replaced += 1;
    if (this.blocked || this.line === undefined) this.replacedInVain += 1;
    this.disconnect();
  }

  get listeners(): number {
    return this.#onPush.size + this.#onConnection.size;
  }

  /** Sent and neither answered nor rejected. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  /** A client need not have noticed that it lost the connection before. */
  connect(traits: LineTraits): void {
    this.#drop();
    const line = new Line(traits);
    this.line = line;
    this.node.lines.add(line);
    line.commands.push(...this.#unsent.splice(0));
    for (const listener of [...this.#onConnection]) listener('up');
  }

  disconnect(): void {
    if (this.line === undefined) return;
    this.#drop();
    for (const listener of [...this.#onConnection]) listener('down');
  }

  /** Nobody will bring it up again. */
  end(): void {
    this.disconnect();
    for (const sent of this.#unsent.splice(0)) sent.fail(new LostError('the client was closed'));
  }

  execute(commands: number): void {
    if (this.line !== undefined && !this.blocked) this.node.run(this.line, commands);
  }

  /** So many frames arrive in one chunk: no continuation runs between them (fact N3). */
  deliver(frames: number): void {
    if (this.line === undefined || this.silent || this.blocked) return;
    for (const frame of this.line.frames.splice(0, frames)) this.#deliver(frame);
  }

  #deliver(frame: Frame): void {
    // What runs at a push may have ended the connection; the rest of the chunk comes all the same.
    switch (frame.is) {
      case 'reply':
        this.#answered(frame.command);
        if (frame.value instanceof Error) frame.command.fail(frame.value);
        else frame.command.reply(frame.value);
        return;
      case 'push':
        this.#witness.pushed(frame.keys, frame.event);
        for (const listener of [...this.#onPush]) listener({ kind: 'keys', keys: frame.keys });
        return;
      case 'flush':
        this.#witness.pushed('all', frame.event);
        for (const listener of [...this.#onPush]) listener({ kind: 'flush' });
        return;
    }
  }

  #answered({ args: [name], sentAtMs }: Sent): void {
    const { line } = this;
    if (line !== undefined && name !== 'CLIENT') line.usedAtMs = Math.max(line.usedAtMs, sentAtMs);
  }

  #drop(): void {
    const { line } = this;
    this.silent = false;
    this.blocked = false;
    this.overdueMs = 0;
    if (line === undefined) return;
    this.line = undefined;
    line.lost = true;
    this.node.lines.delete(line);
    this.#witness.lost(line);
    const unsent = new Set(this.#unsent);
    for (const sent of [...this.#unanswered])
      if (!unsent.has(sent)) sent.fail(new LostError('the connection was lost'));
  }
}

import type { Argument, Connection, Invalidation, SendOptions, TrackingPort } from '@redcache/core';
import { CommandError, type Reply, Status } from './commands.ts';

type Arrival = { readonly reply: Reply | CommandError } | { readonly push: Invalidation };

interface Sent {
  readonly words: readonly string[];
  readonly options: SendOptions | undefined;
  resolve(reply: unknown): void;
  reject(error: unknown): void;
}

/** Where a connection leads. */
interface Server {
  add(connection: InProcessConnection): void;
  execute(words: readonly string[], by: InProcessConnection): unknown;
  /** The connection is gone, and what it has read with it. */
  forget(connection: InProcessConnection): void;
}

/**
 * A connection to a Redis of this process, whose two directions are moved by hand: {@link execute} lets
 * the server do what was sent, {@link deliver} lets what it said arrive, several messages as in one
 * chunk. It begins `down`.
 */
export class InProcessConnection implements TrackingPort {
  readonly #redis: Server;
  /** On their way to the server; done, and their replies on the way back. */
  #sent: Sent[] = [];
  #done: Sent[] = [];
  #arrivals: Arrival[] = [];
  #state: Connection = 'down';
  #isTracking = false;
  readonly #onPush = new Set<(invalidation: Invalidation) => void>();
  readonly #onConnection = new Set<(connection: Connection) => void>();
  readonly #onTraffic: () => void;

  /** `onTraffic`: there is something to execute or to deliver. */
  constructor(redis: Server, onTraffic: () => void = () => {}) {
    this.#redis = redis;
    this.#onTraffic = onTraffic;
    redis.add(this);
  }

  get state(): Connection {
    return this.#state;
  }

  get isTracking(): boolean {
    return this.#isTracking;
  }

  get toExecute(): number {
    return this.#state === 'up' ? this.#sent.length : 0;
  }

  get toDeliver(): number {
    return this.#arrivals.length;
  }

  /** `CLIENT`, as far as a cache asks. */
  client(sub: string | undefined, state: string | undefined): Reply {
    if (sub === 'TRACKING') {
      this.#isTracking = state === 'ON';
      return new Status('OK');
    }
    // Told as its client shows it.
    if (sub === 'TRACKINGINFO') return [];
    throw new CommandError(`ERR unknown subcommand '${sub}'`);
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    if (this.#state === 'closed') return Promise.reject(new Error('The client is closed'));
    const words = args.map(bytesOf);
    return new Promise((resolve, reject) => {
      this.#sent.push({ words, options, resolve, reject });
      this.#onTraffic();
    });
  }

  onPush(listener: (invalidation: Invalidation) => void): () => void {
    this.#onPush.add(listener);
    return () => this.#onPush.delete(listener);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    this.#onConnection.add(listener);
    listener(this.#state);
    return () => this.#onConnection.delete(listener);
  }

  /** The server does the next commands. */
  execute(count: number = this.toExecute): void {
    for (const sent of this.#sent.splice(0, Math.min(count, this.toExecute))) {
      this.#done.push(sent);
      this.#redis.execute(sent.words, this);
    }
  }

  arrive(arrival: Arrival): void {
    this.#arrivals.push(arrival);
    this.#onTraffic();
  }

  /** The next messages are parsed in one turn: pushes run before what awaits the replies. */
  deliver(count: number = this.#arrivals.length): void {
    for (const arrival of this.#arrivals.splice(0, count))
      if ('push' in arrival) for (const listener of [...this.#onPush]) listener(arrival.push);
      else this.#settle(arrival.reply);
  }

  /**
   * `down`: what was sent and not answered is rejected, whether or not the server has done it, but
   * for the last `unsent` commands: they had not left yet, and go first on the next connection.
   * `up`: a new connection that tracks nothing.
   */
  become(state: Connection, unsent = 0): void {
    if (state === this.#state) return;
    this.#state = state;
    if (state !== 'up') {
      this.#redis.forget(this);
      this.#isTracking = false;
      const kept = state === 'down' && unsent > 0 ? this.#sent.slice(-unsent) : [];
      const lost = [...this.#done, ...this.#sent.slice(0, this.#sent.length - kept.length)];
      this.#done = [];
      this.#sent = kept;
      this.#arrivals = [];
      for (const { reject } of lost) reject(new Error('Socket closed unexpectedly'));
    }
    for (const listener of [...this.#onConnection]) listener(state);
    if (this.toExecute > 0) this.#onTraffic();
  }

  #settle(reply: Reply | CommandError): void {
    const sent = this.#done.shift();
    if (reply instanceof CommandError) sent?.reject(reply);
    else if (sent?.words[1] === 'TRACKINGINFO') sent.resolve(trackingInfo(this.#isTracking));
    else sent?.resolve(shownAs(reply, sent.options?.replies ?? 'text'));
  }
}

const trackingInfo = (isOn: boolean): object => ({
  flags: [isOn ? 'on' : 'off'],
  redirect: isOn ? 0 : -1,
  prefixes: [],
});

/** One character for each byte, as a server sees it. */
export function bytesOf(word: Argument): string {
  if (typeof word !== 'string') return word.toString('latin1');
  return isAscii(word) ? word : Buffer.from(word).toString('latin1');
}

/** As text, what those bytes are in UTF-8. */
export function textOf(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString();
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function shownAs(reply: Reply, how: 'text' | 'buffers'): unknown {
  if (typeof reply === 'string')
    return how === 'text' ? textOf(reply) : Buffer.from(reply, 'latin1');
  if (reply instanceof Status) return reply.text;
  return Array.isArray(reply) ? reply.map((each) => shownAs(each, how)) : reply;
}

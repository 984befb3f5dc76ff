import type { Argument, SendOptions, TrackingPort } from '@redcache/core';
import { Redis } from 'ioredis';
import { ListenedPort } from './listened-port.ts';

/** Made anew for each connection, so that nothing is repeated and no listener outlives it. */
const OPTIONS = { protocol: 2, lazyConnect: true, retryStrategy: null } as const;
const RETRY_MS = 10;

/** Two connections that stand and fall together: one for commands, one for what they are told. */
interface Pair {
  readonly commands: Redis;
  readonly pushes: Redis;
}

/**
 * A client that knows protocol 2 alone as a port: pushes are redirected to a second connection as
 * messages of `__redis__:invalidate`.
 *
 * Between two connections there is no order. It is made by asking: a reply is handed out only once a
 * `PING` on the second connection, sent after the reply had come, was answered, since whatever was
 * pushed before the reply stands before that answer. This costs each reply one more round trip, which
 * replies that come together share. A second connection that is silent silences the first as well, so
 * that one heartbeat covers both.
 */
export class RedirectedPort extends ListenedPort implements TrackingPort {
  readonly #url: string;
  #pair: Pair | undefined;
  #pushesId = '';
  #nextPing: Promise<unknown> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(url: string) {
    super();
    this.#url = url;
    this.#open();
  }

  async send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    const pair = this.#pair;
    if (this.connection !== 'up' || pair === undefined)
      throw new Error(`the connection is ${this.connection}`);
    const [name = '', ...rest] = this.#redirected(args);
    try {
      if (options?.replies === 'buffers')
        return await pair.commands.callBuffer(String(name), ...rest);
      return await pair.commands.call(String(name), ...rest);
    } finally {
      // For an error as well: it may be the answer that a push was sent before.
      await this.#caughtUp(pair);
    }
  }

  replace(): void {
    if (this.#pair !== undefined) this.#lose(this.#pair);
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#end('closed');
  }

  #open(): void {
    const pair = { commands: new Redis(this.#url, OPTIONS), pushes: new Redis(this.#url, OPTIONS) };
    this.#pair = pair;
    for (const redis of [pair.commands, pair.pushes]) {
      redis.on('error', () => {}); // 'close' follows
      redis.on('close', () => this.#lose(pair));
    }
    // Its types know one text; for this channel the server sends the keys, or null for a flush.
    pair.pushes.on('messageBuffer', (_channel: Buffer, keys: unknown) =>
      this.pushed(
        Array.isArray(keys) ? { kind: 'keys', keys: keys.map(String) } : { kind: 'flush' },
      ),
    );
    this.#ready(pair).catch(() => this.#lose(pair));
  }

  async #ready(pair: Pair): Promise<void> {
    await Promise.all([pair.commands.connect(), pair.pushes.connect()]);
    this.#pushesId = String(await pair.pushes.call('CLIENT', 'ID'));
    await pair.pushes.subscribe('__redis__:invalidate');
    if (pair === this.#pair) this.tell('up');
  }

  #redirected(args: readonly Argument[]): readonly Argument[] {
    const on = args.slice(0, 3).join(' ').toUpperCase() === 'CLIENT TRACKING ON';
    return on ? [...args.slice(0, 3), 'REDIRECT', this.#pushesId, ...args.slice(3)] : args;
  }

  /** Asked once for all replies that are handed out in this turn of the event loop. */
  #caughtUp({ pushes }: Pair): Promise<unknown> {
    this.#nextPing ??= new Promise((resolve, reject) => {
      process.nextTick(() => {
        this.#nextPing = undefined;
        pushes.ping().then(resolve, reject);
      });
    });
    return this.#nextPing;
  }

  #lose(pair: Pair): void {
    if (pair !== this.#pair) return;
    this.#end('down');
    if (this.connection === 'down') this.#retry = setTimeout(() => this.#open(), RETRY_MS);
  }

  #end(as: 'down' | 'closed'): void {
    const pair = this.#pair;
    this.#pair = undefined;
    this.tell(as);
    for (const redis of [pair?.commands, pair?.pushes]) {
      redis?.disconnect();
      redis?.stream?.destroy();
    }
  }
}

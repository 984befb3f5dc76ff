import { type Argument, decodePush, type SendOptions, type TrackingPort } from '@redcache/core';
import type { Redis } from 'ioredis';
import { ListenedPort } from './listened-port.ts';
import { FrameReader } from './resp3.ts';

/** What a client needs so that what a lost connection leaves unanswered rejects, and is not repeated. */
export const REQUIRED_OPTIONS = {
  protocol: 3,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  // It would hold back commands of one tick and send them in an order of its own.
  enableAutoPipelining: false,
  stringNumbers: false,
} as const;

/**
 * One ioredis 6 client as a port. ioredis speaks RESP3 but drops pushes that are no pub/sub, so this
 * reads the bytes of its connection once more, beside it, and takes the pushes from there. Both
 * readers run in the same turn of the event loop, before any continuation of a reply.
 *
 * Throws for a client that is connected already, since its bytes would be joined in the middle of a
 * frame, and for one without {@link REQUIRED_OPTIONS}.
 */
export class IoredisPort extends ListenedPort implements TrackingPort {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    super();
    if (redis.status !== 'wait' && redis.status !== 'connecting')
      throw new Error(`the client must not be connected yet; it is '${redis.status}'`);
    for (const [name, value] of Object.entries(REQUIRED_OPTIONS))
      if ((redis.options[name as keyof typeof REQUIRED_OPTIONS] ?? false) !== value)
        throw new Error(`the client must be made with ${name}: ${value}`);
    this.#redis = redis;
    redis.on('connect', () => this.#watch());
    redis.on('ready', () => {
      if (redis.status === 'ready') this.tell('up');
    });
    redis.on('end', () => this.tell('closed'));
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    // What is not sent now would wait in ioredis for the next connection.
    if (this.connection !== 'up')
      return Promise.reject(new Error(`the connection is ${this.connection}`));
    const [name = '', ...rest] = args;
    if (options?.replies === 'buffers') return this.#redis.callBuffer(String(name), ...rest);
    return this.#redis.call(String(name), ...rest);
  }

  /** `disconnect(true)` would wait for the other side to agree, which a silent network never does. */
  replace(): void {
    if (this.connection !== 'up') return;
    this.#redis.stream.destroy();
    this.tell('down');
  }

  /** ioredis emits 'connect' before the first byte of the new connection is read. */
  #watch(): void {
    const { stream } = this.#redis;
    const reader = new FrameReader();
    stream.prependListener('data', (chunk: Buffer) => {
      try {
        for (const frame of reader.push(chunk))
          if (frame.is === 'push') this.pushed(decodePush(frame.items));
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    // Before ioredis hears of it and rejects what was outstanding.
    stream.prependListener('close', () => {
      if (stream === this.#redis.stream) this.tell('down');
    });
  }
}

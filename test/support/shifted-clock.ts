import { TcpProxy } from './proxy.ts';
import { encode, type Frame, RespReader } from './resp.ts';

/** How scripts ask for the time. */
const ASKS_FOR_TIME = /redis\.call\('TIME'\)/gi;
/** No script has this digest, so its client has to send the text. */
const NO_DIGEST = '0'.repeat(40);

/**
 * A way to a server on which the server's clock is off, as scripts that ask for it see it. How long
 * keys live is not concerned: while a clock runs evenly, however wrong it is, they live as long as ever.
 */
export class ShiftedClock implements AsyncDisposable {
  /** What is added to the server's time; it can change at any moment. */
  offsetMs: number;
  readonly #proxy: TcpProxy;
  #shifted = 0;

  private constructor(proxy: TcpProxy, offsetMs: number) {
    this.#proxy = proxy;
    this.offsetMs = offsetMs;
    proxy.filter((direction) => {
      if (direction === 'toClient') return undefined;
      const reader = new RespReader();
      return (bytes) => Buffer.concat(reader.push(bytes).map((frame) => this.#pass(frame)));
    });
  }

  static async start(server: { port: number }, offsetMs = 0): Promise<ShiftedClock> {
    return new ShiftedClock(await TcpProxy.start(server), offsetMs);
  }

  get url(): string {
    return this.#proxy.url;
  }

  /** Scripts that were told a wrong time so far. */
  get shifted(): number {
    return this.#shifted;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#proxy.close();
  }

  #pass(frame: Frame): Buffer {
    if (frame.is !== 'reply' || !Array.isArray(frame.value)) throw new Error('no command');
    const [name = '', first = '', ...rest] = frame.value.map(String);
    const second = frame.value.length > 1 ? [first] : [];
    switch (name.toUpperCase()) {
      case 'EVALSHA':
        return encode.command(name, NO_DIGEST, ...rest);
      case 'EVAL':
        return encode.command(name, this.#shift(first), ...rest);
      default:
        return encode.command(name, ...second, ...rest);
    }
  }

  #shift(script: string): string {
    const microseconds = Math.round(this.offsetMs * 1000);
    return script.replace(ASKS_FOR_TIME, () => {
      this.#shifted += 1;
      return `(function()
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2] + (${microseconds})
        return {math.floor(now / 1000000), now % 1000000}
      end)()`;
    });
  }
}

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

/** What becomes of the bytes of one direction of one connection; it may keep some for later. */
export type Filter = (bytes: Buffer) => Buffer;

/** For a direction of a connection, which are counted from 1; without a filter all passes. */
export type MakeFilter = (direction: Direction, connection: number) => Filter | undefined;

/** Bytes that have come to the proxy, and bytes it has passed on; the difference is held or under way. */
export interface ByteCount {
  readonly received: number;
  readonly forwarded: number;
}

/** Held or delayed bytes per direction and connection; beyond it the sender feels it, as in a network. */
const MAX_HELD_BYTES = 1 << 20;

/** How a direction is treated now; connections to come are treated alike. */
interface Weather {
  stalled: boolean;
  delayMs: number;
  received: number;
  forwarded: number;
}

const calm = (): Weather => ({ stalled: false, delayMs: 0, received: 0, forwarded: 0 });

/**
 * A TCP proxy between client and server, on loopback, that can cut, stall and delay.
 *
 * `url` is where clients connect. Bytes are never changed, reordered or lost except by {@link cut}
 * and by what is given to {@link filter}.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  #target: { readonly host: string; readonly port: number };
  readonly #links = new Set<Link>();
  readonly #weather: Record<Direction, Weather> = { toServer: calm(), toClient: calm() };
  #refusing = false;
  #accepted = 0;
  #makeFilter: MakeFilter = () => undefined;

  private constructor(server: Server, target: { host: string; port: number }) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (client) => this.#accept(client));
  }

  static async start(target: { port: number; host?: string }): Promise<TcpProxy> {
    // A direction that has ended does not end the other one.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, { host: target.host ?? '127.0.0.1', port: target.port });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#links.size;
  }

  /** Connections that were let in since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Over all connections since the start. */
  bytes(direction: Direction): ByteCount {
    const { received, forwarded } = this.#weather[direction];
    return { received, forwarded };
  }

  /**
   * Resets every connection on both sides; what was held is lost. With `refuse`, new connections are
   * reset as soon as they come, until {@link heal}.
   */
  cut({ refuse = false }: { refuse?: boolean } = {}): void {
    this.#refusing = refuse;
    for (const link of [...this.#links]) link.reset();
  }

  /** Connections to come are led there; those that are open stay where they are. */
  redirect(target: { port: number; host?: string }): void {
    this.#target = { host: target.host ?? '127.0.0.1', port: target.port };
  }

  /** Lets new connections in again. */
  heal(): void {
    this.#refusing = false;
  }

  /**
   * Half-open: sockets stay open, also to new connections, but nothing passes in that direction, the
   * end of a connection included.
   */
  stall(direction: Direction | 'both' = 'both'): void {
    for (const each of these(direction)) this.#weather[each].stalled = true;
  }

  /** Passes on what was held, in order, and what comes from now on. */
  resume(direction: Direction | 'both' = 'both'): void {
    for (const each of these(direction)) {
      this.#weather[each].stalled = false;
      for (const link of this.#links) link[each].pump();
    }
  }

  /** From now on every byte of that direction passes `ms` after it came. 0 ends it. */
  delay(ms: number, direction: Direction | 'both' = 'both'): void {
    for (const each of these(direction)) this.#weather[each].delayMs = ms;
  }

  /** Connections to come have their bytes pass through what `make` answers. */
  filter(make: MakeFilter): void {
    this.#makeFilter = make;
  }

  async close(): Promise<void> {
    this.cut({ refuse: true });
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    this.#accepted += 1;
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const filters = {
      toServer: this.#makeFilter('toServer', this.#accepted),
      toClient: this.#makeFilter('toClient', this.#accepted),
    };
    const link = new Link(client, server, this.#weather, filters, () => this.#links.delete(link));
    this.#links.add(link);
  }
}

const these = (direction: Direction | 'both'): readonly Direction[] =>
  direction === 'both' ? ['toServer', 'toClient'] : [direction];

/** A client's connection and the one to the server that belongs to it. */
class Link {
  readonly toServer: Lane;
  readonly toClient: Lane;
  readonly #sockets: readonly [Socket, Socket];

  constructor(
    client: Socket,
    server: Socket,
    weather: Record<Direction, Weather>,
    filters: Record<Direction, Filter | undefined>,
    onGone: () => void,
  ) {
    this.#sockets = [client, server];
    this.toServer = new Lane(client, server, weather.toServer, filters.toServer);
    this.toClient = new Lane(server, client, weather.toClient, filters.toClient);
    let openSockets = 2;
    for (const [socket, lane] of [
      [client, this.toServer],
      [server, this.toClient],
    ] as const) {
      // A reset of one side is a reset of the other, but no sooner than the bytes before it.
      socket.on('error', () => lane.push('reset'));
      socket.on('end', () => lane.push('end'));
      socket.on('close', () => {
        openSockets -= 1;
        if (openSockets === 0) onGone();
      });
    }
  }

  reset(): void {
    this.toServer.drop();
    this.toClient.drop();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

type Parcel = { readonly content: Buffer | 'end' | 'reset'; readonly dueAtMs: number };

/** One direction of one connection: a queue of what has come and not yet passed. */
class Lane {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #weather: Weather;
  #parcels: Parcel[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, sink: Socket, weather: Weather, filter: Filter = (bytes) => bytes) {
    this.#source = source;
    this.#sink = sink;
    this.#weather = weather;
    source.on('data', (chunk) => this.push(filter(chunk)));
    sink.on('drain', () => this.pump());
  }

  push(content: Parcel['content']): void {
    if (Buffer.isBuffer(content)) {
      this.#weather.received += content.length;
      this.#heldBytes += content.length;
      if (this.#heldBytes > MAX_HELD_BYTES) this.#source.pause();
    }
    this.#parcels.push({ content, dueAtMs: performance.now() + this.#weather.delayMs });
    this.pump();
  }

  pump(): void {
    clearTimeout(this.#timer);
    while (!this.#weather.stalled && !this.#sink.writableNeedDrain) {
      const first = this.#parcels[0];
      if (first === undefined) return;
      const waitMs = first.dueAtMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        return;
      }
      this.#parcels.shift();
      this.#pass(first.content);
    }
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#parcels = [];
    this.#heldBytes = 0;
  }

  #pass(content: Parcel['content']): void {
    if (content === 'reset') this.#sink.resetAndDestroy();
    else if (content === 'end') this.#sink.end();
    else {
      this.#heldBytes -= content.length;
      this.#weather.forwarded += content.length;
      this.#sink.write(content);
      if (this.#heldBytes <= MAX_HELD_BYTES && this.#source.isPaused()) this.#source.resume();
    }
  }
}

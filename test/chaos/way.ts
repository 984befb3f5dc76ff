import type { SentinelDeployment } from '../support/deployments.ts';
import { proxyEveryNode } from '../support/proxied.ts';
import { TcpProxy } from '../support/proxy.ts';

/** Where a proxy leads to. */
interface Server {
  readonly host: string;
  readonly port: number;
}

/** One process's own way to Redis, on which nobody else depends. */
export class Way {
  readonly #proxies: readonly TcpProxy[];
  readonly #close: () => Promise<void>;

  constructor(proxies: readonly TcpProxy[], close: () => Promise<void>) {
    this.#proxies = proxies;
    this.#close = close;
  }

  /** Nothing passes, in either direction, and nobody is told. */
  stall(): void {
    for (const proxy of this.#proxies) proxy.stall();
  }

  resume(): void {
    for (const proxy of this.#proxies) proxy.resume();
  }

  /** Every connection is reset, and every new one until {@link heal}. */
  cut(): void {
    for (const proxy of this.#proxies) proxy.cut({ refuse: true });
  }

  heal(): void {
    for (const proxy of this.#proxies) proxy.heal();
  }

  close(): Promise<void> {
    return this.#close();
  }
}

/** A way to one server, the one that is the master now; it can be made to lead to another. */
export class SingleWay extends Way {
  readonly url: string;
  readonly #proxy: TcpProxy;

  private constructor(proxy: TcpProxy) {
    super([proxy], () => proxy.close());
    this.#proxy = proxy;
    this.url = proxy.url;
  }

  static async open(server: Server): Promise<SingleWay> {
    return new SingleWay(await TcpProxy.start(server));
  }

  /** All connections end, and new ones lead to that server. */
  lead(server: Server): void {
    this.#proxy.redirect(server);
    this.#proxy.cut();
  }
}

/** Ways to every server of sentinels, for a client that finds the master by itself. */
export class SentinelWay extends Way {
  readonly roots: { host: string; port: number }[];
  readonly nodeAddressMap: Record<string, { host: string; port: number }>;

  private constructor(proxied: Awaited<ReturnType<typeof proxyEveryNode>>) {
    super(proxied.proxies, () => proxied.close());
    this.roots = proxied.addressesOf('sentinel');
    this.nodeAddressMap = { ...proxied.nodeAddressMap };
  }

  static async open(deployment: SentinelDeployment): Promise<SentinelWay> {
    return new SentinelWay(await proxyEveryNode(deployment));
  }
}

import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import type {
  RedisClientPoolType,
  RedisClientType,
  RedisClusterType,
  RedisSentinelType,
} from 'redis';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type ProxiedDeployment, proxyEveryNode } from '../../support/proxied.ts';
import { ownerOf, slotOf } from '../../support/slots.ts';
import { type Kind, type OpenKind, openKind } from './four-kinds.ts';

const NOTHING = Buffer.alloc(0);

/**
 * A network that loses the connections that are open, as a router does that forgets them: they stay
 * open and nothing passes any more, while new ones work.
 */
class HalfOpen {
  readonly #proxied: ProxiedDeployment;
  readonly #lostTo = new Map<unknown, number>();

  /** Before any connection is made. */
  constructor(proxied: ProxiedDeployment) {
    this.#proxied = proxied;
    for (const proxy of proxied.proxies)
      proxy.filter((_, connection) => (bytes) => {
        const isLost = connection <= (this.#lostTo.get(proxy) ?? 0);
        return isLost ? NOTHING : bytes;
      });
  }

  /** `more`: connections to come that get nothing through either, for each proxy. */
  lose({ more = 0 }: { more?: number } = {}): void {
    for (const proxy of this.#proxied.proxies) this.#lostTo.set(proxy, proxy.accepted + more);
  }
}

/** A client of that kind with our cache, behind a proxy for every node. */
export async function openBehindProxies(
  kind: Kind,
  deployment: Deployment,
  options: ClientSideCacheOptions,
) {
  const proxied = await proxyEveryNode(deployment);
  const halfOpen = new HalfOpen(proxied);
  const cache = clientSideCache(options);
  const opened: OpenKind = await openKind(kind, deployment, { cache, through: proxied });
  const { engine } = cache;
  const { client } = opened;
  /** Whether this read was answered from here. */
  const isHit = async (key: string): Promise<boolean> => {
    const { hits } = engine.stats();
    await client.get(key);
    return engine.stats().hits > hits;
  };
  return {
    ...opened,
    opened,
    engine,
    proxied,
    halfOpen,
    isHit,
    untilHit: async (key: string): Promise<void> => {
      await eventually(() => isHit(key), undefined, { what: 'a hit' });
    },
    /** Connections made so far, proxy by proxy. */
    accepted: (): number[] => proxied.proxies.map((proxy) => proxy.accepted),
    stall: () => {
      for (const proxy of proxied.proxies) proxy.stall();
    },
    resume: () => {
      for (const proxy of proxied.proxies) proxy.resume();
    },
    member: <T>(key: string, fn: (member: RedisClientType) => Promise<T>): Promise<T> =>
      withMember(opened, deployment, key, fn),
    [Symbol.asyncDispose]: async () => {
      await opened.close();
      await proxied.close();
    },
  };
}

/** Runs `fn` with the client inside, to which commands for `key` go. */
async function withMember<T>(
  { kind, raw }: OpenKind,
  deployment: Deployment,
  key: string,
  fn: (member: RedisClientType) => Promise<T>,
): Promise<T> {
  switch (kind) {
    case 'client':
      return fn(raw as RedisClientType);
    case 'pool':
      return (await (raw as RedisClientPoolType).execute((member) => fn(member as never))) as T;
    case 'cluster': {
      const cluster = raw as RedisClusterType;
      const { host, port } = await ownerOf(deployment, await slotOf(deployment, key));
      const node = cluster.masters.find(({ address }) => address === `${host}:${port}`);
      if (node === undefined) throw new Error(`the client knows no master at port ${port}`);
      return fn((await cluster.nodeClient(node)) as unknown as RedisClientType);
    }
    case 'sentinel': {
      const sentinel = raw as RedisSentinelType as unknown as {
        _execute(isReadonly: boolean, fn: (member: RedisClientType) => Promise<T>): Promise<T>;
      };
      return new Promise((resolve, reject) => {
        // Its own retries must not run `fn` again.
        sentinel
          ._execute(false, async (member) => {
            fn(member).then(resolve, reject);
            return undefined as T;
          })
          .catch(reject);
      });
    }
  }
}

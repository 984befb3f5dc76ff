import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { attach, createTrackingCache, type TrackingCache, type TrackingPort } from '@redcache/core';
import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import type { Deployment } from '../../support/deployments.ts';
import { type ProxiedDeployment, proxyEveryNode } from '../../support/proxied.ts';
import type { Filter } from '../../support/proxy.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { type Kind, openKind } from './four-kinds.ts';

/** What was published on a channel since then. */
export function listening(name: string): { readonly heard: unknown[] } & Disposable {
  const heard: unknown[] = [];
  const listen = (message: unknown): void => void heard.push(message);
  subscribe(name, listen);
  return { heard, [Symbol.dispose]: () => void unsubscribe(name, listen) };
}

/** Who may do what: for all users there are, on all nodes that have data. */
export async function permit(deployment: Deployment, ...rules: readonly string[]): Promise<void> {
  const nodes = deployment.nodes.filter(({ role }) => role !== 'sentinel');
  await Promise.all(nodes.map((node) => node.ask('ACL', 'SETUSER', 'default', ...rules)));
}

/** A network that takes something away, and what it leaves. */
export interface Lossy {
  readonly toServer?: () => Filter;
  readonly toClient?: () => Filter;
}

/** A client of that kind with our cache; with `lossy` behind proxies that do that to it. */
export async function openDegraded(
  kind: Kind,
  deployment: Deployment,
  { lossy, ...options }: ClientSideCacheOptions & { readonly lossy?: Lossy } = {},
) {
  let through: ProxiedDeployment | undefined;
  if (lossy !== undefined) {
    through = await proxyEveryNode(deployment);
    for (const proxy of through.proxies) proxy.filter((direction) => lossy[direction]?.());
  }
  const cache = clientSideCache(options);
  const opened = await openKind(kind, deployment, { cache, through });
  return {
    ...opened,
    engine: cache.engine,
    /** Reads keys of many connections, so that each has been used. */
    readAll: async (): Promise<void> => {
      await Promise.all(Array.from({ length: 24 }, (_, i) => opened.client.get(opened.keyFor(i))));
    },
    [Symbol.asyncDispose]: async () => {
      await opened.close();
      await through?.close();
    },
  };
}

/** An engine on a connection that speaks protocol 2, in which nothing can be pushed. */
export async function attachInProtocol2(port: number) {
  const connection = await RawConnection.open({ port, protocol: 2 });
  const cache: TrackingCache = createTrackingCache();
  const raw: TrackingPort = {
    send: (args) => connection.send(...args.map(String)),
    onPush: () => () => {},
    onConnection: (listener) => {
      listener('up');
      return () => {};
    },
  };
  const { session } = attach(cache, raw);
  return {
    cache,
    read: (key: string): Promise<unknown> =>
      cache.read(
        [key],
        key,
        async () => ({
          value: await connection.send('GET', key),
          cache: { kind: 'present', remaining: 'none', valueBytes: 1 },
        }),
        { session },
      ),
    [Symbol.asyncDispose]: async () => {
      cache.close();
      connection.close();
    },
  };
}

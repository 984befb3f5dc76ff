import { type AnyClient, clientSideCache } from '@redcache/core/node-redis';
import { createClient, createSentinel } from 'redis';

/** How a process reaches Redis. */
export type Contact =
  | { readonly is: 'client'; readonly url: string }
  | {
      readonly is: 'sentinel';
      readonly name: string;
      readonly sentinelRootNodes: { host: string; port: number }[];
      readonly nodeAddressMap: Record<string, { host: string; port: number }>;
    };

export interface Connected {
  readonly client: AnyClient;
  ping(): Promise<unknown>;
}

/** A client that is connected, with a cache of our own, and survives whatever befalls it. */
export async function connectBy(
  contact: Contact,
  options: Parameters<typeof clientSideCache>[0] = {},
): Promise<Connected> {
  // Quick to come back, so that it is what is tested that takes time.
  const socket = { reconnectStrategy: () => 50 };
  if (contact.is === 'client') {
    const { url } = contact;
    const client = createClient({ url, socket, clientSideCache: clientSideCache(options) });
    client.on('error', () => {});
    await client.connect();
    return { client, ping: () => client.ping() };
  }
  const { is: _, ...addresses } = contact;
  const client = createSentinel({
    ...addresses,
    nodeClientOptions: { socket },
    clientSideCache: clientSideCache(options),
  });
  client.on('error', () => {});
  await client.connect();
  return { client: client as never, ping: () => client.ping() };
}

import { Redis } from 'ioredis';

/** A connected client of ioredis, with its defaults but for what is said. */
export async function connectIoredis(
  url: string,
  { reconnects = false }: { readonly reconnects?: boolean } = {},
): Promise<Redis> {
  // A server that went away ends a benchmark, as for the other clients.
  const once = { retryStrategy: () => null };
  const client = new Redis(url, { lazyConnect: true, ...(reconnects ? {} : once) });
  client.on('error', () => {});
  await client.connect();
  return client;
}

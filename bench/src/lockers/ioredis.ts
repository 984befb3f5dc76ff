import { Redis } from 'ioredis';

/** A connected client of ioredis, with its defaults. */
export async function connectIoredis(url: string): Promise<Redis> {
  // A server that went away ends a benchmark, as for the other clients.
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => {});
  await client.connect();
  return client;
}

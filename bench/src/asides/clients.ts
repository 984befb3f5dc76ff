import { Redis } from 'ioredis';
import { createClient } from 'redis';

type Config = Pick<NonNullable<Parameters<typeof createClient>[0]>, 'clientSideCache'>;

/** A connected client of node-redis as it comes: unlike those of other benchmarks it connects again. */
export async function connectNodeRedis(url: string, config: Config = {}) {
  const client = createClient({ url, ...config, RESP: 3 });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** A connected client of ioredis as it comes. */
export async function connectIoredis(url: string): Promise<Redis> {
  const client = new Redis(url, { lazyConnect: true });
  client.on('error', () => {});
  await client.connect();
  return client;
}

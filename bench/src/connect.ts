import { createClient } from 'redis';

/** What a benchmark says of a client. */
type Config = Pick<
  NonNullable<Parameters<typeof createClient>[0]>,
  'clientSideCache' | 'commandOptions'
> & { readonly reconnects?: boolean };

/** A connected client of node-redis, with its defaults but for what is said. */
export type Client = Awaited<ReturnType<typeof connect>>;

export async function connect(url: string, { reconnects = false, ...config }: Config = {}) {
  // A server that went away ends a benchmark: figures from after a reconnect would mean nothing.
  const once = { socket: { reconnectStrategy: false } } as const;
  const client = createClient({ url, ...config, RESP: 3, ...(reconnects ? {} : once) });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** No timer for each command, which costs more than the command itself. */
export const UNTIMED = { timeout: 0 } as const;

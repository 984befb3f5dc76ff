import { createClient } from 'redis';

/** Removes the keys of a run, and whatever redcache keeps beside them, from a Redis of the user. */
export async function removeKeys(url: string, namespace: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  await client.connect();
  try {
    for await (const keys of client.scanIterator({ MATCH: `*${namespace}:*`, COUNT: 1000 }))
      if (keys.length > 0) await client.unlink(keys);
  } finally {
    client.destroy();
  }
}

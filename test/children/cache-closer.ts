// A process that closes everything while it is in use, and has nothing else to do.
import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const [url = '', how = ''] = process.argv.slice(2);
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', () => {});
await client.connect();
const cache = createCache({ client, lease: '1h', timeout: { hard: '1h' } });

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => `value ${String(value)}`,
    (error) => String(error.code),
  );
const forEver = (): Promise<never> => new Promise(() => {});

const calls: Promise<string>[] = [];
if (how === 'in-use') {
  const loading = new Promise<void>((resolve) => {
    const begin = (): Promise<never> => {
      resolve();
      return forEver();
    };
    calls.push(outcome(cache.get('loaded', begin)), outcome(cache.get('loaded', begin)));
  });
  await loading;
  // Somebody else loads this one.
  await client.sendCommand(['SET', 'waited', 'rc1 l theirs\n', 'PX', '3600000']);
  calls.push(
    outcome(cache.get('waited', forEver)),
    outcome(cache.getMany(['waited', 'x'], forEver)),
  );
  while (cache.stats().waits === 0) await client.ping();
  calls.push(outcome(cache.get('looked', forEver)));
} else {
  await cache.set('k', 1);
  calls.push(outcome(cache.get('k')));
  await calls[0];
}
await cache.close();
await client.close();
process.send?.(await Promise.all(calls));
process.disconnect();

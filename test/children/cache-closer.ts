// A process that closes everything while it is in use, and has nothing else to do.
import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const [url = '', how = ''] = process.argv.slice(2);
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', () => {});
await client.connect();
const cache = createCache({ client, lease: '1h', grace: '1h', timeout: { hard: '1h' } });

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
} else if (how === 'behind') {
  let running = 0;
  const refresh = (): Promise<never> => {
    running += 1;
    return forEver();
  };
  // More than are loaded anew at a time, so that some wait for their turn.
  const aged = Array.from({ length: 40 }, (_, i) => `aged ${i}`);
  await cache.setMany(aged.map((key) => [key, 'old']));
  for (const key of aged) {
    await cache.expire(key);
    calls.push(outcome(cache.get(key, refresh)));
  }
  await Promise.all(calls);
  // Nobody waits for this one any more, and it is to be finished all the same.
  const left = new AbortController();
  const abandoned = cache.get('left', refresh, { signal: left.signal, onAbandoned: 'finish' });
  calls.push(outcome(abandoned));
  calls.push(outcome(cache.get('aged', refresh, { refresh: true })));
  calls.push(outcome(cache.write('written', refresh)));
  calls.push(outcome(cache.write('written', refresh)));
  calls.push(outcome(cache.warm(['warmed 1', 'warmed 2'], refresh)));
  while (running < 32 + 4) await client.ping();
  left.abort({ code: 'left' });
  // Answered, and asked for in the very turn in which all ends.
  calls.push(outcome(cache.get('aged 1', refresh)));
  calls.push(outcome(cache.get('cold', refresh)));
} else {
  await cache.set('k', 1);
  calls.push(outcome(cache.get('k')));
  await calls[0];
}
await cache.close();
await client.close();
process.send?.(await Promise.all(calls));
process.disconnect();

import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { RawConnection } from '../../support/raw-connection.ts';
import { IoredisPort, REQUIRED_OPTIONS } from './ioredis-port.ts';

const { standalone } = inject('redis');
const open = (options = {}): Redis => {
  const redis = new Redis(standalone, { ...REQUIRED_OPTIONS, ...options });
  redis.on('error', () => {});
  return redis;
};

test('ioredis itself tells nobody of an invalidation', async () => {
  const redis = open();
  await redis.ping();
  const told: unknown[][] = [];
  const { emit } = redis;
  redis.emit = (...event) => {
    told.push(event);
    return emit.apply(redis, event);
  };
  const bytes: Buffer[] = [];
  redis.stream.on('data', (chunk: Buffer) => bytes.push(chunk));
  await redis.call('CLIENT', 'TRACKING', 'ON');
  await redis.get('embedding:told to nobody');
  await redis.set('embedding:told to nobody', 'new');
  await redis.ping();
  expect(String(Buffer.concat(bytes))).toContain('>2\r\n$10\r\ninvalidate\r\n');
  expect(told).toEqual([]);
  redis.disconnect();
});

test('what a lost connection left unanswered never settles if it is merely not sent again', async () => {
  const redis = open({ maxRetriesPerRequest: 20, retryStrategy: () => 5 });
  await using other = await RawConnection.open({ port: Number(new URL(standalone).port) });
  // Ready, or the command would wait for the connection that comes.
  await redis.ping();
  const id = String(await redis.call('CLIENT', 'ID'));
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  redis.call('BLPOP', 'embedding:nothing', '0').then(settle, settle);
  const again = new Promise((resolve) => redis.once('ready', resolve));
  await other.send('CLIENT', 'KILL', 'ID', id);
  await again;
  for (let i = 0; i < 10; i += 1) await redis.ping();
  expect(settled).toBe(false);
  redis.disconnect();
});

test('a port refuses a client that is connected already, or would send unanswered commands again', async () => {
  const connected = open();
  await connected.ping();
  expect(() => new IoredisPort(connected)).toThrow(/must not be connected yet; it is 'ready'/);
  connected.disconnect();
  for (const [name, value] of [
    ['maxRetriesPerRequest', 20],
    ['autoResendUnfulfilledCommands', true],
    ['enableAutoPipelining', true],
    ['protocol', 2],
  ] as const) {
    const redis = open({ [name]: value, lazyConnect: true });
    expect(() => new IoredisPort(redis)).toThrow(`must be made with ${name}`);
    redis.disconnect();
  }
});

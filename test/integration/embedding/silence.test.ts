import { attach, createTrackingCache, type TrackingPort } from '@redcache/core';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { IoredisPort, REQUIRED_OPTIONS } from './ioredis-port.ts';
import { NetPort } from './net-port.ts';
import { NodeRedisPort } from './node-redis-port.ts';
import { RedirectedPort } from './redirected-port.ts';

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

interface Client extends Disposable {
  readonly port: TrackingPort;
}

const clients: Readonly<Record<string, (port: number) => Client>> = {
  'a bare connection': (port) => {
    const client = new NetPort({ port, host: '127.0.0.1' });
    return { port: client, [Symbol.dispose]: () => client.close() };
  },
  ioredis: (port) => {
    const redis = new Redis(port, '127.0.0.1', { ...REQUIRED_OPTIONS, retryStrategy: () => 5 });
    redis.on('error', () => {});
    return { port: new IoredisPort(redis), [Symbol.dispose]: () => redis.disconnect() };
  },
  'node-redis': (port) => {
    const client = new NodeRedisPort({
      url: `redis://127.0.0.1:${port}`,
      socket: { reconnectStrategy: () => 5 },
    });
    return { port: client, [Symbol.dispose]: () => client.close() };
  },
  'two connections of protocol 2': (port) => {
    const client = new RedirectedPort(`redis://127.0.0.1:${port}`);
    return { port: client, [Symbol.dispose]: () => client.close() };
  },
};

describe.for(Object.keys(clients))('over %s', (name) => {
  const connect = (port: number): Client => (clients[name] as (port: number) => Client)(port);

  test('replace() needs no answer from a network that has fallen silent', async () => {
    await using proxy = await TcpProxy.start({ port: server.node.port });
    using client = connect(proxy.port);
    const heard: string[] = [];
    client.port.onConnection((connection) => heard.push(connection));
    await eventually(() => heard.includes('up'));
    heard.length = 0;
    proxy.stall();
    const stuck = client.port.send(['PING']).then(
      () => 'answered',
      () => 'rejected',
    );
    client.port.replace?.();
    expect(heard).toEqual(['down']);
    expect(await stuck).toBe('rejected');
    // New connections are stalled as well, so it comes up only when the network is back.
    proxy.resume();
    await eventually(() => heard.includes('up'));
    expect(await client.port.send(['PING'])).toBe('PONG');
  });

  test('a connection that has fallen silent is replaced, and serves no more hits', async () => {
    await using proxy = await TcpProxy.start({ port: server.node.port });
    using client = connect(proxy.port);
    const cache = createTrackingCache();
    const { detach } = attach(cache, client.port, { maxStaleness: 200 });
    await eventually(() => cache.stats().state === 'tracking');
    const read = () =>
      cache.read(['silent'], 'GET silent', async () => ({
        value: await client.port.send(['GET', 'silent']),
        cache: { kind: 'present', remaining: 'none', valueBytes: 3 },
      }));
    await server.node.ask('SET', 'silent', 'old');
    expect([await read(), await read()]).toEqual(['old', 'old']);
    proxy.stall('toClient');
    await server.node.ask('SET', 'silent', 'new');
    await eventually(() => cache.stats().silences > 0);
    expect(cache.lookupReply('GET silent')).toBeUndefined();
    proxy.resume();
    await eventually(() => cache.stats().state === 'tracking');
    expect(await read()).toBe('new');
    detach();
    cache.close();
  });
});

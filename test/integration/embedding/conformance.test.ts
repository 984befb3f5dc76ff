import { portConformance } from '@redcache/core/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { IoredisPort, REQUIRED_OPTIONS } from './ioredis-port.ts';
import { NetPort } from './net-port.ts';
import { NodeRedisPort } from './node-redis-port.ts';
import { RedirectedPort } from './redirected-port.ts';

/** The suite sends FLUSHALL, so it has a server of its own. */
let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

async function others() {
  const connection = await RawConnection.open({ port: server.node.port });
  return {
    send: (args: readonly string[]) => connection.send(...args),
    close: () => connection.close(),
  };
}

describe('over a bare connection', () => {
  const makePort = async () => {
    const port = new NetPort({ port: server.node.port, host: '127.0.0.1' });
    return { port, close: () => port.close(), others: await others() };
  };
  for (const { name, run } of portConformance(makePort)) test(name, run);
});

describe('over ioredis', () => {
  const makePort = async () => {
    const redis = new Redis(server.url, { ...REQUIRED_OPTIONS, retryStrategy: () => 5 });
    redis.on('error', () => {});
    const port = new IoredisPort(redis);
    return { port, close: () => redis.disconnect(), others: await others() };
  };
  for (const { name, run } of portConformance(makePort)) test(name, run);
});

describe('over node-redis', () => {
  const makePort = async () => {
    const port = new NodeRedisPort({ url: server.url, socket: { reconnectStrategy: () => 5 } });
    return { port, close: () => port.close(), others: await others() };
  };
  for (const { name, run } of portConformance(makePort)) test(name, run);
});

describe('over two connections of protocol 2, one of them told what the other is to know', () => {
  const makePort = async () => {
    const port = new RedirectedPort(server.url);
    return { port, close: () => port.close(), others: await others() };
  };
  for (const { name, run } of portConformance(makePort)) test(name, run);
});

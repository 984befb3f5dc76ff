import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { ConnectionClient } from '../../../../src/adapters/node-redis/clients.ts';
import { OwnFollower } from '../../../../src/adapters/node-redis/tracked/own-follower.ts';
import { ConfigError } from '../../../../src/errors.ts';
import { ManualClock, settled } from '../../../../src/testing/index.ts';
import { createTrackingCache } from '../../../../src/tracking-cache.ts';

/** A client of node-redis as far as a follower uses it: it is connected when the test says so. */
class OneClient extends EventEmitter {
  isOpen = true;
  isReady = false;
  readonly options = {};
  readonly clientSideCache: unknown;

  constructor(clientSideCache: unknown) {
    super();
    this.clientSideCache = clientSideCache;
  }
  connect(): Promise<void> {
    return new Promise(() => {});
  }
  destroy(): void {
    this.isOpen = false;
    this.isReady = false;
  }
  sendCommand(): Promise<unknown> {
    return new Promise(() => {});
  }
  /** Only what is one connection has these two. */
  duplicate(): never {
    throw new Error('nobody copies this one');
  }
  select(): void {}
  stands(): void {
    this.isReady = true;
    this.emit('ready');
  }
  givesUp(): void {
    this.destroy();
    this.emit('error', new Error('ECONNREFUSED'));
    this.emit('terminated', new Error('ECONNREFUSED'));
  }
}

/** A follower of a sentinel that lends what the test says. */
async function following() {
  const clock = new ManualClock();
  const engine = createTrackingCache({ clock });
  const cache = { engine, connectionOf: () => ({ session: engine.session }) };
  const sentinel = new EventEmitter();
  const opened: OneClient[] = [];
  const model = {
    duplicate: ({ clientSideCache }: { clientSideCache: unknown }): OneClient => {
      const client = new OneClient(clientSideCache);
      opened.push(client);
      return client;
    },
  };
  let refusal: Error | undefined;
  let asked = 0;
  const borrow = async (): Promise<ConnectionClient> => {
    asked += 1;
    if (refusal !== undefined) throw refusal;
    return model as never;
  };
  const follower = new OwnFollower(sentinel as never, cache as never, borrow);
  await follower.open();
  const states: string[] = [];
  follower.onConnection((connection) => states.push(connection));
  const pass = async (ms: number): Promise<void> => {
    for (let leftMs = ms; leftMs > 0; leftMs -= 50) {
      clock.advance(Math.min(50, leftMs));
      await settled();
    }
  };
  return {
    ...{ clock, sentinel, follower, states, opened, pass },
    refuse: (error: Error | undefined): void => {
      refusal = error;
    },
    /** How often it was asked for a client since the last look. */
    asked: (): number => {
      const count = asked;
      asked = 0;
      return count;
    },
  };
}

test('a master that can not be reached when it is named is tried again, more rarely each time, until it can', async () => {
  const it = await following();
  it.opened[0]?.stands();
  it.refuse(new Error('connection refused'));
  it.asked();
  it.sentinel.emit('ready');
  await it.pass(1_000);
  expect(it.opened).toHaveLength(1);
  expect(it.asked()).toBeGreaterThan(2);
  await it.pass(60_000);
  const rarely = it.asked();
  expect(rarely).toBeGreaterThan(10);
  expect(rarely).toBeLessThan(20);
  it.refuse(undefined);
  await it.pass(5_000);
  expect(it.opened).toHaveLength(2);
  it.opened[1]?.stands();
  expect(it.states).toEqual(['down', 'up', 'down', 'up']);
  it.asked();
  await it.pass(60_000);
  expect(it.asked()).toBe(0);
});

test('a connection that the client has given up is opened anew', async () => {
  const it = await following();
  it.opened[0]?.stands();
  it.opened[0]?.givesUp();
  await it.pass(200);
  expect(it.opened).toHaveLength(2);
  it.opened[1]?.stands();
  expect(it.states).toEqual(['down', 'up', 'down', 'up']);
});

test('one that is named meanwhile is opened once', async () => {
  const it = await following();
  it.refuse(new Error('connection refused'));
  it.sentinel.emit('ready');
  await settled();
  it.refuse(undefined);
  it.sentinel.emit('ready');
  await it.pass(10_000);
  expect(it.opened).toHaveLength(2);
});

test.for(['close', 'end'] as const)('nothing is tried any more after a %s', async (how) => {
  const it = await following();
  it.refuse(new Error('connection refused'));
  it.sentinel.emit('ready');
  await settled();
  it.asked();
  if (how === 'close') it.follower.close();
  else it.sentinel.emit('end');
  await it.pass(10_000);
  expect(it.asked()).toBe(0);
});

test('what will not pass is not tried again', async () => {
  const it = await following();
  it.refuse(new ConfigError('two copies'));
  it.asked();
  it.sentinel.emit('ready');
  await it.pass(10_000);
  expect(it.asked()).toBe(1);
});

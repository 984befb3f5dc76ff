import type { Connection, Invalidation, TrackingPort } from '@redcache/core';
import { portConformance } from '@redcache/core/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { NetPort } from './net-port.ts';

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

/** What a faulty port does otherwise than the sound one it is made of. */
type Fault = (sound: TrackingPort, another: TrackingPort) => Partial<TrackingPort>;

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setImmediate(() => resolve(value)));

/** Answers that are not what the server said. */
const answering =
  (change: (value: unknown) => unknown): Fault =>
  (sound) => ({ send: async (args, options) => change(await sound.send(args, options)) });

/** Pushes that are not what the server pushed; `undefined` swallows one. */
const pushing =
  (change: (invalidation: Invalidation) => Invalidation | undefined): Fault =>
  (sound) => ({
    onPush: (listener) =>
      sound.onPush((invalidation) => {
        const changed = change(invalidation);
        if (changed !== undefined) listener(changed);
      }),
  });

/** What is left of bytes that were taken for text. */
const bytesAgain = (value: unknown): unknown =>
  typeof value === 'string' && value !== 'OK' ? Buffer.from(value) : value;

const isProbe = (invalidation: Invalidation): boolean =>
  invalidation.kind === 'keys' && invalidation.keys[0]?.startsWith('redcache:probe:') === true;

/** Connections told otherwise than they are. */
const telling =
  (tell: (connection: Connection, listener: (connection: Connection) => void) => void): Fault =>
  (sound) => ({
    onConnection: (listener) => sound.onConnection((connection) => tell(connection, listener)),
  });

/** For each case of the suite a port that must not pass it. */
const faults: Readonly<Record<string, Fault>> = {
  'commands sent in one tick reach the server in the order of the calls': (sound) => ({
    send: async (args) => {
      if (args[2] === '7') await later(undefined);
      return sound.send(args);
    },
  }),
  'all commands travel on one connection': (sound, another) => {
    let sent = 0;
    return {
      send: (args) => {
        sent += 1;
        return (sent % 2 === 0 ? sound : another).send(args);
      },
    };
  },
  'replies are told in the order of the calls': answering((value) =>
    String(value).length > 1000 ? later(value) : value,
  ),
  'text of more than a megabyte is decoded as UTF-8, wherever the network cuts it': answering(
    (value) => {
      if (typeof value !== 'string') return value;
      const bytes = Buffer.from(value);
      return bytes.toString('utf8', 0, 65_536) + bytes.toString('utf8', 65_536);
    },
  ),
  'arguments arrive as they are, empty ones and those with line breaks included': (sound) => ({
    send: (args, options) =>
      sound.send(
        args.map((arg) => String(arg).trim()),
        options,
      ),
  }),
  'bytes that are no text arrive as they are, and are answered so where that is asked for': (
    sound,
  ) => ({
    send: async (args, options) =>
      bytesAgain(await sound.send(args, { ...options, replies: 'text' })),
  }),
  'what is not there is null, integers are numbers, arrays nest': answering(
    (value) => value ?? undefined,
  ),
  'a map is a Map, an object, or names and values in turn': answering((value) =>
    value instanceof Map ? [...value] : value,
  ),
  'an error of the server rejects with an Error that begins with its code, and belongs to its command':
    (sound) => ({
      send: (args) =>
        sound.send(args).catch((error: Error) => {
          throw new Error(`the server says ${error.message}`);
        }),
    }),

  'a push is told with its keys as text': pushing((invalidation) =>
    invalidation.kind === 'flush'
      ? invalidation
      : { kind: 'keys', keys: invalidation.keys.map((key) => Buffer.from(key) as never) },
  ),
  'a flush is told as a flush': pushing((invalidation) =>
    invalidation.kind === 'flush' ? { kind: 'keys', keys: [] } : invalidation,
  ),
  'a push that was sent before a reply is told before the continuation of that reply runs': (
    sound,
  ) => ({
    onPush: (listener) => sound.onPush((invalidation) => setImmediate(listener, invalidation)),
  }),
  'a push is told while nothing is outstanding': (sound) => {
    let held: (() => void)[] = [];
    return {
      send: async (args) => {
        const value = await sound.send(args);
        for (const tell of held) tell();
        held = [];
        return value;
      },
      onPush: (listener) => sound.onPush((invalidation) => held.push(() => listener(invalidation))),
    };
  },
  'CLIENT CACHING YES holds for the command sent right behind it, whoever else is sending': (
    sound,
  ) => ({
    send: (args) => {
      if (args[0] === 'GET') sound.send(['PING']).catch(() => {});
      return sound.send(args);
    },
  }),
  'a push listener that was stopped hears nothing more, and the others do': (sound) => ({
    onPush: (listener) => {
      sound.onPush(listener);
      return () => {};
    },
  }),

  'how the connection is, is told in the call itself and then at each change': telling(
    (connection, listener) => queueMicrotask(() => listener(connection)),
  ),
  'a loss is told before any command it leaves unanswered rejects, and all of them reject': telling(
    (connection, listener) => {
      if (connection === 'down') setImmediate(listener, connection);
      else listener(connection);
    },
  ),
  'after a loss it comes up by itself, on another connection, with the same listeners': (
    sound,
  ) => ({
    onPush: (listener) => {
      const stop = sound.onPush(listener);
      sound.onConnection((connection) => connection === 'down' && stop());
      return stop;
    },
  }),
  'a command sent while it is down is answered later or rejects': (sound) => {
    let up = true;
    sound.onConnection((connection) => {
      up = connection === 'up';
    });
    return { send: (args) => (up ? sound.send(args) : new Promise(() => {})) };
  },
  'a command sent by a listener that is told up is sent at once': (sound) => {
    let ready = true;
    sound.onConnection((connection) => {
      if (connection === 'down') ready = false;
      else setImmediate(() => (ready = true));
    });
    return {
      send: (args) => (ready ? sound.send(args) : Promise.reject(new Error('not yet'))),
    };
  },
  'a connection listener that was stopped hears nothing more': (sound) => ({
    onConnection: (listener) => {
      sound.onConnection(listener);
      return () => {};
    },
  }),
  'closed by its owner it says so, and what is outstanding or sent later rejects': telling(
    (connection, listener) => listener(connection === 'closed' ? 'down' : connection),
  ),

  'replace() ends the connection, rejects what is outstanding and comes back with another one':
    () => ({ replace: () => {} }),
  'replace() while it is down, or twice, changes nothing else': (sound) => {
    const listeners: ((connection: Connection) => void)[] = [];
    return {
      onConnection: (listener) => {
        listeners.push(listener);
        return sound.onConnection(listener);
      },
      replace: () => {
        sound.replace?.();
        for (const listener of [...listeners]) listener('down');
      },
    };
  },

  'attached: what was read is kept until somebody else changes it': pushing((invalidation) =>
    isProbe(invalidation) ? invalidation : undefined,
  ),
  'attached: a FLUSHALL evicts everything': pushing((invalidation) =>
    invalidation.kind === 'flush' ? undefined : invalidation,
  ),
  'attached: once a loss was told nothing read before is served': telling(
    (connection, listener) => connection !== 'down' && listener(connection),
  ),
  'attached: a reply that a change overtook is not kept': (sound) => ({
    onPush: (listener) => {
      const lost = new Set<string>();
      return sound.onPush((invalidation) => {
        const name = JSON.stringify(invalidation);
        if (isProbe(invalidation) || lost.has(name)) listener(invalidation);
        lost.add(name);
      });
    },
  }),
  'attached: what a listener of a key throws reaches neither the port nor the others': (sound) => ({
    onPush: (listener) => {
      const told = new Set<string>();
      return sound.onPush((invalidation) => {
        const name = JSON.stringify(invalidation);
        if (!told.has(name)) listener(invalidation);
        told.add(name);
      });
    },
  }),
};

const suite = (fault: Fault) =>
  portConformance(
    async () => {
      const address = { port: server.node.port, host: '127.0.0.1' };
      const [sound, another] = [new NetPort(address), new NetPort(address)];
      const others = await RawConnection.open({ port: server.node.port });
      await Promise.all([sound, another].map(isUp));
      return {
        port: {
          send: (args, options) => sound.send(args, options),
          onPush: (listener) => sound.onPush(listener),
          onConnection: (listener) => sound.onConnection(listener),
          replace: () => sound.replace(),
          ...fault(sound, another),
        },
        close: () => {
          sound.close();
          another.close();
        },
        others: { send: (args) => others.send(...args), close: () => others.close() },
      };
    },
    { deadlineMs: 1_000 },
  );

const isUp = (port: TrackingPort): Promise<void> =>
  new Promise((resolve) => {
    port.onConnection((connection) => connection === 'up' && resolve());
  });

const noFault: Fault = () => ({});

test('every case has a port that must not pass it', () => {
  expect(Object.keys(faults)).toEqual(suite(noFault).map(({ name }) => name));
});

test.for(Object.entries(faults))('a faulty port does not pass: %s', async ([name, fault]) => {
  const find = (cases: ReturnType<typeof suite>) => cases.find((each) => each.name === name);
  await expect(find(suite(noFault))?.run()).resolves.toBeUndefined();
  // For what the case is about, not because it never began.
  await expect(find(suite(fault))?.run()).rejects.toThrow(
    expect.objectContaining({
      message: expect.not.stringMatching(/for the (connection|engine) to/),
    }),
  );
});

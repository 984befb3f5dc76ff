import { describe, expect, test } from 'vitest';
import {
  type CommandObserver,
  type HookedClient,
  hookCommands,
  OBSERVER,
  sendUnobserved,
} from '../../../src/adapters/node-redis/command-hook.ts';
import { ConfigError } from '../../../src/errors.ts';
import { settled } from '../../../src/testing/index.ts';

type Args = readonly (string | Buffer)[];

/** A class like node-redis's client, hooked; each test has one of its own. */
function hooked() {
  const order: string[] = [];
  class Client {
    clientSideCache: unknown;
    readonly _self: unknown = this;
    constructor(cache?: unknown) {
      this.clientSideCache = cache;
    }
    sendCommand(args: Args, options?: object): Promise<unknown> {
      order.push(`send ${args.join(' ')}${options === undefined ? '' : ' with options'}`);
      if (args[0] === 'FAIL') return Promise.reject(new Error('ERR'));
      if (args[0] === 'THROW') throw new Error('not queued');
      return Promise.resolve(`reply to ${args.join(' ')}`);
    }
    connect(): Promise<unknown> {
      order.push('connect');
      return Promise.resolve(this);
    }
    reset(): Promise<unknown> {
      order.push('reset');
      return Promise.resolve();
    }
    MONITOR(callback: unknown): Promise<unknown> {
      order.push(`monitor with ${callback}`);
      return Promise.resolve('OK');
    }
    _executeMulti(commands: readonly { args: Args }[], ...rest: unknown[]): Promise<unknown> {
      order.push(`multi of ${commands.length} with ${rest.join(' ')}`);
      return Promise.resolve(['multi']);
    }
    _executePipeline(commands: readonly { args: Args }[], ...rest: unknown[]): Promise<unknown> {
      order.push(`pipeline of ${commands.length} with ${rest.join(' ')}`);
      return Promise.resolve(['pipeline']);
    }
  }
  hookCommands(Client.prototype);
  return { order, Client };
}

/** A cache of ours that notes what it is told. */
function observing(order: string[], { listens = true } = {}) {
  const clients: unknown[] = [];
  const answered = (what: string) =>
    listens ? () => void order.push(`answered ${what}`) : undefined;
  const observer: CommandObserver = {
    connecting: (client: HookedClient) => {
      clients.push(client);
      order.push('connecting');
    },
    connected: (client: HookedClient) => {
      clients.push(client);
      order.push('connected');
    },
    monitoring: (client: HookedClient) => {
      clients.push(client);
      order.push('monitoring');
    },
    resetting: (client: HookedClient) => {
      clients.push(client);
      order.push('resetting');
      return () => void order.push('answered reset');
    },
    sending: (client: HookedClient, args, options) => {
      clients.push(client);
      order.push(`sending ${args.join(' ')}${options === undefined ? '' : ' with options'}`);
      return answered(args.join(' '));
    },
    sendingAll: (client: HookedClient, commands) => {
      clients.push(client);
      order.push(`sending all ${commands.map(({ args }) => args.join(' ')).join(', ')}`);
      return answered('all');
    },
  };
  return { cache: { [OBSERVER]: observer }, clients };
}

describe('a client with a cache of ours', () => {
  test('tells it of a command before it is queued, and of the answer before whoever sent it', async () => {
    const { order, Client } = hooked();
    const { cache, clients } = observing(order);
    const client = new Client(cache);
    expect(
      await client.sendCommand(['SET', 'k', 'v'], {}).then((reply) => {
        order.push('caller');
        return reply;
      }),
    ).toBe('reply to SET k v');
    expect(order).toEqual([
      'sending SET k v with options',
      'send SET k v with options',
      'answered SET k v',
      'caller',
    ]);
    expect(clients).toEqual([client]);
  });

  test('tells it that it connects before it does, and that it is connected before whoever connects it', async () => {
    const { order, Client } = hooked();
    const { cache, clients } = observing(order);
    const client = new Client(cache);
    expect(
      await client.connect().then((answer) => {
        order.push('caller');
        return answer;
      }),
    ).toBe(client);
    expect(order).toEqual(['connecting', 'connect', 'connected', 'caller']);
    expect(clients).toEqual([client, client]);
  });

  test('tells it that it is going to monitor before anything of that is sent', async () => {
    const { order, Client } = hooked();
    const { cache, clients } = observing(order);
    const client = new Client(cache);
    expect(await client.MONITOR('callback')).toBe('OK');
    expect(order).toEqual(['monitoring', 'monitor with callback']);
    expect(clients).toEqual([client]);
  });

  test('tells it that it is going to be reset, and that it was before whoever resets it', async () => {
    const { order, Client } = hooked();
    const { cache, clients } = observing(order);
    const client = new Client(cache);
    await client.reset().then(() => order.push('caller'));
    expect(order).toEqual(['resetting', 'reset', 'answered reset', 'caller']);
    expect(clients).toEqual([client]);
  });

  test('whatever it throws, the command is sent', async () => {
    const { order, Client } = hooked();
    const observer: CommandObserver = {
      connecting: () => {},
      connected: () => {},
      monitoring: () => {},
      resetting: () => () => {},
      sending: () => {
        throw new TypeError('no such argument');
      },
      sendingAll: () => {
        throw new TypeError('no such argument');
      },
    };
    const client = new Client({ [OBSERVER]: observer });
    expect(await client.sendCommand(['GET', 'k'])).toBe('reply to GET k');
    expect(await client._executeMulti([])).toEqual(['multi']);
    expect(order).toEqual(['send GET k', 'multi of 0 with ']);
  });

  test('tells it that a command failed, which reaches its sender as it was', async () => {
    const { order, Client } = hooked();
    const client = new Client(observing(order).cache);
    await expect(client.sendCommand(['FAIL'])).rejects.toThrow('ERR');
    expect(order).toEqual(['sending FAIL', 'send FAIL', 'answered FAIL']);
  });

  test('a failure that its sender handles leaves no rejection unhandled', async () => {
    const { order, Client } = hooked();
    const client = new Client(observing(order).cache);
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    client.sendCommand(['FAIL']).catch(() => {});
    await settled();
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test.for(['_executeMulti', '_executePipeline'] as const)(
    '%s: tells it of all commands at once, and passes on whatever else there is',
    async (name) => {
      const { order, Client } = hooked();
      const client = new Client(observing(order).cache);
      const kind = name === '_executeMulti' ? 'multi' : 'pipeline';
      const commands = [{ args: ['SET', 'a'] }, { args: ['DEL', 'b'] }];
      expect(await client[name](commands, 'chain', 5)).toEqual([kind]);
      expect(order).toEqual([
        'sending all SET a, DEL b',
        `${kind} of 2 with chain 5`,
        'answered all',
      ]);
    },
  );

  test('a view of a client tells of the client itself', async () => {
    const { order, Client } = hooked();
    const { cache, clients } = observing(order);
    const client = new Client(cache);
    const view = Object.create(client);
    await view.sendCommand(['GET', 'k']);
    await view._executeMulti([]);
    expect(clients).toEqual([client, client]);
    expect(clients[0]).toBe(client);
  });

  test('an observer that does not ask for the answer gets the very promise passed on', async () => {
    const { order, Client } = hooked();
    const client = new Client(observing(order, { listens: false }).cache);
    await client.sendCommand(['GET', 'k']);
    await client._executeMulti([]);
    expect(order).toEqual(['sending GET k', 'send GET k', 'sending all ', 'multi of 0 with ']);
  });

  test('a command that is redcache’s own is not told, whoever has wrapped the client since', async () => {
    const { order, Client } = hooked();
    const client = new Client(observing(order).cache);
    const { sendCommand } = client;
    client.sendCommand = function (...call: Parameters<typeof sendCommand>) {
      return sendCommand.apply(this, call);
    };
    hookCommands(Client.prototype);
    await sendUnobserved(client, ['PTTL', 'k']);
    await client.sendCommand(['GET', 'k']);
    expect(order).toEqual(['send PTTL k', 'sending GET k', 'send GET k', 'answered GET k']);
  });

  test('a class that lacks a method is refused, since its writes would be missed', () => {
    class Other {
      sendCommand(): void {}
    }
    expect(() => hookCommands(Other.prototype)).toThrow(ConfigError);
  });

  test('a command that is redcache’s own is not told', async () => {
    const { order, Client } = hooked();
    const client = new Client(observing(order).cache);
    expect(await sendUnobserved(client, ['PTTL', 'k'], {})).toBe('reply to PTTL k');
    expect(order).toEqual(['send PTTL k with options']);
  });
});

describe('other clients', () => {
  test.for([
    ['no cache', undefined],
    ['a cache of node-redis', {}],
    ['a cache of another copy of this package', { [Symbol('redcache.command-observer')]: {} }],
  ] as const)('with %s go untouched', async ([, cache]) => {
    const { order, Client } = hooked();
    const client = new Client(cache);
    expect(await client.sendCommand(['GET', 'k'])).toBe('reply to GET k');
    await client._executeMulti([{ args: ['GET', 'k'] }], 'chain');
    await client._executePipeline([{ args: ['GET', 'k'] }], 'chain');
    expect(order).toEqual(['send GET k', 'multi of 1 with chain', 'pipeline of 1 with chain']);
  });

  test('of a class that is not hooked are sent to all the same', async () => {
    const sent: unknown[] = [];
    const client = {
      sendCommand: async (args: Args) => {
        sent.push(args);
        return 'reply';
      },
    };
    expect(await sendUnobserved(client, ['PING'])).toBe('reply');
    expect(sent).toEqual([['PING']]);
  });
});

describe('the hook', () => {
  test('is put on a class once: each command is told once', async () => {
    const { order, Client } = hooked();
    hookCommands(Client.prototype);
    const client = new Client(observing(order).cache);
    await client.sendCommand(['GET', 'k']);
    await client._executeMulti([]);
    expect(order.filter((each) => each.startsWith('sending'))).toHaveLength(2);
  });
});

// Commands over clients of every kind: where they go, in which order, and that none of them waits.
import { isRedcacheError } from '@redcache/core';
import { type AnyClient, openTracked, portOf } from '@redcache/core/node-redis';
import { createClient, createCluster, createSentinel, RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { SentinelDeployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { masterNow } from '../../support/failover.ts';
import { proxyEveryNode } from '../../support/proxied.ts';
import {
  finishSlotMove,
  moveKeys,
  moveSlot,
  ownerOf,
  slotOf,
  startSlotMove,
} from '../../support/slots.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind, type OpenKindOptions, openKind } from './four-kinds.ts';
import { endsOf } from './topology.ts';

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());

const MANY = ['pool', 'cluster', 'sentinel'] as const;

const UNAVAILABLE = expect.objectContaining({ code: 'REDCACHE_UNAVAILABLE' });

/** A port over a client of that kind, closed when the test ends, and somebody who looks at the data. */
async function open<K extends Kind>(kind: K, options: OpenKindOptions = {}) {
  const opened = await openKind(kind, deployments.of(kind), options);
  onTestFinished(() => opened.close());
  const client = opened.raw as unknown as AnyClient;
  return { ...opened, client, port: portOf(client), look: opened.writer };
}

const numbers = Array.from({ length: 200 }, (_, i) => `${i}`);

/** The port sends one command for each of these numbers in one tick; answers in which order they ran. */
async function orderOf(
  { port, look }: Pick<Awaited<ReturnType<typeof open>>, 'port' | 'look'>,
  key: string,
) {
  await Promise.all(numbers.map((number) => port.send(['RPUSH', key, number])));
  return (look as unknown as { lRange(...args: unknown[]): Promise<string[]> }).lRange(key, 0, -1);
}

test.for(KINDS)(
  '%s: text and numbers, whatever type mapping and timeout its commands have',
  async (kind) => {
    const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String };
    const commandOptions = { typeMapping, timeout: 1 };
    const { port, keyFor } = await open(kind, {
      node: { commandOptions },
      commands: { commandOptions } as object,
    });
    const key = keyFor('mapped');
    expect(await port.send(['SET', key, 'text'])).toBe('OK');
    expect(await port.send(['GET', key])).toBe('text');
    expect(await port.send(['STRLEN', key])).toBe(4);
    expect(await port.send(['EVAL', 'return redis.call("GET", KEYS[1])', '1', key])).toBe('text');
    expect(String(await port.send(['CLIENT', 'INFO']))).toContain(' db=0 ');
    expect(await port.send(['EVAL', 'return 7', '0'])).toBe(7);
  },
);

test.for(KINDS)('%s: commands of one slot and one tick run in their order', async (kind) => {
  const opened = await open(kind);
  // In a cluster on several nodes.
  for (const key of ['a', 'b', 'c', 'd', 'e'].map(opened.keyFor))
    expect(await orderOf(opened, key)).toEqual(numbers);
});

test.for(KINDS)('%s: an error of the server comes as it is', async (kind) => {
  const { port, keyFor } = await open(kind);
  await port.send(['RPUSH', keyFor('list'), 'x']);
  await expect(port.send(['GET', keyFor('list')])).rejects.toThrow(/^WRONGTYPE/);
});

describe('a connection that is lost', () => {
  test.for(MANY)('%s: what is rejected as not sent is never sent', async (kind) => {
    const deployment = deployments.of(kind);
    await using proxied = await proxyEveryNode(deployment);
    const { port, keyFor, look } = await open(kind, { through: proxied });
    const key = `{${keyFor('unsent')}}`;
    expect(await port.send(['SET', key, 'before'])).toBe('OK');
    const node =
      kind === 'cluster'
        ? await ownerOf(deployment, await slotOf(deployment, key))
        : kind === 'sentinel'
          ? await masterNow(deployment as SentinelDeployment)
          : deployment.nodes[0];
    const proxy = proxied.of(node as never);
    proxy.cut({ refuse: true });
    const unsent: number[] = [];
    let tries = 0;
    // Those that met the cut itself may have been sent.
    await eventually(
      async () => {
        tries += 1;
        const error = await port.send(['SADD', `${key}:set`, `${tries}`]).catch((caught) => caught);
        if (isRedcacheError(error) && error.code === 'REDCACHE_UNAVAILABLE') unsent.push(tries);
        return unsent.length;
      },
      (count) => count >= 3,
    );
    const together = await Promise.allSettled(
      numbers.map((number) => port.send(['SET', key, number])),
    );
    for (const each of together) expect(each).toMatchObject({ reason: UNAVAILABLE });
    proxy.heal();
    await eventually(() => port.send(['PING']).then(() => port.send(['GET', key])));
    // Whatever was kept would have gone before.
    expect(await port.send(['GET', key])).toBe('before');
    for (const each of unsent)
      expect(await port.send(['SISMEMBER', `${key}:set`, `${each}`])).toBe(0);
    expect(await look.get(key)).toBe('before');
  });

  test.for(MANY)('%s: that is closed, nothing is sent', async (kind) => {
    const { port, keyFor, raw, look } = await open(kind);
    await port.send(['PING']);
    await (raw as { destroy(): unknown }).destroy();
    await expect(port.send(['SET', keyFor('closed'), 'x'])).rejects.toEqual(UNAVAILABLE);
    expect(await look.get(keyFor('closed'))).toBeNull();
    await raw.connect();
    expect(await eventually(() => port.send(['SET', keyFor('closed'), 'x']))).toBe('OK');
  });
});

describe('how the connection is', () => {
  test.for(['client', 'cluster', 'sentinel'] as const)(
    '%s: whoever listens after we did still hears errors',
    (kind) => {
      const makers = {
        client: () => createClient(),
        cluster: () => createCluster({ rootNodes: [] }),
        sentinel: () => createSentinel({ name: 'm', sentinelRootNodes: [] }),
      };
      const client = makers[kind]() as AnyClient & NodeJS.EventEmitter;
      portOf(client).onConnection(() => {})();
      const heard: unknown[] = [];
      client.on('error', (error) => heard.push(error));
      // As node-redis does, on what is behind the object that it hands out.
      (client as unknown as { _self: NodeJS.EventEmitter })._self.emit('error', 'an error');
      expect(heard).toEqual(['an error']);
    },
  );

  test('cluster and sentinel: up while open', async () => {
    for (const kind of ['cluster', 'sentinel'] as const) {
      const { port, raw } = await open(kind);
      const heard: string[] = [];
      const stop = port.onConnection((connection) => heard.push(connection));
      await (raw as { destroy(): unknown }).destroy();
      await raw.connect();
      expect([kind, heard.at(0), heard.at(-1)]).toEqual([kind, 'up', 'up']);
      expect(heard).toContain('closed');
      stop();
      for (const event of ['connect', 'disconnect', 'ready', 'end'])
        expect((raw as unknown as NodeJS.EventEmitter).listenerCount(event)).toBe(0);
    }
  });
});

describe('pool', () => {
  test('a burst takes one member, and gives it back', async () => {
    const { port, raw } = await open('pool');
    const { idleClients } = raw;
    const sent = numbers.map(() => port.send(['PING']));
    expect(raw.clientsInUse).toBe(1);
    await Promise.all(sent);
    await eventually(() => raw.idleClients === idleClients);
  });

  test('while others have all members commands wait a moment, and are not sent later', async () => {
    const { port, raw, keyFor } = await open('pool');
    let giveBack = (): void => {};
    const busy = new Promise<void>((resolve) => {
      giveBack = resolve;
    });
    const users = Array.from({ length: raw.totalClients }, () => raw.execute(() => busy));
    const early = port.send(['SET', keyFor('early'), 'x']);
    await expect(early).rejects.toEqual(UNAVAILABLE);
    const late = port.send(['INCR', keyFor('late')]);
    giveBack();
    await Promise.all(users);
    expect(await late).toBe(1);
    expect(await port.send(['GET', keyFor('early')])).toBeNull();
  });

  test('a member that has lost its connection is passed over', async () => {
    const { port, raw, keyFor } = await open('pool');
    const lost = await raw.execute((member) => {
      member.destroy();
      return member;
    });
    for (let i = 1; i <= 8; i += 1) expect(await port.send(['INCR', keyFor('n')])).toBe(i);
    expect(lost.isReady).toBe(false);
  });
});

describe('sentinel', () => {
  test('of one connection that nobody reserved: a burst and commands of its own do not lock each other out', async () => {
    const deployment = deployments.of('sentinel') as SentinelDeployment;
    const sentinel = createSentinel({
      name: deployment.masterName,
      sentinelRootNodes: deployment.nodesOf('sentinel').map(({ host, port }) => ({ host, port })),
    });
    await sentinel.connect();
    onTestFinished(() => sentinel.destroy());
    const port = portOf(sentinel);
    for (let round = 0; round < 5; round += 1) {
      const own = sentinel.ping();
      await Promise.all([own, ...numbers.map(() => port.send(['PING'])), sentinel.ping()]);
    }
  });

  test('while it reconnects to the master that they still name, the sentinels are left alone', async () => {
    const deployment = deployments.of('sentinel') as SentinelDeployment;
    await using proxied = await proxyEveryNode(deployment);
    const { port } = await open('sentinel', { through: proxied });
    await port.send(['PING']);
    const master = proxied.of(await masterNow(deployment));
    master.cut({ refuse: true });
    await eventually(
      () => port.send(['PING']).catch((error) => error),
      (answer) => isRedcacheError(answer),
    );
    const asked = (): number =>
      deployment
        .nodesOf('sentinel')
        .reduce((sum, sentinel) => sum + proxied.of(sentinel).accepted, 0);
    const before = asked();
    for (let i = 0; i < 100; i += 1) await expect(port.send(['PING'])).rejects.toEqual(UNAVAILABLE);
    expect(asked()).toBe(before);
    master.heal();
    expect(await eventually(() => port.send(['PING']))).toBe('PONG');
  });
});

describe('cluster', () => {
  test('a node that is first used by them: connected, and in order', async () => {
    const deployment = deployments.of('cluster');
    const cluster = createCluster({
      rootNodes: deployment.nodesOf('master').map(({ host, port }) => ({ socket: { host, port } })),
      minimizeConnections: true,
    });
    await cluster.connect();
    onTestFinished(() => cluster.destroy());
    const { look, keyFor } = await open('cluster');
    expect(cluster.masters.every(({ client }) => client === undefined)).toBe(true);
    expect(await orderOf({ port: portOf(cluster), look }, keyFor('first'))).toEqual(numbers);
  });

  test('a slot that has moved is followed, in order', async () => {
    const opened = await open('cluster');
    const key = opened.keyFor('moved');
    await opened.port.send(['RPUSH', key, 'here']);
    const { slot, to } = await endsOf(deployments.of('cluster'), key);
    await moveSlot(deployments.of('cluster'), slot, to);
    expect(await orderOf(opened, key)).toEqual(['here', ...numbers]);
  });

  test('while a slot moves, keys that have gone are asked for where they are', async () => {
    const deployment = deployments.of('cluster');
    const { port, keyFor } = await open('cluster');
    const key = keyFor('asked');
    const { slot, to } = await endsOf(deployment, key);
    const move = await startSlotMove(deployment, slot, to);
    await Promise.all(numbers.map((number) => port.send(['RPUSH', key, number])));
    expect(await to.ask('CLUSTER', 'COUNTKEYSINSLOT', `${slot}`)).toBe(1);
    expect(await port.send(['LRANGE', key, '0', '-1'])).toEqual(numbers);
    await moveKeys(move);
    await finishSlotMove(move);
    expect(await port.send(['LLEN', key])).toBe(numbers.length);
  });
});

describe('a tracked way of our own', () => {
  /** Connections to the data servers, but those that ask. */
  const connections = async (kind: Kind): Promise<string[]> => {
    const lists = await Promise.all(
      deployments
        .of(kind)
        .nodes.filter(({ role }) => role !== 'sentinel')
        .map((node) => node.ask('CLIENT', 'LIST', 'TYPE', 'normal')),
    );
    return lists.flatMap((list) =>
      String(list)
        .split('\n')
        .filter((line) => line !== '' && !/ cmd=client[|]list /.test(line)),
    );
  };

  test.for(KINDS)('%s: hears pushes of what it reads; closing it leaves nothing', async (kind) => {
    const { client, keyFor, look } = await open(kind);
    const before = (await connections(kind)).length;
    const own = await openTracked(client);
    const keys = ['a', 'b', 'c', 'd'].map(keyFor);
    for (const key of keys) {
      await eventually(() => own.port.send(['GET', key]).then(() => own.tracks(key)));
      const pushed = new Promise((resolve) => own.engine.onInvalidation(key, resolve));
      await own.port.send(['GET', key]);
      await look.set(key, 'new');
      expect(await pushed).toBe('push');
    }
    expect((await connections(kind)).filter((line) => line.includes(' flags=t'))).not.toEqual([]);
    own.close();
    own.close();
    expect(own.tracks(keys[0] as string)).toBe(false);
    expect(own.engine.state).toBe('closed');
    await eventually(
      () => connections(kind),
      (left) => left.length === before,
    );
    expect(await portOf(client).send(['GET', keys[0] as string])).toBe('new');
  });

  test('cluster: a node that takes no more connections is reached over those of the client until it does', async () => {
    const { client, raw, keyFor, look } = await open('cluster');
    const key = keyFor('full');
    const node = await raw.getNodeClientForKey(key);
    const limit = (count: number) => node.configSet('maxclients', `${count}`);
    await limit(1);
    const own = await openTracked(client);
    onTestFinished(() => own.close());
    try {
      await expect(own.port.send(['SET', key, 'unsent'])).rejects.toEqual(UNAVAILABLE);
      expect(await eventually(() => own.port.send(['SET', key, 'sent']))).toBe('OK');
      expect(own.tracks(key)).toBe(false);
    } finally {
      await limit(10_000);
    }
    await eventually(() => own.port.send(['GET', key]).then(() => own.tracks(key)));
    const pushed = new Promise((resolve) => own.engine.onInvalidation(key, resolve));
    await own.port.send(['GET', key]);
    await look.set(key, 'new');
    expect(await pushed).toBe('push');
  });

  test.for(KINDS)('%s: closed while it connects leaves nothing either', async (kind) => {
    const { client, keyFor, look } = await open(kind);
    const before = (await connections(kind)).length;
    const own = await openTracked(client);
    const sent = own.port.send(['SET', keyFor('never'), 'x']).catch((error) => error);
    own.close();
    expect(await sent).toBeInstanceOf(Error);
    await eventually(
      () => connections(kind),
      (left) => left.length === before,
    );
    expect(await look.get(keyFor('never'))).toBeNull();
  });
});

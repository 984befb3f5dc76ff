import { RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Deployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { callsOf, openCached } from './cached-kind.ts';
import { KINDS, startFor } from './four-kinds.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

/** What the server was asked, command by command, since the monitor was opened. */
async function monitor(port: number) {
  const connection = await RawConnection.open({ port, protocol: 2 });
  await connection.send('MONITOR');
  const lines = (): string[] =>
    connection.takeArrived().map((frame) => (frame.is === 'reply' ? String(frame.value) : ''));
  return { connection, lines, [Symbol.asyncDispose]: async () => connection.close() };
}

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    const opened = async () => {
      const open = await openCached(kind, deployment);
      // One slot, so that in a cluster as well an mGet is one command.
      const key = (n: number | string): string => `{${open.keyFor('tag')}}:${n}`;
      const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => key(i));
      const fill = (all: readonly string[]) =>
        Promise.all(all.map((each) => open.writer.set(each, `value of ${each}`)));
      return Object.assign(open, { key, keys, fill });
    };
    const valuesOf = (keys: readonly string[]) => keys.map((key) => `value of ${key}`);

    test('one new key among many is all that is asked for', async () => {
      await using open = await opened();
      const { client, keys, fill, counted } = open;
      const [first, more] = [keys(6), keys(7)];
      await fill(more);
      expect(await client.mGet(first)).toEqual(valuesOf(first));
      expect(counted()).toMatchObject({ hits: 0, misses: 6, loads: 1, fills: 6 });
      const before = [await callsOf(deployment, 'mget'), await callsOf(deployment, 'pttl')];
      expect(await client.mGet(more)).toEqual(valuesOf(more));
      expect(counted()).toMatchObject({ hits: 6, misses: 1, loads: 1, fills: 1 });
      const after = [await callsOf(deployment, 'mget'), await callsOf(deployment, 'pttl')];
      // One MGET of one key, with its remaining time.
      expect(after).toEqual(before.map((calls) => calls + 1));
      expect(await client.mGet(more.toReversed())).toEqual(valuesOf(more.toReversed()));
      expect(await callsOf(deployment, 'mget')).toBe(after[0]);
    });

    test('what GET has read it need not, and the other way round', async () => {
      await using open = await opened();
      const { client, keys, fill, counted } = open;
      const all = keys(4);
      await fill(all);
      await client.get(all[0] as string);
      counted();
      await client.mGet(all);
      expect(counted()).toMatchObject({ hits: 1, misses: 3 });
      for (const key of all) expect(await client.get(key)).toBe(`value of ${key}`);
      expect(counted()).toMatchObject({ hits: 4, misses: 0 });
    });

    test('a key that others write is the only one that is read anew', async () => {
      await using open = await opened();
      const { client, writer, keys, fill, counted, invalidated } = open;
      const all = keys(5);
      await fill(all);
      await client.mGet(all);
      const changed = all[2] as string;
      const gone = invalidated(changed);
      await writer.set(changed, 'new');
      await gone;
      counted();
      const expected = valuesOf(all);
      expected[2] = 'new';
      expect(await client.mGet(all)).toEqual(expected);
      expect(counted()).toMatchObject({ hits: 4, misses: 1, fills: 1 });
    });

    test('the same key twice, missing ones, and ones of another type', async () => {
      await using open = await opened();
      const { client, writer, engine, key, fill, counted } = open;
      await fill([key('a')]);
      await writer.hSet(key('hash'), { field: 'value' });
      const asked = [key('a'), key('none'), key('a'), key('hash'), key('none')];
      const expected = [`value of ${key('a')}`, null, `value of ${key('a')}`, null, null];
      expect(await client.mGet(asked)).toEqual(expected);
      expect(engine.stats().entries).toBe(2);
      expect(engine.internals.store.find(key('none'), 'GET')?.kind).toBe('negative');
      expect(engine.internals.store.find(key('hash'), 'GET')).toBeUndefined();
      counted();
      expect(await client.mGet(asked)).toEqual(expected);
      expect(counted()).toMatchObject({ hits: 4, misses: 1, fills: 0 });
      // GET says what MGET does not.
      await expect(client.get(key('hash'))).rejects.toThrow(/^WRONGTYPE/);
    });

    test('twenty keys: their times are asked for at once, and each has its own', async () => {
      await using open = await opened();
      const { client, writer, engine, keys } = open;
      const all = keys(20);
      for (const [i, key] of all.entries())
        await writer.set(key, 'value', i % 2 === 0 ? { PX: 20_000 + i * 1_000 } : undefined);
      const pttls = await callsOf(deployment, 'pttl');
      const scripts = (await callsOf(deployment, 'eval')) + (await callsOf(deployment, 'evalsha'));
      await client.mGet(all);
      expect(
        (await callsOf(deployment, 'eval')) + (await callsOf(deployment, 'evalsha')) - scripts,
      ).toBeGreaterThanOrEqual(1);
      // The server counts those inside the script as well.
      expect((await callsOf(deployment, 'pttl')) - pttls).toBe(20);
      const nowMs = engine.clock.nowMs();
      for (const [i, key] of all.entries()) {
        const leftMs = Number(engine.internals.store.find(key, 'GET')?.deadlineAtMs) - nowMs;
        const mostMs = i % 2 === 0 ? 20_000 + i * 1_000 : 300_000;
        expect([i, leftMs <= mostMs, leftMs > mostMs - 10_000]).toEqual([i, true, true]);
      }
    });

    test('asked for by many at once each key is read once, whatever keys they have in common', async () => {
      await using open = await opened();
      const { client, keys, fill, counted } = open;
      const all = keys(6);
      await fill(all);
      const halves = [all.slice(0, 4), all.slice(2)];
      const answers = await Promise.all([
        ...halves.map((half) => client.mGet(half)),
        client.get(all[3] as string),
      ]);
      expect(answers).toEqual([...halves.map(valuesOf), `value of ${all[3]}`]);
      const { hits, coalesced, fills } = counted();
      // Six keys, asked for nine times in all.
      expect([fills, hits + coalesced]).toEqual([6, 3]);
    });
  });

describe('over one connection', () => {
  let deployment: Awaited<ReturnType<typeof startStandalone>>;
  beforeAll(async () => {
    deployment = await startStandalone();
  });
  afterAll(() => deployment.stop());

  test('a key that changes while all are fetched does not keep the others out', async () => {
    await using proxy = await TcpProxy.start(deployment.node);
    await using tracked = await trackedClient(proxy.url);
    await using other = await otherClient(deployment.url);
    const { client, engine } = tracked;
    await other.client.mSet({ a: '1', b: '1', c: '1' });
    proxy.stall('toClient');
    const reading = client.mGet(['a', 'b', 'c']);
    // Answered by the server, but not here yet, when the push of the write comes behind it.
    await eventually(async () => (await callsOf(deployment, 'pttl')) === 3);
    await other.client.set('b', '2');
    proxy.resume('toClient');
    expect(await reading).toEqual(['1', '1', '1']);
    await tracked.drained();
    expect(engine.internals.store.find('b', 'GET')).toBeUndefined();
    expect(engine.stats().entries).toBe(2);
    expect(await client.mGet(['a', 'b', 'c'])).toEqual(['1', '2', '1']);
  });

  test('a key from here that changes on the way is read anew with the others: they are of one moment', async () => {
    await using proxy = await TcpProxy.start(deployment.node);
    await using tracked = await trackedClient(proxy.url);
    await using other = await otherClient(deployment.url);
    const { client } = tracked;
    for (const direction of ['toServer', 'toClient'] as const) {
      await other.client.mSet({ here: 'old', missing: 'old' });
      await tracked.drained();
      await client.get('here');
      const calls = await callsOf(deployment, 'mget');
      proxy.stall(direction);
      const reading = client.mGet(['here', 'missing']);
      // Once before the server answers, and once when it has.
      if (direction === 'toClient')
        await eventually(async () => (await callsOf(deployment, 'mget')) > calls);
      await other.client.mSet({ here: 'new', missing: 'new' });
      proxy.resume(direction);
      const [here, missing] = await reading;
      expect(here).toBe(missing);
    }
  });

  test('values of two foreign MSETs are never mixed, however the two meet', async () => {
    await using tracked = await trackedClient(deployment.url);
    await using other = await otherClient(deployment.url);
    const { client, engine } = tracked;
    const mixed: unknown[] = [];
    for (let i = 0; i < 400; i += 1) {
      const written = other.client.mSet({ one: `${i}`, two: `${i}` });
      const [one, two] = await client.mGet(['one', 'two']);
      if (one !== two) mixed.push([one, two]);
      await written;
      // Sometimes one of them is here by the next time.
      if (i % 3 > 0) await client.get('one');
    }
    expect(mixed).toEqual([]);
    expect(engine.stats().hits).toBeGreaterThan(0);
  });

  test('the command itself holds the missing keys only, in their order', async () => {
    await using tracked = await trackedClient(deployment.url);
    const { client } = tracked;
    await client.mGet(['{m}2', '{m}4']);
    await using watching = await monitor(deployment.node.port);
    await client.mGet(['{m}1', '{m}2', '{m}3', '{m}4', '{m}5']);
    const asked = watching.lines().filter((line) => / "(MGET|PTTL)"/.test(line));
    expect(asked.map((line) => line.replace(/^.*?] /, ''))).toEqual([
      '"MGET" "{m}1" "{m}3" "{m}5"',
      ...['1', '3', '5'].map((n) => `"PTTL" "{m}${n}"`),
    ]);
  });

  test('keys as Buffers, and values as Buffers, are those of GET', async () => {
    await using tracked = await trackedClient(deployment.url);
    const { client, engine } = tracked;
    const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    await client.set('text', 'value');
    await client.mGet(['text']);
    expect(await bytes.mGet(['text'])).toEqual([Buffer.from('value')]);
    const before = engine.stats().hits;
    expect(await client.mGet([Buffer.from('text')] as never)).toEqual(['value']);
    expect(await client.mGet([Buffer.from('text')] as never)).toEqual(['value']);
    expect(engine.stats().hits).toBe(before + 1);
  });
});

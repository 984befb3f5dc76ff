// Slots that change their master while their keys, and the absence of keys, are cached (I4).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import {
  finishSlotMove,
  moveKeys,
  moveSlot,
  type SlotMove,
  startSlotMove,
} from '../../support/slots.ts';
import {
  endsOf,
  expectBounded,
  loadsOf,
  MAX_STALENESS_MS,
  type MaxStaleness,
  NEVER,
  newKey,
  openLasting,
  untilCached,
  Watch,
} from './topology.ts';

let cluster: Deployment;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

const open = (maxStaleness: MaxStaleness = NEVER) => openLasting('cluster', cluster, maxStaleness);

type Opened = Awaited<ReturnType<typeof open>>;

/** Reads of four keys of one slot by several commands, and what each answers for no such key. */
function absences({ raw }: Opened, tag: string): Record<string, () => Promise<unknown>> {
  const [text, hash, list, set] = ['text', 'hash', 'list', 'set'].map((each) => `{${tag}}${each}`);
  return {
    get: () => raw.get(text as string),
    exists: () => raw.exists(text as string),
    strLen: () => raw.strLen(text as string),
    'exists of two': () => raw.exists([text as string, hash as string]),
    'mGet of two': () => raw.mGet([text as string, `{${tag}}never`]),
    hGet: () => raw.hGet(hash as string, 'field'),
    hGetAll: () => raw.hGetAll(hash as string),
    lRange: () => raw.lRange(list as string, 0, -1),
    sMembers: () => raw.sMembers(set as string),
  };
}

const fill = (tag: string): string[][] => [
  ['SET', `{${tag}}text`, 'value'],
  ['HSET', `{${tag}}hash`, 'field', 'value'],
  ['RPUSH', `{${tag}}list`, 'value'],
  ['SADD', `{${tag}}set`, 'value'],
];

const asText = (value: unknown): string => JSON.stringify(value);

describe('a slot that moves without keys', () => {
  test('cached absences of several commands are served for no longer than maxStaleness', async () => {
    await using opened = await open(MAX_STALENESS_MS);
    const tag = newKey();
    const { slot, to } = await endsOf(cluster, tag);
    const reads = absences(opened, tag);
    await untilCached(opened.engine, [...Object.values(reads)]);
    const absent = new Map<string, string>();
    for (const [name, read] of Object.entries(reads)) absent.set(name, asText(await read()));
    const watches = Object.entries(reads).map(([name, read]) => ({
      name,
      watch: new Watch(async () => asText(await read())),
    }));
    await moveSlot(cluster, slot, to);
    for (const command of fill(tag)) await to.ask(...command);
    const sinceMs = performance.now();
    await watches[0]?.watch.until(asText('value'));
    await watches[0]?.watch.forMore(2 * MAX_STALENESS_MS);
    for (const { name, watch } of watches) {
      await watch.stop();
      expect(watch.failures).toEqual([]);
      expect(watch.seen.at(-1)?.value, name).not.toBe(absent.get(name));
      expectBounded(watch, sinceMs, (value) => value === absent.get(name));
    }
    await untilCached(opened.engine, Object.values(reads));
  });

  test('after a command that answers MOVED not one more is served', async () => {
    await using opened = await open();
    const tag = newKey();
    const { slot, to } = await endsOf(cluster, tag);
    const reads = Object.values(absences(opened, tag));
    await untilCached(opened.engine, reads);
    const before = await Promise.all(reads.map((read) => read().then(asText)));
    await moveSlot(cluster, slot, to);
    for (const command of fill(tag)) await to.ask(...command);
    // Nobody could know, and no heartbeat asked.
    expect(await loadsOf(opened.engine, reads)).toBe(0);
    await opened.client.set(`{${tag}}other`, 'any');
    const after = await Promise.all(reads.map((read) => read().then(asText)));
    for (const [i, text] of after.entries()) expect(text).not.toBe(before[i]);
    await untilCached(opened.engine, reads);
    await to.ask('DEL', `{${tag}}text`);
    await eventually(async () => (await opened.client.get(`{${tag}}text`)) === null);
  });

  test('and back again: what was read at its first owner stays void', async () => {
    await using opened = await open(MAX_STALENESS_MS);
    const key = newKey();
    const { slot, from, to } = await endsOf(cluster, key);
    await untilCached(opened.engine, [() => opened.client.get(key)]);
    const watch = new Watch(() => opened.client.get(key));
    await moveSlot(cluster, slot, to);
    await to.ask('SET', key, 'value');
    const sinceMs = performance.now();
    await moveSlot(cluster, slot, from);
    await watch.until('value');
    await watch.forMore(MAX_STALENESS_MS);
    await watch.stop();
    expectBounded(watch, sinceMs, (value) => value === null);
  });
});

describe('a slot that moves with its keys', () => {
  test('MIGRATE evicts by push what was kept of each key that it moves, and nothing else', async () => {
    await using opened = await open();
    const { engine, client, raw } = opened;
    const [tag, elsewhere] = [newKey(), newKey()];
    const { slot, from, to } = await endsOf(cluster, tag);
    for (const command of fill(tag)) await from.ask(...command);
    await client.set(elsewhere, 'value');
    const reads = [
      ...Object.values(absences(opened, tag)),
      () => raw.get(`{${tag}}stays`),
      () => client.get(elsewhere),
    ];
    await untilCached(opened.engine, reads);
    const { entries, evictions } = engine.stats();
    const move = await startSlotMove(cluster, slot, to);
    expect(await loadsOf(engine, reads)).toBe(0);
    await moveKeys(move);
    // What was kept of keys that are not there, and of other slots.
    const remaining = 3;
    await eventually(() => engine.stats().entries === remaining);
    expect(engine.stats().evictions).toMatchObject({
      ...evictions,
      invalidation: evictions.invalidation + entries - remaining,
    });
    expect(await loadsOf(engine, [() => client.get(elsewhere)])).toBe(0);
    await finishSlotMove(move);
    expect(await client.get(`{${tag}}text`)).toBe('value');
    expect(await raw.hGetAll(`{${tag}}hash`)).toEqual({ field: 'value' });
    await untilCached(engine, reads);
    // From the new owner, which pushes.
    await to.ask('SET', `{${tag}}text`, 'changed');
    await eventually(async () => (await client.get(`{${tag}}text`)) === 'changed');
  });
});

describe('a slot that is moving', () => {
  /** Keys of one slot: two have moved, one has not, one exists nowhere. */
  async function halfMoved(): Promise<{ move: SlotMove; tag: string }> {
    const tag = newKey();
    const { slot, from, to } = await endsOf(cluster, tag);
    for (const name of ['moved', 'gone', 'stays']) await from.ask('SET', `{${tag}}${name}`, name);
    await from.ask('HSET', `{${tag}}hash`, 'field', 'value');
    const move = await startSlotMove(cluster, slot, to);
    await moveKeys(move, [`{${tag}}moved`, `{${tag}}gone`, `{${tag}}hash`]);
    return { move, tag };
  }

  test('what an attempt after ASK brought is right, and none of it is kept', async () => {
    await using opened = await open();
    const { client, raw, engine } = opened;
    const { move, tag } = await halfMoved();
    // Connected to everybody before anything is counted.
    await untilCached(engine, [() => client.get(`{${tag}}stays`)]);
    await raw.set(newKey(), 'any');
    const asked: [() => Promise<unknown>, unknown][] = [
      [() => client.get(`{${tag}}moved`), 'moved'],
      [() => client.exists(`{${tag}}gone`), 1],
      [() => raw.hGetAll(`{${tag}}hash`), { field: 'value' }],
      [() => client.get(`{${tag}}never`), null],
      [() => raw.exists([`{${tag}}moved`, `{${tag}}gone`]), 2],
      [() => client.mGet([`{${tag}}moved`, `{${tag}}gone`]), ['moved', 'gone']],
    ];
    const before = engine.stats();
    for (let round = 0; round < 3; round += 1)
      for (const [read, answer] of asked) expect(await read()).toEqual(answer);
    expect(engine.stats()).toMatchObject({
      entries: before.entries,
      fills: before.fills,
      hits: before.hits,
    });
    // Nobody here is told of writes there, so every read has to go there.
    for (let i = 0; i < 20; i += 1) {
      await opened.writer.set(`{${tag}}moved`, `${i}`);
      expect(await client.get(`{${tag}}moved`)).toBe(`${i}`);
    }
    // A key that has not moved is the old owner's: kept, and pushed.
    expect(await loadsOf(engine, [() => client.get(`{${tag}}stays`)])).toBe(0);
    await opened.writer.set(`{${tag}}stays`, 'changed');
    await eventually(async () => (await client.get(`{${tag}}stays`)) === 'changed');
    await moveKeys(move);
    await finishSlotMove(move);
    await untilCached(
      engine,
      asked.map(([read]) => read),
    );
    await move.to.ask('SET', `{${tag}}moved`, 'last');
    await eventually(async () => (await client.get(`{${tag}}moved`)) === 'last');
  });

  test('mGet of keys here and there fails as it does without a cache, unless all are known', async () => {
    await using opened = await open();
    const { client, writer, engine } = opened;
    const { move, tag } = await halfMoved();
    const both = [`{${tag}}moved`, `{${tag}}stays`];
    const without = await writer.mGet(both).catch((error: unknown) => error);
    expect(without).toBeInstanceOf(Error);
    expect(String(without)).toContain('TRYAGAIN');
    for (let i = 0; i < 2; i += 1)
      expect(String(await client.mGet(both).catch((error: unknown) => error))).toBe(
        String(without),
      );
    expect(await client.mGet([`{${tag}}stays`, `{${tag}}stays`])).toEqual(['stays', 'stays']);
    await moveKeys(move);
    await finishSlotMove(move);
    await untilCached(engine, [() => client.get(both[0] as string)]);
    expect(await client.mGet(both)).toEqual(['moved', 'stays']);
  });

  test('an absence that was cached before is served for no longer than maxStaleness, however long it takes', async () => {
    await using opened = await open(MAX_STALENESS_MS);
    const { client, engine, writer } = opened;
    const key = newKey();
    const { slot, to } = await endsOf(cluster, key);
    await untilCached(engine, [() => client.get(key)]);
    const watch = new Watch(() => client.get(key));
    const move = await startSlotMove(cluster, slot, to);
    // Redirected by ASK: the old owner, where the absence was read, sees nothing of it.
    await writer.set(key, 'value');
    const sinceMs = performance.now();
    await watch.forMore(4 * MAX_STALENESS_MS);
    await watch.stop();
    await finishSlotMove(move);
    expectBounded(watch, sinceMs, (value) => value === null);
  });
});

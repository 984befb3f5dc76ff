import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { FakeClient } from '../../src/testing/index.ts';
import type { TrackingOptions } from '../../src/tracking/options.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present, setting } from './setting.ts';

describe.for([
  ['its keys', ['k']],
  ['everything', 'all'],
] as const)('I6: a write of ours to %s', ([, written]) => {
  test('drops what is here when it is sent', async () => {
    using it = await setting();
    await it.cached('k', 'old');
    it.cache.wrote(written);
    expect(it.cache.stats()).toMatchObject({ entries: 0, evictions: { 'own-write': 1 } });
  });

  test('a read in flight when it is sent is not kept, and not joined', async () => {
    using it = await setting();
    const before = it.read('k');
    it.cache.wrote(written);
    const after = it.read('k');
    expect(it.client.sent).toHaveLength(2);
    await it.answer('old');
    await it.answer('new');
    it.cache.wrote(written);
    expect(await Promise.all([before, after])).toEqual(['old', 'new']);
    expect(it.cache.stats().entries).toBe(0);
  });

  test('a read between the two is here until the reply of the write, no longer', async () => {
    using it = await setting();
    it.cache.wrote(written);
    await it.cached('k', 'either');
    expect(it.cache.lookup('k')).toBeUndefined();
    expect(await it.read('k')).toBe('either');
    it.cache.wrote(written);
    void it.read('k');
    expect(it.client.sent).toHaveLength(1);
    await it.answer('new');
  });

  test('a read that was sent before it and answered after its reply is not kept', async () => {
    using it = await setting();
    const reading = it.read('k');
    it.cache.wrote(written);
    it.cache.wrote(written);
    await it.answer('old');
    expect(await reading).toBe('old');
    expect(it.cache.stats()).toMatchObject({ entries: 0, refusedFills: 1 });
  });

  test('a read that was sent between the two and answered after the reply is not kept', async () => {
    using it = await setting();
    it.cache.wrote(written);
    const reading = it.read('k');
    it.cache.wrote(written);
    await it.answer('old');
    await reading;
    expect(it.cache.stats().entries).toBe(0);
  });

  test('a read that was sent after its reply is kept', async () => {
    using it = await setting();
    it.cache.wrote(written);
    it.cache.wrote(written);
    await it.cached('k', 'new');
    expect(await it.read('k')).toBe('new');
  });

  test('severs a guard, and says so before the call returns', async () => {
    using it = await setting();
    const told: string[] = [];
    const guard = it.cache.guard(['k'], (by) => told.push(by));
    it.cache.wrote(written);
    expect([guard.severed, told]).toEqual([true, ['severed']]);
    it.cache.release(guard);
  });
});

test('a write of ours leaves other keys alone, here and under way', async () => {
  using it = await setting();
  await it.cached('other', 'value');
  const reading = it.read('third');
  it.cache.wrote(['k']);
  await it.answer('value');
  await reading;
  expect(await it.read('other')).toBe('value');
  expect(await it.read('third')).toBe('value');
});

test('it drops every reply of its keys, and a copy that expects an echo', async () => {
  using it = await setting();
  it.cache.fill(it.cache.guard(['k']), 'k', 1, { ...present(), by: 'own-write' });
  it.cache.fill(it.cache.guard(['k']), 'k', 1, present(), 'GET');
  await it.cache.read(['k', 'l'], 'MGET', async () => ({ value: 1, cache: present() }));
  it.cache.wrote(['k']);
  expect(it.cache.stats()).toMatchObject({ entries: 0, evictions: { 'own-write': 3 } });
});

describe('a fill by an own write where no echo comes', () => {
  const modes: [string, TrackingOptions][] = [
    ['noLoop', { noLoop: true }],
    ['broadcast, which may merge pushes', { mode: { broadcast: [''] } }],
  ];

  async function tracked(options: TrackingOptions) {
    const client = new FakeClient();
    const cache = createTrackingCache();
    const { session, detach } = attach(cache, client, options);
    await client.connect();
    expect(session.state.is).toBe('tracking');
    const own = { ...present(), by: 'own-write' } as const;
    return { client, cache, session, own, [Symbol.dispose]: detach };
  }

  test.for(modes)(
    '%s: the first push drops it, since it is of somebody else',
    async ([, options]) => {
      using it = await tracked(options);
      expect(it.session.echoesWrites).toBe(false);
      expect(it.cache.fill(it.cache.guard(['k']), 'k', 1, it.own)).toBe(true);
      it.client.push('k');
      expect(it.cache.lookup('k')).toBeUndefined();
    },
  );

  test.for(modes)('%s: a push in its window refuses it', async ([, options]) => {
    using it = await tracked(options);
    const guard = it.cache.guard(['k']);
    it.client.push('k');
    expect(it.cache.fill(guard, 'k', 1, it.own)).toBe(false);
  });
});

test('broadcast: what the prefixes leave out is neither kept nor joined', async () => {
  using it = await setting({}, { mode: { broadcast: ['user:'] }, maxStaleness: false });
  const all = [it.read('other'), it.read('other')];
  expect(it.client.sent).toHaveLength(2);
  for (const { reply } of [...it.client.sent]) reply('value');
  await Promise.all(all);
  expect(it.cache.stats().entries).toBe(0);
  await it.cached('user:1', 'value');
  expect(await it.read('user:1')).toBe('value');
  const both = it.cache.guard(['user:1', 'other']);
  expect(both.severed).toBe(true);
  it.cache.release(both);
});

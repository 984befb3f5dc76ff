import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { assertIdle, assertStoreValid, FakeClient, settled } from '../../src/testing/index.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present, setting } from './setting.ts';

const TRACKING = ['CLIENT', 'TRACKING', 'ON'];

function attached() {
  const client = new FakeClient();
  const cache = createTrackingCache();
  const detach = attach(cache, client);
  const fill = (): boolean => cache.fill(cache.guard(['k']), 'k', 1, present());
  return { client, cache, detach, fill };
}

describe('attach', () => {
  test('asks for tracking once per connection, and nothing is kept before the answer', async () => {
    const { client, cache, fill } = attached();
    expect([cache.state, fill(), client.sent]).toEqual(['down', false, []]);
    client.connection('up');
    expect(client.sent.map(({ args }) => args)).toEqual([TRACKING]);
    const early = cache.guard(['k']);
    expect([cache.state, fill()]).toEqual(['enabling', false]);
    client.next(...TRACKING).reply('OK');
    await settled();
    expect([cache.state, fill()]).toEqual(['tracking', true]);
    expect(cache.fill(early, 'k', 'T1', present())).toBe(false);
    expect(client.sent).toEqual([]);
    assertStoreValid(cache);
  });

  test('to a client that is already up, asks at once', async () => {
    const client = new FakeClient();
    client.connection('up');
    const cache = createTrackingCache();
    attach(cache, client);
    client.next(...TRACKING).reply('OK');
    await settled();
    expect(cache.state).toBe('tracking');
  });

  test('a refusal leaves it untracked until the next connection', async () => {
    const { client, cache, fill } = attached();
    client.connection('up');
    client.next(...TRACKING).fail(new Error('NOPERM'));
    await settled();
    expect(cache.session.state).toMatchObject({ is: 'untracked', reason: new Error('NOPERM') });
    expect(fill()).toBe(false);
    client.connection('down');
    await client.connect();
    expect([cache.state, fill()]).toEqual(['tracking', true]);
  });

  test.for(['reply', 'fail'] as const)(
    'T3: an answer about a connection that is gone changes nothing (%s)',
    async (how) => {
      const { client, cache } = attached();
      client.connection('up');
      const late = client.next(...TRACKING);
      // This client does not reject what was unanswered when it comes up without having gone down.
      client.connection('up');
      late[how](new Error('late'));
      await settled();
      expect(cache.state).toBe('enabling');
      client.next(...TRACKING).reply('OK');
      await settled();
      expect(cache.state).toBe('tracking');
    },
  );

  test('an answer that comes when the connection is down changes nothing', async () => {
    const { client, cache } = attached();
    client.connection('up');
    const command = client.next(...TRACKING);
    command.reply('OK');
    client.connection('down');
    await settled();
    expect(cache.state).toBe('down');
  });

  test('a lost connection drops everything, wakes all who wait, and the next one keeps again', async () => {
    const { client, cache, fill } = attached();
    await client.connect();
    fill();
    const causes: unknown[] = [];
    const stop = cache.onInvalidation('k', (cause) => causes.push(cause, cache.lookup('k')));
    client.connection('down');
    expect(causes).toEqual(['disconnect', undefined]);
    client.connection('down');
    expect(causes).toHaveLength(2);
    await client.connect();
    expect([cache.lookup('k'), fill(), cache.lookup('k')?.value]).toEqual([undefined, true, 1]);
    stop();
  });

  test('detaching drops everything, takes back its listeners and ends what comes from there', async () => {
    const { client, cache, detach, fill } = attached();
    await client.connect();
    fill();
    detach();
    expect([cache.state, cache.stats().entries, client.listeners]).toEqual(['down', 0, 0]);
    client.push('k');
    await client.connect();
    expect([cache.state, cache.stats().pushes, client.sent]).toEqual(['down', 0, []]);
    const second = new FakeClient();
    attach(cache, second);
    await second.connect();
    expect([cache.state, fill()]).toEqual(['tracking', true]);
  });

  test('a client that is closed for good closes the engine', async () => {
    const { client, cache, fill } = attached();
    await client.connect();
    fill();
    client.connection('closed');
    expect([cache.state, cache.stats().entries]).toEqual(['closed', 0]);
    await client.connect();
    expect([cache.state, fill(), client.sent]).toEqual(['closed', false, []]);
  });
});

describe('close', () => {
  test('I14: drops everything, wakes all who wait, and keeps nothing from then on', async () => {
    using it = await setting();
    await it.cached('k', 'old');
    const under = it.read('other');
    const causes: string[] = [];
    const stop = it.cache.onInvalidation('k', (cause) => causes.push(cause));
    it.cache.close();
    it.cache.close();
    expect(causes).toEqual(['close']);
    await it.answer('value');
    expect(await under).toBe('value');
    expect(it.cache.stats()).toMatchObject({ state: 'closed', entries: 0 });
    await it.cached('k', 'new');
    expect(it.cache.stats().entries).toBe(0);
    stop();
    it.detach();
    expect(it.client.listeners).toBe(0);
    assertIdle(it.cache);
  });
});

test('untracked, every call asks for itself and nothing is kept', async () => {
  const cache = createTrackingCache();
  let asked = 0;
  const read = () =>
    cache.read(['k'], 'k', async () => {
      asked += 1;
      return { value: asked, cache: present() };
    });
  expect(await Promise.all([read(), read()])).toEqual([1, 2]);
  expect(await read()).toBe(3);
  expect(cache.stats()).toMatchObject({ entries: 0, coalesced: 0, refusedFills: 3 });
  assertIdle(cache);
});

test('a host that sees to tracking itself dispatches connected, and that is all', () => {
  const cache = createTrackingCache();
  cache.session.dispatch({ is: 'connected' });
  expect(cache.state).toBe('tracking');
});

test('the life of the connection is published', async () => {
  const states: unknown[] = [];
  const note = (message: unknown): void => void states.push((message as { state: string }).state);
  subscribe('redcache:connection', note);
  const it = await setting();
  it.client.connection('down');
  it.client.connection('up');
  it.client.next(...TRACKING).fail(new Error('NOPERM'));
  await settled();
  it.cache.close();
  unsubscribe('redcache:connection', note);
  expect(states).toEqual(['tracking', 'down', 'untracked', 'closed']);
});

test('statistics are a copy that does not change', async () => {
  using it = await setting();
  await it.cached('k', 'value');
  const before = it.cache.stats();
  const text = JSON.stringify(before);
  it.client.push('k');
  await it.cached('l', 'value');
  expect(JSON.stringify(before)).toBe(text);
  expect(it.cache.stats()).toMatchObject({
    state: 'tracking',
    entries: 1,
    pushes: 1,
    flushes: 0,
    misses: 2,
    fills: 2,
    evictions: { size: 0, ttl: 0, invalidation: 1, flush: 0, 'own-write': 0 },
  });
});

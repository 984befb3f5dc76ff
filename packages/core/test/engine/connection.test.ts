import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { assertIdle, assertStoreValid, FakeClient } from '../../src/testing/index.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present, setting } from './setting.ts';

function attached() {
  const client = new FakeClient();
  const cache = createTrackingCache();
  const { session, detach } = attach(cache, client);
  const fill = (): boolean => cache.fill(cache.guard(['k']), 'k', 1, present());
  return { client, cache, session, detach, fill };
}

describe('attach', () => {
  test('switches tracking on whenever the connection comes up, and nothing is kept while it is down', async () => {
    const { client, cache, fill } = attached();
    expect([cache.state, fill(), client.sent]).toEqual(['down', false, []]);
    await client.connect();
    expect([cache.state, fill(), cache.lookup('k')?.value]).toEqual(['tracking', true, 1]);
    client.connection('down');
    expect([cache.state, fill(), cache.lookup('k')]).toEqual(['down', false, undefined]);
    await client.connect();
    expect([cache.state, fill(), client.sent]).toEqual(['tracking', true, []]);
    assertStoreValid(cache);
    assertIdle(cache);
  });

  test('to a client that is already up, asks at once', async () => {
    const client = new FakeClient();
    client.connection('up');
    const cache = createTrackingCache();
    attach(cache, client);
    await client.connect();
    expect(cache.state).toBe('tracking');
  });

  test('gives the engine its first session', () => {
    const { cache, session } = attached();
    expect(cache.session).toBe(session);
  });

  test('to an engine that was used before it had a connection: what is read from then on is kept', async () => {
    const cache = createTrackingCache();
    expect(cache.fill(cache.guard(['k']), 'k', 1, present())).toBe(false);
    const client = new FakeClient();
    const { session } = attach(cache, client);
    await client.connect();
    expect(cache.session).toBe(session);
    expect(cache.fill(cache.guard(['k']), 'k', 1, present())).toBe(true);
  });

  test('and detached, the next of its connections takes the first place', async () => {
    const cache = createTrackingCache();
    cache.release(cache.guard(['k']));
    const [first, second] = [new FakeClient(), new FakeClient()].map((client) =>
      attach(cache, client),
    );
    expect(cache.session).toBe(first?.session);
    first?.detach();
    expect(cache.session).toBe(second?.session);
    second?.detach();
    expect(cache.session.state.is).toBe('down');
    expect(cache.session).not.toBe(second?.session);
  });

  test('a lost connection drops everything, wakes all who wait once, and the next one keeps again', async () => {
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

  test('detaching drops what was read there, takes back its listeners and ends what comes from there', async () => {
    const { client, cache, detach, fill } = attached();
    await client.connect();
    fill();
    const { pushes } = cache.stats();
    detach();
    detach();
    expect([cache.state, cache.stats().entries, client.listeners]).toEqual(['down', 0, 0]);
    client.push('k');
    await client.connect();
    expect([cache.state, cache.stats().pushes, client.sent]).toEqual(['down', pushes, []]);
    expect(fill()).toBe(false);
    const second = new FakeClient();
    attach(cache, second);
    await second.connect();
    expect([cache.state, fill()]).toEqual(['tracking', true]);
  });

  test('a client that is closed for good leaves the engine to its other connections', async () => {
    const { client, cache, fill } = attached();
    await client.connect();
    fill();
    client.connection('closed');
    expect([cache.state, cache.stats().entries, fill()]).toEqual(['down', 0, false]);
    const second = new FakeClient();
    const { session } = attach(cache, second);
    await second.connect();
    const guard = cache.guard(['k'], undefined, session);
    expect([cache.state, cache.fill(guard, 'k', 1, present())]).toEqual(['tracking', true]);
  });
});

describe('close', () => {
  test('I14: drops everything, wakes all who wait, and keeps nothing from then on', async () => {
    using it = await setting({}, {});
    await it.cached('k', 'old');
    const under = it.read('other');
    const causes: string[] = [];
    const stop = it.cache.onInvalidation('k', (cause) => causes.push(cause));
    it.cache.close();
    it.cache.close();
    // Why, before what comes of it.
    expect(causes[0]).toBe('close');
    await it.answer('value');
    expect(await under).toBe('value');
    expect(it.cache.stats()).toMatchObject({ state: 'closed', entries: 0, connections: 0 });
    await it.cached('k', 'new');
    expect(it.cache.stats().entries).toBe(0);
    stop();
    it.detach();
    expect([it.client.listeners, it.clock.timers]).toEqual([0, 0]);
  });

  test('a connection that is opened afterwards is closed', async () => {
    const cache = createTrackingCache();
    cache.close();
    expect(cache.state).toBe('closed');
    const client = new FakeClient();
    client.connection('up');
    const { session } = attach(cache, client);
    expect([session.state.is, cache.session.state.is, client.sent]).toEqual([
      'closed',
      'closed',
      [],
    ]);
    expect(cache.fill(cache.guard(['k']), 'k', 1, present())).toBe(false);
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

describe('a host that sees to tracking itself', () => {
  test('dispatches connected and disconnected, and that is all', () => {
    const cache = createTrackingCache();
    const fill = (): boolean => cache.fill(cache.guard(['k']), 'k', 1, present());
    cache.session.dispatch({ is: 'connected' });
    expect([cache.state, fill(), cache.lookup('k')?.value]).toEqual(['tracking', true, 1]);
    cache.session.dispatch({ is: 'disconnected' });
    expect([cache.state, fill(), cache.lookup('k')]).toEqual(['down', false, undefined]);
  });

  test('keeps the first place when it opens another connection', () => {
    const cache = createTrackingCache();
    const { session } = cache;
    session.dispatch({ is: 'connected' });
    cache.openSession().dispatch({ is: 'connected' });
    expect(cache.session).toBe(session);
  });
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
    pushes: before.pushes + 1,
    flushes: 0,
    misses: 2,
    loads: 2,
    failedLoads: 0,
    fills: 2,
    evictions: { size: 0, ttl: 0, invalidation: 1, flush: 0, 'own-write': 0 },
  });
});

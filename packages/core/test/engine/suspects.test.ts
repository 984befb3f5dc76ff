// I4: what was read on a connection that is lost may still be right, and is for nobody but who has nothing else.
import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import {
  assertIdle,
  assertStoreValid,
  FakeClient,
  ManualClock,
  settled,
} from '../../src/testing/index.ts';
import type { TrackingSession } from '../../src/tracking/session.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present } from './setting.ts';

/** An engine with two connections, of which each has read a key of its name. */
async function two() {
  const clock = new ManualClock();
  const cache = createTrackingCache({ clock, ttl: 10_000 });
  const [a, b] = ['a', 'b'].map(() => {
    const client = new FakeClient();
    return { client, ...attach(cache, client, { maxStaleness: false }) };
  }) as [Connected, Connected];
  const fill = (session: TrackingSession, key: string): boolean =>
    cache.fill(cache.guard([key], undefined, session), key, key, present());
  for (const [key, { client, session }] of Object.entries({ a, b })) {
    await client.connect();
    fill(session, key);
  }
  return {
    clock,
    cache,
    a,
    b,
    fill,
    suspects: (): string[] => ['a', 'b'].filter((key) => cache.suspect(key) !== undefined),
    hits: (): string[] => ['a', 'b'].filter((key) => cache.lookup(key) !== undefined),
    [Symbol.dispose]: () => {
      assertStoreValid(cache);
      assertIdle(cache);
    },
  };
}

interface Connected extends ReturnType<typeof attach> {
  readonly client: FakeClient;
}

test('while its connection stands nothing is suspect', async () => {
  using it = await two();
  expect([it.suspects(), it.hits()]).toEqual([[], ['a', 'b']]);
});

test('once it is lost: no hit, but a suspect, with its value', async () => {
  using it = await two();
  it.a.client.connection('down');
  expect([it.suspects(), it.hits()]).toEqual([['a'], ['b']]);
  expect(it.cache.suspect('a')?.value).toBe('a');
  expect(it.cache.suspect('a', 'GET')).toBeUndefined();
});

test('of all connections: every one', async () => {
  using it = await two();
  for (const { client } of [it.a, it.b]) client.connection('down');
  expect([it.suspects(), it.hits()]).toEqual([['a', 'b'], []]);
  expect(it.cache.stats()).toMatchObject({ entries: 0, evictions: { disconnect: 2 } });
});

test('not for longer than it would have lived', async () => {
  using it = await two();
  it.a.client.connection('down');
  it.clock.advance(9_999);
  expect(it.suspects()).toEqual(['a']);
  it.clock.advance(1);
  expect(it.suspects()).toEqual([]);
});

describe('no suspect any more', () => {
  test('when its own connection is tracked again, and not before', async () => {
    using it = await two();
    for (const { client } of [it.a, it.b]) client.connection('down');
    it.a.client.connection('up');
    expect(it.suspects()).toEqual(['a', 'b']);
    await it.a.client.connect();
    expect(it.a.session.state.is).toBe('tracking');
    expect(it.suspects()).toEqual(['b']);
  });

  test('when its connection comes and goes before it is tracked: it stays one', async () => {
    using it = await two();
    for (let i = 0; i < 3; i += 1) {
      it.a.client.connection('down');
      it.a.client.connection('up');
    }
    it.a.client.connection('down');
    expect(it.suspects()).toEqual(['a']);
    await settled();
  });

  test('when its connection stands and the server refuses to track it', async () => {
    using it = await two();
    it.a.client.connection('down');
    it.a.client.connection('up');
    for (const { fail } of [...it.a.client.sent]) fail(new Error('NOPERM no'));
    await settled();
    expect([it.a.session.state.is, it.suspects()]).toEqual(['untracked', []]);
  });

  test.for<[string, (it: Awaited<ReturnType<typeof two>>) => void]>([
    ['a flush that another one hears', ({ b }) => b.client.flush()],
    ['a push of its key that another one hears', ({ b }) => b.client.push('a')],
    ['an own write to its key', ({ cache }) => cache.wrote(['a'])],
    ['a fence of its key', ({ cache }) => cache.fence(['a']).settle()],
    ['a clear', ({ cache }) => cache.clear()],
    ['a close', ({ cache }) => cache.close()],
    ['its connection is closed', ({ cache, a }) => cache.closeSession(a.session)],
    [
      'its connection was left because somebody closed it',
      ({ a, cache }) => cache.leaveSession(a.session),
    ],
    ['it is read again elsewhere', ({ b, fill }) => void fill(b.session, 'a')],
  ])('when %s', async ([, happens]) => {
    using it = await two();
    it.a.client.connection('down');
    expect(it.suspects()).toEqual(['a']);
    happens(it);
    expect(it.suspects()).toEqual([]);
  });

  test.for<[string, (it: Awaited<ReturnType<typeof two>>) => void]>([
    ['tracking began anew', ({ a }) => a.session.dispatch({ is: 'changed' })],
    ['it was detached', ({ a }) => a.detach()],
    ['it was closed', ({ a, cache }) => cache.closeSession(a.session)],
  ])('nor ever when its connection was not lost: %s', async ([, happens]) => {
    using it = await two();
    happens(it);
    expect([it.suspects(), it.hits()]).toEqual([[], ['b']]);
    await it.a.client.connect();
  });
});

describe('a connection that is lost for good', () => {
  test('its copies are suspects until any other stands', async () => {
    using it = await two();
    it.b.client.connection('down');
    it.cache.leaveSession(it.a.session, 'lost');
    expect(it.suspects()).toEqual(['a', 'b']);
    await it.b.client.connect();
    expect(it.suspects()).toEqual([]);
  });

  test('and then closed: no longer', async () => {
    using it = await two();
    it.cache.leaveSession(it.a.session, 'lost');
    it.cache.leaveSession(it.a.session);
    expect(it.suspects()).toEqual(['a']);
    it.cache.closeSession(it.a.session);
    expect(it.suspects()).toEqual([]);
  });
});

describe('a guard and the connection that its command takes', () => {
  test('another one, or one that nobody hears: nothing is stored', async () => {
    using it = await two();
    const { cache, a, b } = it;
    const fill = (sent: () => void): boolean => {
      const guard = cache.guard(['k'], undefined, a.session);
      sent();
      return cache.fill(guard, 'k', 1, present());
    };
    expect(cache.isGuarding).toBe(false);
    expect(fill(() => expect(cache.isGuarding).toBe(true))).toBe(true);
    expect(fill(() => cache.sentOn(['other', 'k'], a.session))).toBe(true);
    expect(fill(() => cache.sentOn(['other'], b.session))).toBe(true);
    expect(fill(() => cache.sentOn(['other', 'k'], b.session))).toBe(false);
    expect(fill(() => cache.sentOn(['k'], undefined))).toBe(false);
  });
});

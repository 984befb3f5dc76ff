import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import type { Fetched } from '../../src/flight/fetched.ts';
import {
  assertIdle,
  assertStoreValid,
  FakeClient,
  ManualClock,
  settled,
} from '../../src/testing/index.ts';
import type { TrackingOptions } from '../../src/tracking/options.ts';
import type { TrackingSession } from '../../src/tracking/session.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present } from './setting.ts';

/** An engine with two connections, a and b, both tracked. */
async function pair(options: TrackingOptions = {}) {
  const clock = new ManualClock();
  const cache = createTrackingCache({ clock });
  const connections = [new FakeClient(), new FakeClient()].map((client) => ({
    client,
    ...attach(cache, client, { maxStaleness: '1s', ...options }),
  }));
  const [a, b] = connections as [(typeof connections)[0], (typeof connections)[0]];
  for (const { client } of connections) await client.connect();
  return {
    clock,
    cache,
    a,
    b,
    fill: (session: TrackingSession, key: string): boolean =>
      cache.fill(cache.guard([key], undefined, session), key, key, present()),
    has: (key: string): boolean => cache.lookup(key) !== undefined,
    [Symbol.dispose]: () => {
      assertStoreValid(cache);
      assertIdle(cache);
    },
  };
}

describe('one of two connections is lost', () => {
  test('what was read there is not served, what was read elsewhere is', async () => {
    using it = await pair();
    it.fill(it.a.session, 'of a');
    it.fill(it.b.session, 'of b');
    it.a.client.connection('down');
    expect([it.has('of a'), it.has('of b')]).toEqual([false, true]);
    expect(it.cache.stats()).toMatchObject({
      state: 'tracking',
      connections: 1,
      entries: 1,
      evictions: { disconnect: 1 },
    });
  });

  test('what is being read there is not kept, what is being read elsewhere is', async () => {
    using it = await pair();
    const told: string[] = [];
    const guards = [it.a, it.b].map(({ session }, i) =>
      it.cache.guard(['k'], (by) => told.push(`${i} ${by}`), session),
    );
    it.a.client.connection('down');
    expect(told).toEqual(['0 severed']);
    expect(guards.map((guard) => it.cache.fill(guard, 'k', 1, present()))).toEqual([false, true]);
  });

  test('a read that others have joined is detached only if it was sent there', async () => {
    using it = await pair();
    const sent: string[] = [];
    const read = (key: string, session: TrackingSession): Promise<unknown> =>
      it.cache.read(
        [key],
        key,
        async (): Promise<Fetched<unknown>> => {
          sent.push(key);
          await settled();
          return { value: key, cache: present() };
        },
        { session },
      );
    const all = [read('x', it.a.session), read('y', it.b.session)];
    it.a.client.connection('down');
    all.push(read('x', it.b.session), read('y', it.a.session));
    await Promise.all(all);
    expect(sent).toEqual(['x', 'y', 'x']);
  });

  test('it is read again over the other one, and kept', async () => {
    using it = await pair();
    it.fill(it.a.session, 'k');
    it.a.client.connection('down');
    expect([it.fill(it.b.session, 'k'), it.has('k')]).toEqual([true, true]);
    it.b.client.push('k');
    expect(it.has('k')).toBe(false);
  });

  test('who waits for a key is told, since it may have been read there', async () => {
    using it = await pair();
    const causes: string[] = [];
    const stop = it.cache.onInvalidation('k', (cause) => causes.push(cause));
    it.b.client.connection('down');
    expect(causes).toEqual(['disconnect']);
    stop();
  });

  test('the same key read over both: the newer copy counts, and falls with its own connection', async () => {
    using it = await pair();
    it.fill(it.a.session, 'k');
    it.fill(it.b.session, 'k');
    it.a.client.connection('down');
    expect(it.has('k')).toBe(true);
    it.b.client.connection('down');
    expect(it.has('k')).toBe(false);
  });
});

test('a push that any of them receives drops what any of them read', async () => {
  using it = await pair();
  it.fill(it.a.session, 'k');
  it.b.client.push('k');
  expect(it.has('k')).toBe(false);
});

test('I4: one of them is silent: only what was read there is not served', async () => {
  using it = await pair();
  it.fill(it.a.session, 'of a');
  it.fill(it.b.session, 'of b');
  it.clock.advance(600);
  it.b.client.beat();
  await settled();
  it.clock.advance(400);
  expect([it.has('of a'), it.has('of b')]).toEqual([false, true]);
  expect(it.cache.stats()).toMatchObject({ entries: 2, heartbeatAgeMs: 1_000 });
});

test('I4: a read is joined while its connection is heard, or for as long as that may be silent', async () => {
  using it = await pair();
  const answers: (() => void)[] = [];
  const read = (): Promise<unknown> =>
    it.cache.read(
      ['k'],
      'k',
      () =>
        new Promise<Fetched<unknown>>((resolve) => {
          answers.push(() => resolve({ value: answers.length, cache: present() }));
        }),
      { session: it.a.session },
    );
  const all = [read()];
  it.clock.advance(600);
  it.a.client.beat();
  it.b.client.beat();
  await settled();
  it.clock.advance(600);
  all.push(read());
  expect(answers.length).toBe(1);
  // A process that was stopped for so long hears of it before it reads what has come meanwhile.
  it.clock.advance(400);
  all.push(read(), read());
  expect(answers.length).toBe(2);
  for (const answer of answers) answer();
  await Promise.all(all);
});

describe('one that nothing was read on', () => {
  const asked = ({ client }: { client: FakeClient }): string[] =>
    client.sent.map(({ args }) => args.join(' '));

  test('is asked all the same while what another has read is here, and both rest together', async () => {
    using it = await pair();
    it.fill(it.a.session, 'of a');
    it.clock.advance(500);
    expect([asked(it.a), asked(it.b)]).toEqual([['CLIENT TRACKINGINFO'], ['CLIENT TRACKINGINFO']]);
    for (const { client } of [it.a, it.b]) client.beat();
    await settled();
    it.a.client.push('of a');
    it.clock.advance(60_000);
    expect([asked(it.a), asked(it.b), it.clock.timers]).toEqual([[], [], 0]);
  });

  test.for(['read', 'listened'])(
    'is watched again as soon as somebody %s on another',
    async (how) => {
      using it = await pair();
      for (const { client } of [it.a, it.b]) Object.assign(client, { replace: () => {} });
      it.clock.advance(60_000);
      expect(it.clock.timers).toBe(0);
      const guard = how === 'read' ? it.cache.guard(['k'], undefined, it.a.session) : undefined;
      const stop = how === 'read' ? undefined : it.cache.onInvalidation('k', () => {});
      it.clock.advance(500);
      expect([asked(it.a), asked(it.b)]).toEqual([
        ['CLIENT TRACKINGINFO'],
        ['CLIENT TRACKINGINFO'],
      ]);
      it.a.client.beat();
      await settled();
      it.clock.advance(500);
      expect([it.a.session.silences, it.b.session.silences]).toEqual([0, 1]);
      if (guard !== undefined) it.cache.release(guard);
      stop?.();
    },
  );
});

describe('I2: a reply that comes when its connection is another one', () => {
  test.for(['a reconnect', 'tracking asked for anew'])('is not kept: %s', async (what) => {
    using it = await pair();
    const guard = it.cache.guard(['k'], undefined, it.a.session);
    if (what === 'a reconnect') it.a.client.connection('down');
    else it.a.session.dispatch({ is: 'changed' });
    await it.a.client.connect();
    expect(it.a.session.state.is).toBe('tracking');
    expect(it.cache.fill(guard, 'k', 1, present())).toBe(false);
    expect(it.fill(it.a.session, 'k')).toBe(true);
  });

  test('does not prove that the new connection lives', async () => {
    using it = await pair({ replaceSilent: false });
    const guard = it.cache.guard(['k'], undefined, it.a.session);
    it.a.client.connection('down');
    await it.a.client.connect();
    it.fill(it.a.session, 'k');
    it.clock.advance(999);
    it.cache.fill(guard, 'other', 1, present());
    it.clock.advance(1);
    expect(it.has('k')).toBe(false);
  });
});

describe('a connection that is gone', () => {
  test('closeSession: for good; what was read there is dropped, the others stay', async () => {
    using it = await pair();
    it.fill(it.a.session, 'of a');
    it.fill(it.b.session, 'of b');
    it.cache.closeSession(it.a.session);
    it.cache.closeSession(it.a.session);
    expect([it.has('of a'), it.has('of b')]).toEqual([false, true]);
    expect(it.cache.session).toBe(it.b.session);
    await it.a.client.connect();
    expect([it.a.session.state.is, it.fill(it.a.session, 'k')]).toEqual(['closed', false]);
    expect([it.cache.session, it.cache.stats().connections]).toEqual([it.b.session, 1]);
  });

  test('leaveSession: forgotten, and known again should it come up', async () => {
    using it = await pair();
    it.fill(it.a.session, 'of a');
    it.cache.leaveSession(it.a.session);
    expect([it.has('of a'), it.cache.stats().connections]).toEqual([false, 1]);
    it.a.client.connection('down');
    await it.a.client.connect();
    expect([it.fill(it.a.session, 'k'), it.cache.stats().connections]).toEqual([true, 2]);
  });

  test('leaveSession and then close of the engine: it stays closed should it come up', async () => {
    using it = await pair();
    it.cache.leaveSession(it.a.session);
    it.a.client.connection('down');
    it.cache.close();
    await it.a.client.connect();
    expect([it.a.session.state.is, it.fill(it.a.session, 'k'), it.cache.state]).toEqual([
      'closed',
      false,
      'closed',
    ]);
  });

  test('what it counted stays counted, once', async () => {
    using it = await pair();
    for (const { client } of [it.a, it.a, it.b]) {
      client.connection('down');
      await client.connect();
    }
    expect(it.cache.stats().reconnects).toBe(3);
    it.cache.leaveSession(it.a.session);
    expect(it.cache.stats().reconnects).toBe(3);
    it.a.client.connection('down');
    await it.a.client.connect();
    expect(it.cache.stats().reconnects).toBe(4);
    it.cache.closeSession(it.a.session);
    it.cache.closeSession(it.b.session);
    expect(it.cache.stats()).toMatchObject({ reconnects: 4, state: 'down', connections: 0 });
  });

  test('I12: ten thousand of them leave nothing behind', () => {
    const cache = createTrackingCache();
    for (let i = 0; i < 10_000; i += 1) {
      const session = cache.openSession();
      session.dispatch({ is: 'connected' });
      cache.fill(cache.guard([`${i}`], undefined, session), `${i}`, 1, present());
      if (i % 2 === 0) cache.closeSession(session);
      else {
        cache.leaveSession(session);
        cache.closeSession(session);
      }
    }
    expect(cache.stats()).toMatchObject({ connections: 0, entries: 0, state: 'down' });
    assertStoreValid(cache);
    assertIdle(cache);
  });
});

describe('the state of all', () => {
  test('is the best of them', async () => {
    using it = await pair();
    it.a.client.connection('down');
    expect(it.cache.state).toBe('tracking');
    it.b.client.connection('down');
    expect(it.cache.state).toBe('down');
    it.b.client.connection('up');
    expect(it.cache.state).toBe('enabling');
    for (const { fail } of [...it.b.client.sent]) fail(new Error('NOPERM no'));
    await settled();
    expect(it.cache.stats()).toMatchObject({
      state: 'untracked',
      reason: new Error('NOPERM no'),
      connections: 0,
      heartbeatAgeMs: 0,
    });
    await it.a.client.connect();
    expect(it.cache.stats()).toMatchObject({ state: 'tracking', connections: 1 });
    expect(it.cache.stats()).not.toHaveProperty('reason');
  });
});

describe('a push', () => {
  test('proves that the connection lives which pushed, and not that the other does', async () => {
    using it = await pair();
    it.fill(it.a.session, 'of a');
    it.fill(it.b.session, 'of b');
    it.clock.advance(300);
    it.a.client.push('other');
    expect([it.a, it.b].map(({ session }) => it.clock.nowMs() - session.heardAtMs)).toEqual([
      0, 300,
    ]);
  });

  test('whose connection is not known proves it for the only one there is, and for none of two', async () => {
    using it = await pair();
    it.fill(it.a.session, 'of a');
    it.clock.advance(300);
    it.cache.invalidate(['other']);
    const agesMs = () => [it.a, it.b].map(({ session }) => it.clock.nowMs() - session.heardAtMs);
    expect(agesMs()).toEqual([300, 300]);
    it.b.detach();
    it.cache.invalidate(['other']);
    expect(agesMs()).toEqual([0, 300]);
  });

  test('while the connection is down, as the rest of a chunk may bring, proves nothing', async () => {
    using it = await pair();
    const { session, client } = it.a;
    client.connection('down');
    const heardAtMs = session.heardAtMs;
    it.clock.advance(300);
    it.cache.invalidate(['other'], session);
    expect(session.heardAtMs).toBe(heardAtMs);
  });
});

describe('whoever wants to know when a connection is tracked', () => {
  test('is told after each handshake, of any connection, until it stops', async () => {
    const { cache, a, b } = await pair();
    const told: string[] = [];
    const stop = cache.onTracked(() => told.push(cache.state));
    a.client.connection('down');
    await a.client.connect();
    expect(told).toEqual(['tracking']);
    b.client.connection('down');
    await b.client.connect();
    expect(told).toHaveLength(2);
    stop();
    b.client.connection('down');
    await b.client.connect();
    expect(told).toHaveLength(2);
  });
});

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { assertStoreValid, FakeClient, ManualClock, settled } from '../../src/testing/index.ts';
import type { TrackingOptions } from '../../src/tracking/options.ts';
import { createTrackingCache, type TrackingCache } from '../../src/tracking-cache.ts';
import { present } from '../engine/setting.ts';

/** A client that can be replaced, and that may lead to a node of a cluster. */
class ReplaceableClient extends FakeClient {
  cluster = false;
  blocked = false;
  replaced = 0;
  replace?: () => void = () => {
    this.replaced += 1;
  };
}

const opened: TrackingCache[] = [];
afterEach(() => {
  for (const cache of opened.splice(0)) assertStoreValid(cache);
});

/** A session of an engine on a clock that stands still; its connection is down. */
function attached(options: TrackingOptions = {}, { cluster = false } = {}) {
  const clock = new ManualClock();
  const client = new ReplaceableClient();
  client.cluster = cluster;
  const cache = createTrackingCache({ clock, ttl: '1h' });
  opened.push(cache);
  const { session, detach } = attach(cache, client, options);
  return {
    clock,
    client,
    cache,
    session,
    detach,
    /** Reads and keeps, as if the answer came at once. */
    fill: (key = 'k', value: unknown = key): boolean =>
      cache.fill(cache.guard([key], undefined, session), key, value, present()),
    get value() {
      return cache.lookup('k')?.value;
    },
    /** What was sent and not answered, as text. */
    get sent() {
      return client.sent.map(({ args }) => args.join(' '));
    },
  };
}

type Attached = ReturnType<typeof attached>;

/** The same, tracked. */
async function tracking(options?: TrackingOptions): Promise<Attached> {
  const it = attached(options);
  await it.client.connect();
  expect(it.session.state.is).toBe('tracking');
  return it;
}

const SLOTS = [[0, 16_383, ['10.0.0.1', 6379, 'me', []]]];
const MOVED = [[0, 8_000, ['10.0.0.1', 6379, 'me', []]]];

const NODES = 'me 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-16383';
const INFO = 'cluster_enabled:1\r\ncluster_state:ok\r\n';
const BEAT = ['CLIENT TRACKINGINFO', 'CLUSTER SLOTS', 'CLUSTER NODES', 'CLUSTER INFO'];

/** Answers everything that was sent, and all that follows from it, as a node of a cluster. */
async function answerAsNode(
  { client }: Attached,
  slots: unknown = SLOTS,
  { nodes = NODES, info = INFO } = {},
): Promise<void> {
  for (let sent = [...client.sent]; sent.length > 0; sent = [...client.sent]) {
    for (const { args, reply } of sent) {
      const words = args.join(' ');
      if (words === 'CLUSTER MYID') reply('me');
      else if (words === 'CLUSTER SLOTS') reply(slots);
      else if (words === 'CLUSTER NODES') reply(nodes);
      else if (words === 'CLUSTER INFO') reply(info);
      else if (words === 'CLIENT TRACKINGINFO') reply({ flags: ['on'] });
      else {
        reply('OK');
        if (args[0] === 'SET') client.push(args[1] as string);
      }
    }
    await settled();
  }
}

async function tracksNode(options?: TrackingOptions): Promise<Attached> {
  const it = attached(options, { cluster: true });
  it.client.connection('up');
  await answerAsNode(it);
  expect(it.session.state.is).toBe('tracking');
  return it;
}

/** Answers the handshake of a node that takes no writes. */
async function answerReadOnly({ client }: Attached): Promise<void> {
  for (const { args, reply, fail } of [...client.sent]) {
    if (args[0] === 'SET') fail(new Error("READONLY You can't write against a read only replica."));
    else reply(args[1] === 'TRACKINGINFO' ? { flags: ['on'] } : 'OK');
  }
  await settled();
}

async function refuseTracking({ client }: Attached): Promise<void> {
  for (const { fail } of [...client.sent]) fail(new Error('NOPERM no CLIENT TRACKING'));
  await settled();
}

describe('from the connection to the first hit', () => {
  test('T1, T5: kept once tracking is answered, served once a push was seen', async () => {
    const it = attached();
    expect([it.session.state.is, it.fill(), it.sent]).toEqual(['down', false, []]);
    it.client.connection('up');
    const early = it.cache.guard(['early'], undefined, it.session);
    expect(it.session.state.is).toBe('enabling');
    expect([it.fill(), it.session.source?.tracked]).toEqual([false, false]);
    it.client.next('CLIENT', 'TRACKING', 'ON').reply('OK');
    await settled();
    expect(it.session.state.is).toBe('verifying');
    expect([it.fill(), it.value]).toEqual([true, undefined]);
    // It was sent behind CLIENT TRACKING ON on the same connection, so it is tracked.
    expect(it.cache.fill(early, 'early', 1, present())).toBe(true);
    for (const { args, reply } of [...it.client.sent]) {
      reply('OK');
      if (args[0] === 'SET') it.client.push(args[1] as string);
    }
    await settled();
    expect([it.session.state.is, it.value, it.cache.lookup('early')?.value]).toEqual([
      'tracking',
      'k',
      1,
    ]);
  });

  test('a proxy that swallows pushes is found out before the first hit, and nothing is kept', async () => {
    const it = attached();
    it.client.connection('up');
    it.client.next('CLIENT', 'TRACKING').reply('OK');
    await settled();
    expect(it.fill()).toBe(true);
    while (it.client.sent.length > 0) {
      for (const { reply } of [...it.client.sent]) reply('OK');
      await settled();
    }
    expect(it.session.state).toMatchObject({
      is: 'untracked',
      reason: { message: /^pushes do not/ },
    });
    expect([it.value, it.cache.stats().entries, it.fill()]).toEqual([undefined, 0, false]);
  });

  test('each connection has a probe key of its own', async () => {
    const keys = new Set<string>();
    const cache = createTrackingCache({ clock: new ManualClock() });
    for (const client of [new FakeClient(), new FakeClient()]) {
      attach(cache, client);
      for (let i = 0; i < 2; i += 1) {
        client.connection('down');
        client.connection('up');
        keys.add(String(client.sent.find(({ args }) => args[0] === 'GET')?.args[1]));
      }
    }
    expect(keys.size).toBe(4);
    for (const key of keys) expect(key).toMatch(/^redcache:probe:\w+-\d+-\d+$/);
  });
});

describe('T3: answers of an older connection', () => {
  test.for(['reply', 'fail'] as const)('change nothing, whichever they are (%s)', async (how) => {
    const it = attached();
    it.client.connection('up');
    const late = [...it.client.sent];
    const before = it.session.source;
    // This client does not reject what was unanswered when it comes up without having gone down.
    it.client.connection('up');
    for (const command of late) command[how](new Error('NOPERM late'));
    await settled();
    for (const { args } of late) if (args[0] === 'SET') it.client.push(args[1] as string);
    expect(it.session.state).toEqual({ is: 'enabling', generation: 2 });
    expect(it.session.source).not.toBe(before);
    expect(it.session.source?.tracked).toBe(false);
    expect(it.fill()).toBe(false);
    await it.client.connect();
    expect([it.session.state.is, it.fill(), it.value]).toEqual(['tracking', true, 'k']);
  });

  test('T3: that come while it is down change nothing', async () => {
    const it = attached();
    it.client.connection('up');
    const late = it.client.next('CLIENT', 'TRACKING');
    late.reply('OK');
    it.client.connection('down');
    await settled();
    expect([it.session.state.is, it.session.source]).toEqual(['down', undefined]);
  });

  test('to the question whether it is still tracked change nothing', async () => {
    const it = await tracking();
    const asked = it.session.check();
    const [late] = it.client.sent;
    it.client.connection('up');
    late?.reply({ flags: ['off'] });
    await asked;
    expect(it.session.state).toEqual({ is: 'enabling', generation: 2 });
  });
});

describe('unverified', () => {
  async function unverified(options?: TrackingOptions): Promise<Attached> {
    const it = attached(options);
    it.client.connection('up');
    it.client.next('CLIENT', 'TRACKING').reply('OK');
    await settled();
    expect(it.fill('before')).toBe(true);
    await answerReadOnly(it);
    expect(it.session.state.is).toBe('unverified');
    return it;
  }

  test('says why, drops what was filed before, and keeps and serves from then on', async () => {
    const it = await unverified();
    expect(it.session.state).toMatchObject({ reason: { message: /^READONLY/ } });
    expect(it.cache.lookup('before')).toBeUndefined();
    expect([it.fill(), it.value]).toEqual([true, 'k']);
    expect(it.cache.stats()).toMatchObject({ state: 'unverified', connections: 1 });
  });

  test('refuses what was being read when that became known', async () => {
    const it = attached();
    it.client.connection('up');
    it.client.next('CLIENT', 'TRACKING').reply('OK');
    await settled();
    const guard = it.cache.guard(['k'], undefined, it.session);
    await answerReadOnly(it);
    expect(it.cache.fill(guard, 'k', 1, present())).toBe(false);
  });

  test.for([
    ['500ms', 500],
    ['1m', 2_000],
    [false, 2_000],
  ] as const)(
    'with maxStaleness %s nothing is served for longer than %d ms',
    async ([maxStaleness, ms]) => {
      const it = await unverified({ maxStaleness });
      it.fill();
      // Heard all the time, so that only its age can end it.
      for (let passedMs = 0; passedMs < ms; passedMs += 100) {
        expect(it.value).toBe('k');
        it.clock.advance(100);
        it.client.beat();
        it.fill('other');
      }
      expect(it.value).toBeUndefined();
      expect(it.cache.stats().evictions.ttl).toBeGreaterThan(0);
    },
  );

  test('a new connection that is verified has no such bound', async () => {
    const it = await unverified();
    await it.client.connect();
    it.fill();
    it.clock.jump(1_999);
    it.fill('other');
    it.clock.jump(1_999);
    expect(it.value).toBe('k');
  });
});

describe('what the server tracks has changed', () => {
  const off: Record<string, unknown> = {
    'an object': { flags: ['off'], redirect: -1, prefixes: [] },
    'an object with a Set': { flags: new Set(['off']) },
    'a Map': new Map([['flags', ['off']]]),
    'a flat list': ['flags', ['off'], 'redirect', -1],
  };
  test.for(Object.keys(off))(
    'TRACKINGINFO says off, as %s: it is asked for anew',
    async (shape) => {
      const it = await tracking();
      it.fill();
      const asked = it.session.check();
      expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
      it.client.next('CLIENT', 'TRACKINGINFO').reply(off[shape]);
      await asked;
      expect(it.session.state).toEqual({ is: 'enabling', generation: 2 });
      expect([it.value, it.cache.stats().entries]).toEqual([undefined, 0]);
      expect(it.sent[0]).toBe('CLIENT TRACKING ON');
      await it.client.connect();
      expect([it.fill(), it.value]).toEqual([true, 'k']);
    },
  );

  test('TRACKINGINFO is refused: that is an answer like any other', async () => {
    const it = await tracking();
    it.fill();
    const asked = it.session.check();
    it.clock.jump(1_500);
    it.client.next('CLIENT', 'TRACKINGINFO').fail(new Error('ERR unknown subcommand'));
    await asked;
    expect([it.session.state.is, it.value]).toEqual(['tracking', 'k']);
  });

  test('a connection that is down is not asked', async () => {
    const it = attached();
    await it.session.check();
    expect(it.sent).toEqual([]);
  });

  test('CLUSTER SLOTS are others than before: what was read is dropped, and tracking asked for anew', async () => {
    const it = await tracksNode();
    it.fill();
    const asked = it.session.check();
    expect(it.sent).toEqual(BEAT);
    it.client.next('CLIENT', 'TRACKINGINFO').reply({ flags: ['on'] });
    it.client.next('CLUSTER', 'SLOTS').reply(MOVED);
    it.client.next('CLUSTER', 'NODES').reply(NODES);
    it.client.next('CLUSTER', 'INFO').reply(INFO);
    await asked;
    expect([it.session.state, it.value]).toEqual([{ is: 'enabling', generation: 2 }, undefined]);
    await answerAsNode(it, MOVED);
    expect([it.session.state.is, it.fill(), it.value]).toEqual(['tracking', true, 'k']);
    const again = it.session.check();
    await answerAsNode(it, MOVED);
    await again;
    expect([it.session.state, it.value]).toEqual([{ is: 'tracking', generation: 2 }, 'k']);
  });

  test.for([
    ['a slot is on its way to another node', { nodes: `${NODES} [93->-other]` }],
    ['it is cut off from the others', { info: INFO.replace('ok', 'fail') }],
  ] as const)('%s: the same, and as long as that is so nothing more', async ([, news]) => {
    const it = await tracksNode();
    it.fill();
    void it.session.check();
    await answerAsNode(it, SLOTS, news);
    expect([it.session.state, it.value]).toEqual([{ is: 'tracking', generation: 2 }, undefined]);
    it.fill();
    void it.session.check();
    await answerAsNode(it, SLOTS, news);
    expect([it.session.state.generation, it.value]).toEqual([2, 'k']);
    void it.session.check();
    await answerAsNode(it);
    expect([it.session.state, it.value]).toEqual([{ is: 'tracking', generation: 3 }, undefined]);
  });

  test('CLUSTER SLOTS as before: nothing changes', async () => {
    const it = await tracksNode();
    it.fill();
    const asked = it.session.check();
    await answerAsNode(it, structuredClone(SLOTS));
    await asked;
    expect([it.session.state, it.value]).toEqual([{ is: 'tracking', generation: 1 }, 'k']);
  });

  test('broadcast: it is switched off first, since the server would refuse the same prefixes again', async () => {
    const it = await tracking({ mode: { broadcast: [''] } });
    it.session.dispatch({ is: 'changed' });
    expect(it.sent.slice(0, 2)).toEqual([
      'CLIENT TRACKING OFF',
      'CLIENT TRACKING ON BCAST PREFIX ',
    ]);
  });
});

describe('untracked', () => {
  test('asks again after 1, 2, 4 … seconds, at most a minute apart', async () => {
    const it = attached();
    it.client.connection('up');
    const delaysMs: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      await refuseTracking(it);
      expect([it.session.state.is, it.sent]).toEqual(['untracked', []]);
      expect(it.clock.timers).toBe(1);
      const delayMs = (it.clock.nextTimerAtMs ?? 0) - it.clock.nowMs();
      it.clock.advance(delayMs - 1);
      expect(it.sent).toEqual([]);
      it.clock.advance(1);
      expect(it.sent[0]).toBe('CLIENT TRACKING ON');
      delaysMs.push(delayMs);
    }
    expect(delaysMs.map((ms) => ms / 1_000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('tracking that comes back is used again, and the next refusal begins with a second', async () => {
    const it = attached();
    it.client.connection('up');
    for (let i = 0; i < 3; i += 1) {
      await refuseTracking(it);
      it.clock.advance((it.clock.nextTimerAtMs ?? 0) - it.clock.nowMs());
    }
    await it.client.connect();
    expect([it.session.state.is, it.fill(), it.value]).toEqual(['tracking', true, 'k']);
    it.session.dispatch({ is: 'changed' });
    await refuseTracking(it);
    expect((it.clock.nextTimerAtMs ?? 0) - it.clock.nowMs()).toBe(1_000);
  });

  test.for(['down', 'closed'] as const)(
    'a connection that is %s is not asked any more',
    async (how) => {
      const it = attached();
      it.client.connection('up');
      await refuseTracking(it);
      it.client.connection(how);
      expect(it.clock.timers).toBe(0);
      it.clock.advance(100_000);
      expect(it.sent).toEqual([]);
    },
  );

  test('a new connection is asked at once, and the old delay is forgotten', async () => {
    const it = attached();
    it.client.connection('up');
    await refuseTracking(it);
    it.client.connection('up');
    expect(it.sent[0]).toBe('CLIENT TRACKING ON');
    await refuseTracking(it);
    expect(it.clock.timers).toBe(1);
  });
});

describe('I4: bounded staleness', () => {
  test('hits stop at maxStaleness, and go on without another read when it is heard again', async () => {
    const it = await tracking({ maxStaleness: '1s', replaceSilent: false });
    it.fill();
    it.clock.advance(999);
    expect(it.value).toBe('k');
    it.clock.advance(1);
    expect([it.value, it.cache.stats().entries]).toEqual([undefined, 1]);
    it.clock.advance(5_000);
    expect(it.value).toBeUndefined();
    it.client.beat();
    await settled();
    // It was asked 5500 ms ago: what it has heard since then says nothing of later.
    expect(it.value).toBeUndefined();
    it.clock.advance(600);
    it.client.beat();
    await settled();
    expect(it.value).toBe('k');
  });

  test('counted from when the question was sent, not from when it was answered', async () => {
    const it = await tracking({ maxStaleness: '1s' });
    it.fill();
    it.clock.advance(500);
    expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
    it.clock.advance(400);
    it.client.beat();
    await settled();
    it.clock.advance(599);
    expect(it.value).toBe('k');
    it.clock.advance(1);
    expect(it.value).toBeUndefined();
  });

  test('a used connection is asked as well, since reads are answered when tracking is lost', async () => {
    const it = await tracking({ maxStaleness: '1s' });
    it.fill();
    it.clock.advance(400);
    it.fill('other');
    expect(it.sent).toEqual([]);
    it.clock.advance(100);
    expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
    it.fill('other');
    it.client.next('CLIENT', 'TRACKINGINFO').reply({ flags: ['off'] });
    await settled();
    expect(it.value).toBeUndefined();
  });

  test('a read that was sent long ago proves nothing later than when it was sent', async () => {
    const it = await tracking({ maxStaleness: '1s' });
    it.fill();
    const slow = it.cache.guard(['slow'], undefined, it.session);
    it.clock.jump(1_200);
    expect(it.cache.fill(slow, 'slow', 1, present())).toBe(true);
    expect([it.value, it.cache.lookup('slow')]).toEqual([undefined, undefined]);
  });

  test('in a cluster only a beat proves anything, since a node may have lost its slots', async () => {
    const it = await tracksNode({ maxStaleness: '1s' });
    it.fill();
    for (let i = 0; i < 9; i += 1) {
      it.clock.advance(100);
      it.fill('other');
    }
    expect([it.value, it.sent]).toEqual(['k', BEAT]);
    it.clock.advance(100);
    it.fill('other');
    expect([it.value, it.client.replaced]).toEqual([undefined, 0]);
    await answerAsNode(it);
    expect(it.value).toBe('k');
    // It was asked half a second ago.
    it.clock.advance(499);
    expect(it.value).toBe('k');
    it.clock.advance(1);
    expect(it.value).toBeUndefined();
  });

  test('in a cluster that is used and answers, hits never stop', async () => {
    const it = await tracksNode({ maxStaleness: '1s' });
    it.fill();
    for (let i = 0; i < 200; i += 1) {
      it.clock.advance(37);
      await answerAsNode(it);
      expect(it.value).toBe('k');
      it.fill('other');
    }
  });

  test('in a cluster, one that rested is asked before it serves again', async () => {
    const it = await tracksNode({ maxStaleness: '1s' });
    it.clock.advance(60_000);
    await answerAsNode(it);
    expect(it.clock.timers).toBe(0);
    const guard = it.cache.guard(['k'], undefined, it.session);
    expect(it.sent).toEqual(BEAT);
    await answerAsNode(it);
    expect([it.cache.fill(guard, 'k', 1, present()), it.value]).toEqual([true, 1]);
  });

  test('maxStaleness false: hits never stop, and nothing is asked', async () => {
    const it = await tracking({ maxStaleness: false });
    it.fill();
    it.clock.advance(3_000_000);
    expect([it.value, it.sent, it.clock.timers]).toEqual(['k', [], 0]);
  });

  test('a process that was stopped: hits stop at once, and the healthy connection is not replaced', async () => {
    const it = await tracking({ maxStaleness: '1s' });
    it.fill();
    it.clock.advance(500);
    it.clock.jump(60_000);
    expect(it.value).toBeUndefined();
    it.clock.advance(0);
    it.client.beat();
    await settled();
    it.clock.advance(500);
    it.client.beat();
    await settled();
    expect([it.value, it.client.replaced]).toEqual(['k', 0]);
  });
});

describe('a connection that nobody depends on is left alone', () => {
  test('after the last copy is gone, and watched again from the next read on', async () => {
    const it = await tracking({ maxStaleness: '1s' });
    it.fill();
    it.client.push('k');
    it.clock.advance(60_000);
    expect([it.sent, it.client.replaced, it.clock.timers]).toEqual([[], 0, 0]);
    it.fill();
    expect(it.clock.timers).toBe(1);
    it.clock.advance(500);
    expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
  });

  test.for(['a guard', 'a listener'] as const)('but not while there is %s', async (who) => {
    const it = await tracking({ maxStaleness: '1s' });
    it.clock.advance(10_000);
    const stop =
      who === 'a guard'
        ? (
            (guard) => () =>
              it.cache.release(guard)
          )(it.cache.guard(['k'], undefined, it.session))
        : it.cache.onInvalidation('k', () => {});
    it.clock.advance(500);
    expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
    stop();
    it.client.beat();
    await settled();
    it.clock.advance(10_000);
    expect([it.sent, it.clock.timers]).toEqual([[], 0]);
  });

  test('but a handshake that is not answered is silence', async () => {
    const it = attached({ maxStaleness: '1s' });
    it.client.connection('up');
    it.clock.advance(999);
    expect(it.client.replaced).toBe(0);
    it.clock.advance(1);
    expect(it.client.replaced).toBe(1);
  });
});

describe('a silent connection', () => {
  const silence = (options?: TrackingOptions) => tracking({ maxStaleness: '1s', ...options });

  test('is replaced, once, and reported', async () => {
    const it = await silence();
    it.client.replace = () => {
      it.client.replaced += 1;
      it.client.connection('down');
    };
    const reports: unknown[] = [];
    const note = (message: unknown): void => void reports.push(message);
    subscribe('redcache:silent', note);
    it.fill();
    it.clock.advance(999);
    expect(it.client.replaced).toBe(0);
    it.clock.advance(1);
    expect(it.client.replaced).toBe(1);
    it.clock.advance(60_000);
    unsubscribe('redcache:silent', note);
    expect([it.client.replaced, it.session.silences, it.clock.timers]).toEqual([1, 1, 0]);
    expect(reports).toEqual([{ silentForMs: 1_000 }]);
    expect(it.cache.stats()).toMatchObject({ silences: 1, state: 'down', entries: 0 });
    await it.client.connect();
    expect([it.fill(), it.value, it.session.reconnects]).toEqual([true, 'k', 1]);
  });

  test('is none while it pushes: it is not replaced, but pushes serve no hits', async () => {
    const it = await silence();
    it.fill();
    for (let i = 0; i < 20; i += 1) {
      it.clock.advance(400);
      it.client.push('other');
    }
    expect([it.sent, it.client.replaced]).toEqual([['CLIENT TRACKINGINFO'], 0]);
    expect([it.value, it.cache.stats().entries]).toEqual([undefined, 1]);
    expect(it.cache.stats().heartbeatAgeMs).toBe(0);
    it.clock.advance(999);
    expect(it.client.replaced).toBe(0);
    it.clock.advance(1);
    expect(it.client.replaced).toBe(1);
  });

  test('is none while it pushes flushes', async () => {
    const it = await silence();
    for (let i = 0; i < 20; i += 1) {
      it.fill();
      it.clock.advance(400);
      it.client.flush();
    }
    expect(it.client.replaced).toBe(0);
  });

  test('a push puts off no beat, and proves nothing of how fresh copies are', async () => {
    const it = await silence();
    it.fill();
    it.clock.advance(499);
    it.client.push('other');
    it.clock.advance(1);
    expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
    it.clock.advance(499);
    expect(it.value).toBe('k');
    it.client.push('other');
    it.clock.advance(1);
    expect(it.value).toBeUndefined();
  });

  test('is not replaced while a command waits on the server, but serves no hits', async () => {
    const it = await silence();
    it.fill();
    it.client.blocked = true;
    it.clock.advance(5_000);
    expect([it.client.replaced, it.session.silences, it.value]).toEqual([0, 0, undefined]);
    it.client.blocked = false;
    it.clock.advance(500);
    expect(it.client.replaced).toBe(1);
  });

  test('that was blocked and is heard again serves again', async () => {
    const it = await silence();
    it.fill();
    it.client.blocked = true;
    it.clock.advance(5_000);
    it.client.blocked = false;
    it.client.beat();
    await settled();
    it.clock.advance(500);
    expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
    it.client.beat();
    await settled();
    expect([it.value, it.client.replaced]).toEqual(['k', 0]);
  });

  test('is not replaced with replaceSilent false', async () => {
    const it = await silence({ replaceSilent: false });
    it.fill();
    it.clock.advance(10_000);
    expect([it.client.replaced, it.value]).toEqual([0, undefined]);
  });

  test('of a client that cannot be replaced only serves no hits', async () => {
    const it = await silence();
    delete it.client.replace;
    it.fill();
    it.clock.advance(10_000);
    expect([it.value, it.session.silences]).toEqual([undefined, 0]);
  });
});

describe('I14: when it is over', () => {
  const states: Record<string, (it: Attached) => unknown> = {
    'while tracking is being asked for': (it) => it.client.connection('up'),
    'while it is tracked': (it) => it.client.connect(),
    'while it is untracked': (it) => {
      it.client.connection('up');
      return refuseTracking(it);
    },
    'while a beat is under way': async (it) => {
      await it.client.connect();
      it.fill();
      it.clock.advance(1_000);
    },
    'while a late timer lets the loop read first': async (it) => {
      await it.client.connect();
      it.fill();
      it.clock.jump(60_000);
      it.clock.advance(0);
    },
  };
  const ends: Record<string, (it: Attached) => void> = {
    'detached from': (it) => it.detach(),
    'the engine closed': (it) => it.cache.close(),
    'the client closed': (it) => it.client.connection('closed'),
    'the connection lost': (it) => it.client.connection('down'),
  };
  for (const [state, reach] of Object.entries(states))
    test.for(Object.keys(ends))(
      `${state}: no timer is left, nothing listens and nothing is kept (%s)`,
      async (end) => {
        const it = attached();
        await reach(it);
        ends[end]?.(it);
        expect(it.clock.timers).toBe(0);
        await settled();
        // What had begun may end by itself.
        while (it.client.sent.length > 0) {
          for (const { reply } of [...it.client.sent]) reply('OK');
          await settled();
        }
        it.clock.advance(100_000);
        expect([it.clock.timers, it.sent, it.cache.stats().entries]).toEqual([0, [], 0]);
        expect(it.cache.internals.hub.listenedKeys).toBe(0);
      },
    );
});

describe('what the host has not sent, although the connection stands', () => {
  /** No beat comes between. */
  const CALM = { maxStaleness: '1m' } as const;

  /** As node-redis rejects what it does not even queue. */
  const refuse = async ({ client }: Attached): Promise<void> => {
    for (const { fail } of [...client.sent]) fail(new Error('The queue is full'));
    await settled();
  };

  test('a handshake: it is begun anew after a second, as often as it takes', async () => {
    const it = attached(CALM);
    it.client.connection('up');
    for (let attempt = 0; attempt < 3; attempt += 1) {
      it.client.next('CLIENT', 'TRACKING', 'ON');
      await refuse(it);
      expect([it.session.state.is, it.sent]).toEqual(['enabling', []]);
      it.clock.advance(999);
      expect(it.sent).toEqual([]);
      it.clock.advance(1);
    }
    await answerHandshake(it);
    expect([it.session.state.is, it.fill(), it.value]).toEqual(['tracking', true, 'k']);
  });

  test('the second half of a handshake: the whole of it is begun anew', async () => {
    const it = attached(CALM);
    it.client.connection('up');
    it.client.next('CLIENT', 'TRACKING', 'ON').reply('OK');
    await settled();
    expect(it.session.state.is).toBe('verifying');
    await refuse(it);
    it.clock.advance(1_000);
    it.client.next('CLIENT', 'TRACKING', 'ON');
    await answerHandshake(it);
    expect([it.session.state.is, it.fill(), it.value]).toEqual(['tracking', true, 'k']);
  });

  test('a handshake of a connection that is lost meanwhile is not: the next one has its own', async () => {
    const it = attached();
    it.client.connection('up');
    await refuse(it);
    it.client.connection('down');
    it.clock.advance(1_000);
    expect(it.sent).toEqual([]);
    await it.client.connect();
    it.clock.advance(1_000);
    expect([it.session.state.is, it.sent]).not.toContain('enabling');
    expect(it.sent.filter((each) => each.startsWith('CLIENT TRACKING O'))).toEqual([]);
  });

  test('a beat: the connection is not replaced, and is asked again', async () => {
    const it = await tracking();
    it.fill();
    const halfMs = it.session.rules.maxStalenessMs / 2;
    for (let beat = 0; beat < 4; beat += 1) {
      it.clock.advance(halfMs);
      expect(it.sent).toEqual(['CLIENT TRACKINGINFO']);
      await refuse(it);
    }
    expect(it.client.replaced).toBe(0);
    // What is not heard of is not served either.
    expect(it.value).toBe(undefined);
    it.clock.advance(halfMs);
    it.client.beat();
    await settled();
    expect([it.client.replaced, it.value]).toEqual([0, 'k']);
  });

  /** Answers a handshake whose connection was up before. */
  async function answerHandshake({ client }: Attached): Promise<void> {
    for (let sent = [...client.sent]; sent.length > 0; sent = [...client.sent]) {
      for (const { args, reply } of sent) {
        reply(args[1] === 'TRACKINGINFO' ? { flags: ['on'] } : 'OK');
        if (args[0] === 'SET') client.push(args[1] as string);
      }
      await settled();
    }
  }
});

test('the life of the connection is published, with why where it is not tracked', async () => {
  const states: unknown[] = [];
  const note = (message: unknown): void => void states.push(message);
  subscribe('redcache:connection', note);
  const it = await tracking();
  it.client.connection('down');
  it.client.connection('up');
  await refuseTracking(it);
  it.cache.close();
  unsubscribe('redcache:connection', note);
  expect(states).toEqual([
    { state: 'tracking' },
    { state: 'down' },
    { state: 'untracked', reason: new Error('NOPERM no CLIENT TRACKING') },
    { state: 'closed' },
  ]);
});

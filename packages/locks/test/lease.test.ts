import { ManualClock, settled } from '@redcache/core/testing';
import { Budget } from '@redcache/core/toolkit';
import { expect, test } from 'vitest';
import { LockBid } from '../src/bid/lock-bid.ts';
import { Connections } from '../src/connections.ts';
import { lockKeys } from '../src/keys.ts';
import { Lease, type LeaseOptions } from '../src/lease/lease.ts';
import { listenTo } from '../src/lease/listen.ts';
import { Tally } from '../src/tally.ts';
import { sentOf } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

const LEASE_MS = 3_000;
const DEADLINE_MS = LEASE_MS - (LEASE_MS * 0.01 + 2);

interface Ground {
  readonly clock: ManualClock;
  readonly server: ModelServer;
  readonly port: Awaited<ReturnType<ModelServer['connect']>>['port'];
  readonly lease: Lease;
  readonly told: string[];
  /** What was sent since the last look at it. */
  sent(): string[];
  assertIdle(): void;
}

function bidOver(connections: Connections): LockBid {
  const [holder, tally] = ['me', new Tally()];
  return new LockBid({ connections, key: 'k', keys: lockKeys('', 'k'), holder, tally });
}

async function hold(options: Partial<LeaseOptions> = {}): Promise<Ground> {
  const clock = new ManualClock();
  const server = new ModelServer(clock);
  const link = await server.connect();
  const { port, engine } = link;
  const connections = new Connections({ first: link }, new Budget(clock, 100), () => {});
  const bid = bidOver(connections);
  const listenersBefore = port.listeners;
  const told: string[] = [];
  const lease = new Lease({
    ...{ label: 'k', leaseMs: LEASE_MS, driftRatio: 0.01, autoExtend: true },
    ...{ clock, listen: (tell) => bid.listen(tell), commands: bid },
    onForeignPush: () => void told.push('foreign'),
    onLost: (reason) => void told.push(reason),
    ...options,
  });
  lease.acquiring();
  await bid.take({ leaseMs: LEASE_MS, tokens: 1 }, 'if-free');
  lease.held(0);
  told.length = 0;
  const sent = (): string[] => sentOf(port);
  sent();
  return {
    ...{ clock, server, port, lease, told, sent },
    assertIdle: () => {
      expect(clock.timers).toBe(0);
      expect(engine.internals.hub.listenedKeys).toBe(0);
      expect(port.listeners).toBe(listenersBefore);
    },
  };
}

test('is extended at a third of the lease, for as long as it is held, and sends nothing else', async () => {
  const { clock, server, lease, sent, told } = await hold();
  for (let i = 0; i < 12; i += 1) {
    clock.advance(LEASE_MS / 3);
    await settled();
    expect(sent()).toEqual(['extend']);
    expect(server.pttl('k')).toBe(LEASE_MS);
    expect(lease.remainingMs()).toBe(DEADLINE_MS);
  }
  // Each of its own pushes came before the answer to its write, so each was in doubt for a moment.
  expect(new Set(told)).toEqual(new Set(['foreign']));
  expect(lease.signal.aborted).toBe(false);
});

test('is held until its deadline without automatic extension, and not longer', async () => {
  const { clock, server, lease, told, sent, assertIdle } = await hold({ autoExtend: false });
  clock.advance(DEADLINE_MS - 1);
  expect(lease.isHeld).toBe(true);
  expect(lease.remainingMs()).toBe(1);
  clock.advance(1);
  expect(lease.signal.reason).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'expired' });
  expect(told).toEqual(['expired']);
  expect(server.pttl('k')).toBeGreaterThan(0);
  expect(sent()).toEqual([]);
  assertIdle();
});

test.for(['signal', 'remainingMs', 'isHeld', 'extend', 'release'] as const)(
  'shows its loss at the first look by %s when the process was stopped past the lease',
  async (look) => {
    const { clock, lease, sent, assertIdle } = await hold();
    const { signal } = lease;
    clock.jump(LEASE_MS);
    const seen = {
      signal: () => lease.signal.aborted,
      remainingMs: () => lease.remainingMs() === 0,
      isHeld: () => !lease.isHeld,
      extend: () => lease.extend().catch((error) => error.reason === 'expired'),
      release: async () => (await lease.release()) === 'lost',
    };
    expect(await seen[look]()).toBe(true);
    expect(signal.reason).toMatchObject({ reason: 'expired' });
    expect(sent()).toEqual([]);
    assertIdle();
  },
);

test.for([
  ['deleted', (server: ModelServer) => server.del('k')],
  ['taken', (server: ModelServer) => server.set('k', 'another:1', 1_000)],
  ['flushed', (server: ModelServer) => server.flush()],
] as const)('is lost at once when its key is %s', async ([reason, change]) => {
  const { lease, server, told, sent, assertIdle } = await hold();
  const { signal } = lease;
  change(server);
  expect(told).toEqual(['foreign']);
  expect(lease.isDoubted).toBe(true);
  await settled();
  expect(signal.reason).toMatchObject({ reason, key: 'k' });
  expect(told).toEqual(['foreign', reason]);
  expect(sent()).toEqual(['GET', 'PTTL']);
  assertIdle();
});

test('goes on after the flush of another database', async () => {
  const { lease, server, port } = await hold();
  port.flushed();
  await settled();
  expect(lease.isHeld).toBe(true);
  // The look has made the connection track the key again.
  server.del('k');
  await settled();
  expect(lease.signal.reason).toMatchObject({ reason: 'deleted' });
});

test('repairs a lease that somebody cut short, and is not misled by the echo of that', async () => {
  const { clock, lease, server, sent } = await hold();
  clock.advance(100);
  server.pexpire('k', 200);
  await settled();
  expect(sent()).toEqual(['GET', 'PTTL', 'extend']);
  expect(server.pttl('k')).toBe(LEASE_MS);
  expect(lease.remainingMs()).toBe(DEADLINE_MS);
  server.del('k');
  await settled();
  expect(lease.signal.reason).toMatchObject({ reason: 'deleted' });
});

test('takes back an endless lease', async () => {
  const { server, sent } = await hold();
  server.pexpire('k', Infinity);
  await settled();
  expect(sent()).toEqual(['GET', 'PTTL', 'extend']);
  expect(server.pttl('k')).toBe(LEASE_MS);
});

test('looks at the key once however many pushes come before the answer', async () => {
  const { port, server, sent, lease } = await hold();
  port.hang();
  server.pexpire('k', LEASE_MS);
  port.resume();
  await settled();
  expect(sent()).toEqual(['GET', 'PTTL']);
  expect(lease.isDoubted).toBe(false);
});

test('sees a deletion while an extension is under way', async () => {
  const { port, server, lease, sent } = await hold();
  port.hang();
  const extended = lease.extend();
  server.del('k');
  port.resume();
  await expect(extended).rejects.toMatchObject({ reason: 'deleted' });
  expect(sent()).toEqual(['extend']);
});

test('sees a takeover right after its own extension', async () => {
  const { port, server, lease } = await hold();
  port.hang();
  const extended = lease.extend();
  port.resume();
  server.set('k', 'another:1', 1_000);
  await settled();
  await extended.catch(() => {});
  expect(lease.signal.reason).toMatchObject({ reason: 'taken' });
});

test('tries an extension again until it is answered', async () => {
  const { clock, port, server, lease } = await hold();
  port.hang();
  await pass(clock, DEADLINE_MS - 300);
  expect(port.unanswered).toBeGreaterThan(3);
  expect(lease.isHeld).toBe(true);
  port.resume();
  await pass(clock, LEASE_MS);
  expect(lease.isHeld).toBe(true);
  expect(server.pttl('k')).toBeGreaterThan(LEASE_MS / 2);
});

test('is lost as expired when Redis hangs until its deadline', async () => {
  const { clock, port, lease, assertIdle } = await hold();
  port.hang();
  await pass(clock, LEASE_MS);
  expect(lease.signal.reason).toMatchObject({ reason: 'expired' });
  clock.advance(100);
  await settled();
  assertIdle();
});

test('outlives a disconnect, looks at the key first, and is tracked again', async () => {
  const { clock, port, server, lease, sent } = await hold();
  port.down();
  clock.advance(LEASE_MS / 2);
  await settled();
  expect(sent()).toEqual([]);
  expect(lease.isHeld).toBe(true);
  port.up();
  await settled();
  expect(sent()).toEqual(['GET', 'PTTL', 'extend']);
  server.del('k');
  await settled();
  expect(lease.signal.reason).toMatchObject({ reason: 'deleted' });
});

test('finds after a reconnect that it was deleted meanwhile', async () => {
  const { port, server, lease } = await hold();
  port.down();
  server.del('k');
  await settled();
  port.up();
  await settled();
  expect(lease.signal.reason).toMatchObject({ reason: 'deleted' });
});

test('is lost as disconnected when the connection stays away', async () => {
  const { clock, port, lease, assertIdle } = await hold();
  port.down();
  clock.advance(DEADLINE_MS);
  expect(lease.signal.reason).toMatchObject({ reason: 'disconnected' });
  await settled();
  assertIdle();
});

test('lasts as long as a caller asked for, shorter or longer', async () => {
  const { clock, server, lease } = await hold({ autoExtend: false });
  await lease.extend(500);
  expect(server.pttl('k')).toBe(500);
  expect(lease.remainingMs()).toBe(500 - 7);
  await lease.extend(9_000);
  expect(lease.remainingMs()).toBe(9_000 - 92);
  clock.advance(8_000);
  expect(lease.isHeld).toBe(true);
});

test('keeps the deadline of the extension that ran last when two are asked for at once', async () => {
  const { clock, server, lease, sent } = await hold();
  clock.advance(LEASE_MS / 3);
  await Promise.all([lease.extend(9_000), lease.extend(1_000)]);
  expect(sent()).toEqual(['extend', 'extend', 'extend']);
  expect(server.pttl('k')).toBe(1_000);
  expect(lease.remainingMs()).toBe(1_000 - 12);
});

test('relies on the shorter time when it does not know whether a shorter lease was set', async () => {
  const { clock, port, lease } = await hold({ autoExtend: false });
  port.hang();
  const extended = lease.extend(500);
  clock.advance(100);
  await expect(extended).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
  expect(lease.remainingMs()).toBe(500 - 7 - 100);
});

test('is not brought back when it is released during an extension', async () => {
  const { clock, port, server, lease, sent, assertIdle } = await hold();
  port.hang();
  clock.advance(LEASE_MS / 3);
  const asked = lease.extend();
  const released = lease.release();
  await expect(asked).rejects.toMatchObject({ reason: 'closed' });
  expect(lease.isHeld).toBe(false);
  port.resume();
  expect(await released).toBe('released');
  await settled();
  expect(sent()).toEqual(['extend', 'release']);
  expect(server.get('k')).toBe(undefined);
  expect(lease.signal.aborted).toBe(false);
  assertIdle();
});

test('answers a second release as the first, and sends one', async () => {
  const { lease, sent } = await hold();
  expect(await Promise.all([lease.release(), lease.release()])).toEqual(['released', 'released']);
  expect(sent()).toEqual(['release']);
});

test('can be released again when the first release was not answered', async () => {
  const { clock, port, lease, server } = await hold();
  port.hang();
  const released = lease.release();
  clock.advance(100);
  await expect(released).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
  port.resume();
  server.set('k', 'another:1', 1_000);
  expect(await lease.release()).toBe('lost');
  expect(server.get('k')).toBe('another:1');
});

test.for(['end', 'abandon'] as const)('leaves nothing behind after %s()', async (way) => {
  const { server, lease, sent, told, assertIdle } = await hold();
  lease[way]();
  lease[way]();
  server.del('k');
  await settled();
  expect(lease.signal.aborted).toBe(false);
  expect(lease.remainingMs()).toBe(0);
  expect(await lease.release()).toBe('lost');
  expect([sent(), told]).toEqual([[], []]);
  assertIdle();
});

test('is not extended beyond the time that was set for it', async () => {
  const { clock, lease, sent } = await hold({ extendUntilAtMs: 1_000 + LEASE_MS / 3 + 1 });
  clock.advance(LEASE_MS / 3);
  await settled();
  clock.advance(LEASE_MS);
  await settled();
  expect(sent()).toEqual(['extend']);
  expect(lease.signal.reason).toMatchObject({ reason: 'expired' });
});

test('tells its owner of pushes before it is held, and of none before it was sent for', async () => {
  const clock = new ManualClock();
  const server = new ModelServer(clock);
  const link = await server.connect();
  const { port, engine } = link;
  const told: string[] = [];
  const lease = new Lease({
    ...{ label: 'k', leaseMs: LEASE_MS, driftRatio: 0.01, autoExtend: true },
    ...{ clock, listen: listenTo({ engine, port }, 'k') },
    commands: bidOver(new Connections({ first: link }, new Budget(clock, 100), () => {})),
    onForeignPush: () => void told.push('foreign'),
  });
  engine.invalidate(['k']);
  expect(told).toEqual([]);
  lease.acquiring();
  engine.invalidate(['k']);
  expect(told).toEqual(['foreign']);
  lease.abandon();
  engine.invalidate(['k']);
  expect(told).toEqual(['foreign']);
});

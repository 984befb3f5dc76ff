import { attach, ConfigError } from '@redcache/core';
import { assertIdle, ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import { hear, type LockGround, openLocks, SETTINGS, sentOf } from './support/lock-ground.ts';
import { type ModelConnection, ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

interface Opened extends LockGround {
  /** The tracked connections that the locks have opened. */
  readonly opened: ModelConnection[];
  readonly closed: ModelConnection[];
}

/** Locks over a connection that hears no push; they may open one that does, which then is `down`. */
async function openUntracked(server = new ModelServer(new ManualClock())): Promise<Opened> {
  const first = await server.connect(false);
  const next = await server.connect();
  next.port.down();
  const opened: ModelConnection[] = [];
  const closed: ModelConnection[] = [];
  const ground = await openLocks({}, server, {
    first,
    openTracked: () => {
      opened.push(next.port);
      return {
        ...next,
        close: () => {
          closed.push(next.port);
          next.port.down();
        },
      };
    },
  });
  return { ...ground, opened, closed };
}

test('an untracked client is enough as long as nobody waits', async () => {
  const { locks, opened } = await openUntracked();
  const lock = await locks.acquire('k');
  expect(await locks.tryAcquire('k')).toBe(null);
  await lock.release();
  expect(opened).toEqual([]);
});

test('the first who waits has a tracked connection opened, asks there again, and is pushed', async () => {
  const woken = hear('redcache:lock:woken');
  const { locks, port, opened, server } = await openUntracked();
  server.set('l:k', '0-a:1', 60_000);
  const waiting = locks.acquire('k');
  const another = locks.acquire('k2');
  await another;
  await settled();
  expect(opened).toHaveLength(1);
  port.log.length = 0;
  opened[0]?.up();
  await settled();
  expect(opened[0]?.log).toContain('acquire');
  server.del('l:k');
  await waiting;
  expect(woken.map(({ cause }) => cause)).toEqual(['poll', 'push']);
  expect(port.log).toEqual([]);
  expect(opened).toHaveLength(1);
});

test('locks that are held already are looked at there, so that their holders hear pushes too', async () => {
  const { locks, opened, server, port } = await openUntracked();
  const lock = await locks.acquire('held');
  server.set('l:other', '0-a:1', 60_000);
  void locks.acquire('other').catch(() => {});
  await settled();
  opened[0]?.up();
  await settled();
  server.del('l:held');
  await settled();
  expect(lock.signal.reason).toMatchObject({ reason: expect.stringMatching(/deleted|taken/) });
  await locks.close();
  expect(port.listeners).toBe(0);
});

test('a lock that is granted while the tracked connection comes up is watched there too', async () => {
  const { locks, opened, server, port } = await openUntracked();
  server.set('l:other', '0-a:1', 60_000);
  const ended = expect(locks.acquire('other')).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  await settled();
  port.hang();
  const acquiring = locks.acquire('k');
  await settled();
  opened[0]?.up();
  await settled();
  port.resume();
  const lock = await acquiring;
  await settled();
  server.del('l:k');
  await settled();
  expect(lock.signal.reason).toMatchObject({ reason: 'deleted' });
  await locks.close();
  await ended;
});

test('while the tracked connection is lost everything goes on over the first', async () => {
  const { locks, opened, server, port, clock } = await openUntracked();
  const lock = await locks.acquire('k');
  const waiting = locks.acquire('k');
  await settled();
  opened[0]?.up();
  await settled();
  opened[0]?.down();
  port.log.length = 0;
  await lock.extend();
  server.del('l:k');
  await pass(clock, 1_000, 50);
  expect(await waiting).toMatchObject({ key: 'k' });
  expect(lock.signal.aborted).toBe(true);
  expect(port.log).toContain('extend');
  expect(port.log).toContain('acquire');
});

test('while that connection is not there the lock is asked for again and again, more rarely each time', async () => {
  const { locks, port, server, clock } = await openUntracked();
  server.set('l:k', '0-a:1', 60_000);
  const waiting = locks.acquire('k');
  await settled();
  const asked = (): number => port.log.splice(0).filter((name) => name === 'acquire').length;
  expect(asked()).toBe(1);
  await pass(clock, 50 + 100 + 200, 10);
  expect(asked()).toBe(3);
  await pass(clock, 10_000, 50);
  expect(asked()).toBeLessThan(14);
  server.del('l:k');
  await pass(clock, 1_000, 50);
  await waiting;
});

test('polling gives up after the attempts it was given', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect(false);
  const retry = { delayMs: 50, jitter: 0, attempts: 3 };
  const { locks, clock, port } = await openLocks({ retry }, server, { first });
  server.set('l:k', '0-a:1', 60_000);
  const waiting = expect(locks.acquire('k')).rejects.toMatchObject({
    code: 'REDCACHE_ACQUIRE_TIMEOUT',
    message: expect.stringContaining('3 polls'),
  });
  await pass(clock, 50 + 100 + 200, 10);
  await waiting;
  expect(port.log).toHaveLength(1 + 3);
  expect(clock.timers).toBe(0);
});

test('jitter only shortens a pause', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect(false);
  const retry = { ...SETTINGS.retry, jitter: 0.5 };
  const { locks, clock, port } = await openLocks({ retry }, server, { first });
  server.set('l:k', '0-a:1', 60_000);
  void locks.acquire('k').catch(() => {});
  await settled();
  expect(clock.nextTimerAtMs).toBeGreaterThanOrEqual(clock.nowMs() + 25);
  clock.advance(50);
  await settled();
  expect(port.log).toHaveLength(2);
  await locks.close();
});

test('without pushes a loss is noticed by the next extension', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect(false);
  const { locks, clock } = await openLocks({}, server, { first });
  const lock = await locks.acquire('k');
  server.del('l:k');
  await settled();
  expect(lock.signal.aborted).toBe(false);
  clock.advance(1_000);
  await settled();
  expect(lock.signal.reason).toMatchObject({ reason: 'deleted' });
});

test('close() closes the connection that was opened, and leaves nothing behind', async () => {
  const { locks, opened, closed, clock, server, port } = await openUntracked();
  server.set('l:k', '0-a:1', 60_000);
  const waiting = expect(locks.acquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  await settled();
  opened[0]?.up();
  await settled();
  await locks.close();
  await waiting;
  expect(closed).toEqual(opened);
  expect(port.listeners).toBe(0);
  expect(clock.timers).toBe(0);
});

test('the engine of the tracked connection is left idle', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect();
  const { locks } = await openLocks({}, server, { first });
  await locks.withLock('k', () => settled());
  await locks.close();
  assertIdle(first.engine);
});

test('the first who waits over a connection that is not proved to be tracked yet joins the queue as soon as it is', async () => {
  const { locks: others, server } = await openLocks();
  const lock = await others.acquire('k');
  const proved = new AbortController();
  const proof = new Promise((resolve) => proved.signal.addEventListener('abort', resolve));
  const first = await server.connect(true, { proof });
  const retry = { delayMs: 60_000, jitter: 0, attempts: Infinity };
  const { locks, port } = await openLocks({ retry }, server, { first });
  const waiting = locks.acquire('k');
  await settled();
  expect(sentOf(port)).toEqual(['acquire']);
  proved.abort();
  await settled();
  expect(sentOf(port)).toEqual(['join']);
  await lock.release();
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
});

test('one that stands in the queue is not stirred by a proof', async () => {
  const { locks: others, server } = await openLocks();
  await others.acquire('k', { lease: 60_000 });
  const first = await server.connect();
  const two = await openLocks({}, server, { first });
  two.locks.acquire('k').catch(() => {});
  await settled();
  // One more connection of the same engine.
  const { port, engine } = await server.connect(false);
  expect(engine.state).toBe('down');
  sentOf(two.port);
  const attached = attach(first.engine, port, { maxStaleness: false });
  await settled();
  expect(attached.session.state.is).toBe('tracking');
  expect(sentOf(two.port)).toEqual([]);
  await two.locks.close();
});

/** One that stands in the queue until it hears no more; `onDeaf` is called when it finds that out. */
async function deafened(onDeaf: (port: ModelConnection) => void = () => {}) {
  const { locks: others, server, clock } = await openLocks();
  const lock = await others.acquire('k', { lease: 2_000 });
  let hears = true;
  const link = await server.connect();
  const tracks = (): boolean => {
    if (!hears) onDeaf(link.port);
    return hears;
  };
  const { locks } = await openLocks({}, server, { first: { ...link, tracks } });
  const waiting = locks.acquire('k', { lease: 60_000 });
  await settled();
  expect((await others.inspect('k')).waitingProcesses).toBe(1);
  hears = false;
  await pass(clock, 700); // woken by the extension, it finds that it hears no more
  return { others, lock, waiting, server, clock, port: link.port };
}

test('one that hears no more leaves the queue, and gets the lock past it', async () => {
  const { others, lock, waiting, server, clock } = await deafened();
  expect((await others.inspect('k')).waitingProcesses).toBe(0);
  await lock.release();
  expect(server.get('l:k') ?? '').not.toMatch(/:0/);
  await pass(clock, 1_000);
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
});

test('one that could not leave the queue when it heard no more is not offered the lock that it releases', async () => {
  let isFirst = true;
  const { others, waiting, server, clock, port } = await deafened((port) => {
    if (isFirst) port.down();
    isFirst = false;
  });
  expect((await others.inspect('k')).waitingProcesses).toBe(1);
  server.del('l:k');
  port.up();
  await pass(clock, 200);
  const got = await waiting;
  const next = others.acquire('k');
  await settled();
  await got.release();
  expect((await next).remainingMs()).toBeGreaterThan(0);
});

test('that no connection can be tracked is told to all who wait, whoever holds the lock', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect(false);
  const openTracked = (): never => {
    throw new ConfigError('two copies');
  };
  const { locks, clock } = await openLocks({}, server, { first, openTracked });
  server.set('l:k', '0-a:1', 60_000);
  server.set('l:other', '0-a:1', 60_000);
  await locks.acquire('ours');
  const codes = ['k', 'k', 'k', 'other', 'ours', 'ours'].map((key) =>
    locks.acquire(key, { wait: 500 }).catch(({ code }) => code),
  );
  await pass(clock, 1_000);
  expect(await Promise.all(codes)).toEqual(codes.map(() => 'REDCACHE_CONFIG'));
});

test('a lock whose loss nobody would have told of is not passed on unseen', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect(false);
  const { locks, clock } = await openLocks({}, server, { first });
  const lock = await locks.acquire('k');
  const waiting = [locks.acquire('k'), locks.acquire('k'), locks.acquire('k')];
  let granted = 0;
  for (const each of waiting) void each.then(() => (granted += 1));
  await settled();
  // Tokens are reserved for all of them.
  await lock.release();
  const second = await (waiting[0] as Promise<Lock>);
  server.set('l:k', '0-b:9', 500);
  expect(await second.release()).toBe('lost');
  await settled();
  expect(granted).toBe(1);
  await pass(clock, 1_000, 50);
  expect(granted).toBe(2);
});

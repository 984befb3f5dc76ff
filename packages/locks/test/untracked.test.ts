import { assertIdle, ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { hear, type LockGround, openLocks, SETTINGS } from './support/lock-ground.ts';
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

// What happens at once to the callers of one process, to their lease and to what they leave in Redis.
import { assertIdle, ManualClock, settled } from '@redcache/core/testing';
import { Budget } from '@redcache/core/toolkit';
import { expect, test } from 'vitest';
import { LockBid } from '../src/bid/lock-bid.ts';
import type { Connections } from '../src/connections.ts';
import { lockKeys } from '../src/keys.ts';
import { Link } from '../src/link.ts';
import type { Lock } from '../src/lock.ts';
import { openLocks } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

/** A bid for a lock over one connection, or over another from when that is said. */
async function twoLinks() {
  const server = new ModelServer(new ManualClock());
  const budget = new Budget(server.clock, 100);
  const [one, two] = [await server.connect(), await server.connect()];
  const links = { slow: new Link(one, budget), fast: new Link(two, budget) };
  let current = links.slow;
  const connections = {
    get current() {
      return current;
    },
  } as Connections;
  const keys = lockKeys('l:', 'k');
  const tally = { extended: () => {} };
  const bid = new LockBid({ connections, key: 'k', keys, holder: '0-a', tally });
  const use = (name: keyof typeof links): void => {
    current = links[name];
  };
  return { keys, bid, slow: one.port, fast: two.port, use };
}

test('one who takes the lock by force from its own process has it alone, whoever waits there', async () => {
  const { locks, server } = await openLocks();
  const robbed = await locks.acquire('k');
  let granted = 0;
  const waiting = locks.acquire('k');
  waiting.then(
    () => (granted += 1),
    () => {},
  );
  await settled();
  const forced = await locks.forceAcquire('k');
  await settled();
  expect(robbed.signal.reason).toMatchObject({ reason: 'taken' });
  expect(granted).toBe(0);
  expect(forced.fencingToken).toBeGreaterThan(robbed.fencingToken);
  expect(server.get('l:k')).toMatch(forced.holder);
  expect(await forced.release()).toBe('released');
  expect((await waiting).fencingToken).toBeGreaterThan(forced.fencingToken);
});

test('one who has got the lock anew is the only one of its process, before Redis has said what became of the other', async () => {
  const { locks, port, server } = await openLocks();
  const { trying, acquiring } = await new Promise<{
    trying: Promise<Lock | null>;
    acquiring: Promise<Lock>;
  }>((resolve) => {
    setImmediate(() => {
      const trying = locks.tryAcquire('k');
      server.del('l:k');
      resolve({ trying, acquiring: locks.acquire('k') });
      // Nothing is answered any more but these two, of which the second leaves at the end of the turn.
      process.nextTick(() => port.hang());
    });
  });
  const [tried, acquired] = [await trying, await acquiring];
  expect(tried?.signal.reason).toMatchObject({ reason: 'taken' });
  expect(acquired.remainingMs()).toBeGreaterThan(0);
  expect(server.get('l:k')).toMatch(acquired.holder);
  port.resume();
});

test('one who gets a lease that was asked for by another, who has gone, gets what it wants itself', async () => {
  const { locks, port, clock, server } = await openLocks();
  const controller = new AbortController();
  port.hang();
  const gone = locks.acquire('k', { lease: 300, autoExtend: false, signal: controller.signal });
  const behind = locks.acquire('k');
  await settled();
  controller.abort('gone');
  await expect(gone).rejects.toBe('gone');
  port.resume();
  const lock = await behind;
  expect(server.pttl('l:k')).toBe(3_000);
  await pass(clock, 6_000);
  expect(lock.remainingMs()).toBeGreaterThan(0);
});

test('a lease is not passed on while what Redis pushed may say that it is lost', async () => {
  const { locks, port, clock, server } = await openLocks();
  const first = await locks.acquire('k');
  const next = locks.acquire('k');
  const granted: string[] = [];
  locks.acquire('k').then(
    ({ holder }) => granted.push(holder),
    () => {},
  );
  await settled();
  // Tokens are reserved for all of them.
  await first.release();
  const lock = await next;
  port.hang();
  clock.advance(1_100);
  // An extension is under way when another process takes the lock.
  expect(port.unanswered).toBe(1);
  server.set('l:k', '0-b:9', 500);
  port.resume();
  const released = lock.release();
  await settled();
  await released;
  expect(granted).toEqual([]);
  await pass(clock, 600, 10);
  expect(granted).toHaveLength(1);
  expect(granted).not.toContain(lock.holder);
});

test('an extension that the holder before did not wait for does not change the lease of the next', async () => {
  const { locks, server, port, lock, next } = await (async () => {
    const ground = await openLocks();
    const lock = await ground.locks.acquire('k');
    const next = ground.locks.acquire('k');
    await settled();
    return { ...ground, lock, next };
  })();
  // More tokens, so that the next hand-off needs no extension of its own.
  await lock.release();
  const second = await next;
  const third = locks.acquire('k');
  await settled();
  // Nothing of it is heard by then, its echo included.
  port.delay();
  const extended = second.extend(60_000);
  const released = second.release();
  await settled();
  port.resume();
  await Promise.allSettled([extended, released]);
  expect((await third).remainingMs()).toBeLessThan(3_000);
  expect(server.pttl('l:k')).toBe(3_000);
});

test('one that stands in the queue and polls now leaves it when it goes', async () => {
  const { locks, server, clock } = await openLocks();
  const lock = await locks.acquire('k', { lease: 2_000 });
  const link = await server.connect();
  let hears = true;
  const first = { ...link, tracks: () => hears };
  const two = await openLocks({}, server, { first });
  const controller = new AbortController();
  const waiting = two.locks.acquire('k', { signal: controller.signal });
  waiting.catch(() => {});
  await settled();
  expect((await locks.inspect('k')).waitingProcesses).toBe(1);
  hears = false;
  await pass(clock, 700); // woken by the extension, it finds that it hears no more
  link.port.hang();
  await pass(clock, 1_100);
  expect(link.port.unanswered).toBe(1);
  controller.abort('gone');
  await settled();
  link.port.resume();
  await pass(clock, 200);
  expect((await locks.inspect('k')).waitingProcesses).toBe(0);
  await lock.release();
});

test('a caller that polled as often as it may leaves no timer behind', async () => {
  const { server, clock } = await openLocks();
  const first = await server.connect(false);
  const retry = { delayMs: 50, jitter: 0, attempts: 1 };
  server.set('l:k', '0-b:9', 60_000);
  const { locks } = await openLocks({ retry }, server, { first });
  const waiting = locks.acquire('k');
  waiting.catch(() => {});
  await pass(clock, 50, 10);
  await expect(waiting).rejects.toMatchObject({ code: 'REDCACHE_ACQUIRE_TIMEOUT' });
  expect(clock.timers).toBe(0);
});

test('tokens rise although an extension is answered long after its time', async () => {
  const { keys, bid, slow, fast, use } = await twoLinks();
  await bid.take({ leaseMs: 3_000, tokens: 1 }, 'if-free');
  bid.tokens.take();
  // It runs, but its answer is on the way for longer than anybody waits.
  slow.delay();
  bid.reserveWithNextExtension(2);
  const late = bid.extend(3_000).catch(() => {});
  use('fast');
  bid.reserveWithNextExtension(2);
  await bid.extend(3_000);
  const token = bid.tokens.take() as bigint;
  slow.resume();
  await late;
  expect(bid.tokens.take()).toBe(token + 1n);
  expect(fast.log).toContain('extend');
  expect(keys.lock).toBe('l:k');
});

test('one who asks for a lock while the locks are closing is refused', async () => {
  const { locks } = await openLocks();
  const lock = await locks.acquire('k');
  const asked: Promise<unknown>[] = [];
  lock.signal.addEventListener('abort', () => {
    asked.push(locks.acquire('k'), locks.acquire('other'));
  });
  const outcomes: string[] = [];
  const closing = locks.close();
  for (const call of asked)
    call.then(
      () => outcomes.push('granted'),
      (error: { code: string }) => outcomes.push(error.code),
    );
  await closing;
  await settled();
  expect(outcomes).toEqual(['REDCACHE_CLOSED', 'REDCACHE_CLOSED']);
});

test('one who goes when it is told that it waits leaves no listener behind', async () => {
  const { subscribe, unsubscribe } = await import('node:diagnostics_channel');
  const { locks, server } = await openLocks();
  await locks.acquire('k');
  const link = await server.connect();
  let listening = 0;
  const engine = new Proxy(link.engine, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (name === 'onInvalidation')
        return (key: string, tell: never) => {
          listening += 1;
          const stop = target.onInvalidation(key, tell);
          return () => {
            listening -= 1;
            stop();
          };
        };
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const two = await openLocks({}, server, { first: { ...link, engine } });
  const controller = new AbortController();
  const onWaiting = (): void => controller.abort('gone');
  subscribe('redcache:lock:waiting', onWaiting);
  const waiting = two.locks.acquire('k', { signal: controller.signal });
  await expect(waiting).rejects.toBe('gone');
  await settled();
  unsubscribe('redcache:lock:waiting', onWaiting);
  expect(listening).toBe(0);
});

test('one that goes while the connection is down leaves the queue when it is back, however short its lease', async () => {
  const { locks, server, clock } = await openLocks();
  const lock = await locks.acquire('k', { lease: 60_000 });
  const two = await openLocks({}, server);
  const controller = new AbortController();
  const waiting = two.locks.acquire('k', { lease: 100, signal: controller.signal });
  await settled();
  expect((await locks.inspect('k')).waitingProcesses).toBe(1);
  two.port.down();
  controller.abort('gone');
  await expect(waiting).rejects.toBe('gone');
  await pass(clock, 500);
  two.port.up();
  await pass(clock, 1_000);
  expect((await locks.inspect('k')).waitingProcesses).toBe(0);
  await lock.release();
});

test.for([
  { what: 'longer than it waits: it gets the lock that it was given', lease: 60_000, gets: true },
  { what: 'longer than the lease: it does not', lease: 500, gets: false },
])('a process is stopped for $what', async ({ lease, gets }) => {
  const { locks, port, clock, server } = await openLocks();
  port.delay();
  const acquiring = locks.acquire('k', { lease, wait: 1_000 }).then(
    (lock) => lock.remainingMs(),
    (error) => error.code,
  );
  await settled();
  // It runs again: its timers first, and then what has arrived.
  clock.jump(5_000);
  clock.advance(0);
  port.resume();
  await pass(clock, 200, 5);
  if (gets) expect(await acquiring).toBeGreaterThan(50_000);
  else expect(await acquiring).toBe('REDCACHE_ACQUIRE_TIMEOUT');
  expect(server.get('l:k') !== undefined).toBe(gets);
});

test('one that nobody has answered when its time is over is told so, however late', async () => {
  const { locks, port, clock } = await openLocks();
  port.hang();
  const calls = [locks.acquire('k', { wait: 1_000 }), locks.tryAcquire('k')];
  const codes = Promise.all(calls.map((call) => call.catch((error) => error.code)));
  await settled();
  clock.jump(5_000);
  await pass(clock, 20, 5);
  expect(await codes).toEqual(['REDCACHE_ACQUIRE_TIMEOUT', 'REDCACHE_UNAVAILABLE']);
  expect(clock.timers).toBe(0);
});

/** One who gives the lock back to a caller of its process that wants another lease, while Redis hangs. */
async function releasedUnheard() {
  const ground = await openLocks();
  const { locks, port, clock } = ground;
  const lock = await locks.acquire('k');
  const abort = new AbortController();
  const next = locks.acquire('k', { lease: 9_000, signal: abort.signal });
  next.catch(() => {});
  await settled();
  port.hang();
  const released = lock.release().catch(({ code }) => code);
  await pass(clock, 150);
  return { ...ground, released, abort };
}

test('one whose lock could not be passed on nor given back is told that nobody knows', async () => {
  const { released, clock, port, server, abort } = await releasedUnheard();
  abort.abort();
  await pass(clock, 100);
  expect(await released).toBe('REDCACHE_OUTCOME_UNKNOWN');
  port.resume();
  await pass(clock, 1_000);
  expect(server.get('l:k')).toBe(undefined);
});

test('one whose lock somebody took before it could be passed on is told so when it is given back', async () => {
  const { released, port, server } = await releasedUnheard();
  server.set('l:k', '0-b:9', 60_000);
  port.resume();
  expect(await released).toBe('lost');
});

test('a lock that was granted too late to be relied on is given back when nobody wants it any more', async () => {
  const { locks, port, clock, server } = await openLocks();
  const abort = new AbortController();
  port.hang();
  const acquiring = locks.acquire('k', { lease: 500, signal: abort.signal });
  await settled();
  clock.jump(600);
  // Redis runs it only now, so that it stands there for as long again.
  port.resume();
  await settled();
  expect(server.get('l:k')).not.toBe(undefined);
  abort.abort('gone');
  await expect(acquiring).rejects.toBe('gone');
  await settled();
  expect(server.get('l:k')).toBe(undefined);
});

test('one who asks once when the locks are closed is told so, and not that Redis did not answer', async () => {
  const { locks, port, clock } = await openLocks();
  port.hang();
  const codes: string[] = [];
  locks.tryAcquire('k').catch(({ code }) => codes.push(code));
  await settled();
  const closing = locks.close();
  await settled();
  expect(codes).toEqual(['REDCACHE_CLOSED']);
  await pass(clock, 300);
  await closing;
});

test('one that has waited in the queue, or has gone from there, listens to nothing any more', async () => {
  const { locks: others, server } = await openLocks();
  const lock = await others.acquire('k');
  const first = await server.connect();
  const { locks } = await openLocks({}, server, { first });
  const abort = new AbortController();
  const gone = locks.acquire('k', { signal: abort.signal });
  const waiting = locks.acquire('k');
  await settled();
  abort.abort('gone');
  await expect(gone).rejects.toBe('gone');
  await lock.release();
  await (await waiting).release();
  await locks.close();
  assertIdle(first.engine);
});

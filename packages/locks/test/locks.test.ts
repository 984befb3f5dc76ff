import { assertIdle, ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import { hear, openLocks, sentOf } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

/** Names of what was sent since the last look. */
const sent = (port: { log: string[] }): string[] => sentOf(port);

test('acquire, extend and release cost one command each', async () => {
  const { locks, port } = await openLocks();
  const lock = await locks.acquire('k');
  await lock.extend();
  expect(await lock.release()).toBe('released');
  await settled();
  expect(sent(port)).toEqual(['acquire', 'extend', 'release']);
});

test('a lock says who holds it, under which token, and for how long', async () => {
  const { locks, server } = await openLocks();
  const lock = await locks.acquire('k', { lease: '1s' });
  expect(lock.key).toBe('k');
  expect(lock.holder).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  expect(server.get('l:k')).toBe(`${lock.holder}:${lock.fencingToken}`);
  expect(lock.remainingMs()).toBe(1_000 - 12);
  expect(await locks.isLocked('k')).toBe(true);
  await lock.release();
  expect(await locks.isLocked('k')).toBe(false);
});

test('tokens rise by at least one while the clock stands still, and across a flush with it', async () => {
  const { locks, server, clock } = await openLocks();
  const tokens: bigint[] = [];
  for (let i = 0; i < 3; i += 1) {
    const lock = await locks.acquire('k');
    tokens.push(lock.fencingToken);
    await lock.release();
  }
  expect(tokens).toEqual([tokens[0], (tokens[0] ?? 0n) + 1n, (tokens[0] ?? 0n) + 2n]);
  clock.advance(1);
  server.flush();
  const { fencingToken } = await locks.acquire('k');
  expect(fencingToken).toBeGreaterThan(tokens[2] ?? 0n);
});

test('tryAcquire answers null when somebody has it, and does not wait', async () => {
  const { locks, port, clock } = await openLocks();
  const lock = await locks.acquire('k');
  expect(await locks.tryAcquire('k')).toBe(null);
  await lock.release();
  expect(await locks.tryAcquire('k')).toMatchObject({ key: 'k' });
  // The second was not even asked: this process has it.
  expect(sent(port)).toEqual(['acquire', 'release', 'acquire']);
  expect(clock.timers).toBe(1);
});

test('callers of one process get the lock in the order in which they came, one from the other', async () => {
  const { locks, port } = await openLocks();
  const order: number[] = [];
  const first = await locks.acquire('k');
  sent(port);
  const all = Array.from({ length: 20 }, (_, i) =>
    locks.withLock('k', async () => {
      order.push(i);
      await settled();
    }),
  );
  await settled();
  await first.release();
  await Promise.all(all);
  expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  // Tokens for those who came after the lease was asked for, and the release by the last.
  expect(sent(port)).toEqual(['extend', 'release']);
});

test('whoever waits is woken by the push of the release, not by a timer', async () => {
  const woken = hear('redcache:lock:woken');
  const server = new ModelServer(new ManualClock());
  const one = await openLocks({}, server);
  const two = await openLocks({}, server);
  const lock = await one.locks.acquire('k');
  const waiting = two.locks.acquire('k');
  await settled();
  expect(woken).toEqual([]);
  await lock.release();
  await waiting;
  expect(woken.map(({ cause }) => cause)).toEqual(['push']);
  // Refused, it stands in the queue; woken, it takes what it was offered.
  expect(sent(two.port)).toEqual(['acquire', 'join', 'join']);
});

test('a release between the try and the wait is not missed', async () => {
  const { locks, port, server, clock } = await openLocks();
  server.set('l:k', '0-a:1', 60_000);
  port.hang();
  const waiting = locks.acquire('k');
  await settled();
  port.resume();
  // The refusal is answered but its caller has not gone on yet: the push comes first.
  server.del('l:k');
  const nowMs = clock.nowMs();
  expect(await waiting).toMatchObject({ key: 'k' });
  expect(clock.nowMs()).toBe(nowMs);
});

test('the lease of a holder that is heard of no more ends the wait, with a little slack', async () => {
  const woken = hear('redcache:lock:woken');
  const { locks, server, clock } = await openLocks();
  server.set('l:k', '0-a:1', 500);
  const waiting = locks.acquire('k');
  await settled();
  clock.advance(509);
  await settled();
  expect(woken).toEqual([]);
  clock.advance(1);
  await waiting;
  expect(woken.map(({ cause }) => cause)).toEqual(['timer']);
});

test('a flush ends the wait', async () => {
  const woken = hear('redcache:lock:woken');
  const { locks, server } = await openLocks();
  server.set('l:k', '0-a:1', 60_000);
  const waiting = locks.acquire('k');
  await settled();
  server.flush();
  await waiting;
  expect(woken.map(({ cause }) => cause)).toEqual(['flush']);
});

test('a reconnect ends the wait', async () => {
  const woken = hear('redcache:lock:woken');
  const { locks, server, port } = await openLocks();
  server.set('l:k', '0-a:1', 60_000);
  const waiting = locks.acquire('k');
  await settled();
  port.down();
  server.del('l:k');
  await settled();
  port.up();
  await waiting;
  expect(woken.map(({ cause }) => cause)).toEqual(['disconnect']);
});

test('acquire gives up after its wait, also while Redis is down or does not answer', async () => {
  for (const how of ['held', 'down', 'hang'] as const) {
    const { locks, server, port, clock } = await openLocks();
    if (how === 'held') server.set('l:k', '0-a:1', 60_000);
    else port[how]();
    const waiting = expect(locks.acquire('k', { wait: 700 })).rejects.toMatchObject({
      code: 'REDCACHE_ACQUIRE_TIMEOUT',
      key: 'k',
    });
    await pass(clock, 699);
    expect(clock.timers).toBeGreaterThan(0);
    await pass(clock, 1);
    await waiting;
    expect(clock.timers).toBe(0);
  }
});

test('acquire goes on when Redis answers again, with the time that is left of its lease', async () => {
  const { locks, port, clock } = await openLocks();
  port.hang();
  const waiting = locks.acquire('k');
  await pass(clock, 1_000);
  port.resume();
  const lock = await waiting;
  expect(lock.remainingMs()).toBe(3_000 - 32 - 1_000);
});

test('an answer that comes after the lease is over is no lock: it is asked for anew', async () => {
  const { locks, port, clock, server } = await openLocks();
  port.hang();
  const waiting = locks.acquire('k');
  await pass(clock, 3_500);
  port.resume();
  await pass(clock, 60);
  const lock = await waiting;
  expect(server.get('l:k')).toBe(`${lock.holder}:${lock.fencingToken}`);
  expect(lock.remainingMs()).toBeGreaterThan(2_900);
  expect(sent(port)).toEqual(['acquire', 'acquire']);
});

test('an attempt that was lost on the way is repeated by the same holder, with a higher token', async () => {
  const { locks, port, server } = await openLocks();
  port.hang();
  const waiting = locks.acquire('k');
  await settled();
  // It ran, but the answer was lost with the connection.
  port.runUnheard();
  const value = server.get('l:k');
  port.down();
  await settled();
  port.up();
  const lock = await waiting;
  const [holder, token] = (value ?? '').split(':');
  expect(lock.holder).toBe(holder);
  expect(lock.fencingToken).toBeGreaterThan(BigInt(token ?? 0));
});

test('tryAcquire and isLocked say that Redis is unavailable within the time for an answer', async () => {
  for (const how of ['down', 'hang'] as const) {
    const { locks, port, clock } = await openLocks();
    port[how]();
    const calls = [locks.tryAcquire('k'), locks.isLocked('k')].map((call) =>
      expect(call).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE', key: 'k' }),
    );
    await pass(clock, 100);
    await Promise.all(calls);
    expect(clock.timers).toBe(0);
  }
});

test.for(['abort', 'wait', 'try'] as const)(
  'a lock that is granted after its caller has gone (%s) is given back',
  async (way) => {
    const { locks, port, server, clock } = await openLocks();
    const controller = new AbortController();
    port.hang();
    const { signal } = controller;
    const gone =
      way === 'try'
        ? locks.tryAcquire('k')
        : locks.acquire('k', way === 'wait' ? { wait: 100 } : { signal });
    const left = expect(gone).rejects.toBeDefined();
    await settled();
    controller.abort();
    await pass(clock, 100);
    await left;
    port.resume();
    await settled();
    expect(sent(port)).toEqual(['acquire', 'release']);
    expect(server.get('l:k')).toBe(undefined);
    expect(clock.timers).toBe(0);
  },
);

test('what a lost attempt may have left is given back when its caller goes before the reconnect', async () => {
  const { locks, port, server, clock } = await openLocks();
  const controller = new AbortController();
  port.hang();
  const gone = expect(locks.acquire('k', { signal: controller.signal })).rejects.toBe('gone');
  await settled();
  port.runUnheard();
  port.down();
  await settled();
  controller.abort('gone');
  await gone;
  expect(server.get('l:k')).toBeDefined();
  port.up();
  await pass(clock, 200);
  expect(server.get('l:k')).toBe(undefined);
  expect(clock.timers).toBe(0);
});

test('a lock that a hung server grants after its lease would have been over is given back too', async () => {
  const { locks, port, server, clock } = await openLocks();
  port.hang();
  const gone = expect(locks.tryAcquire('k')).rejects.toBeDefined();
  await pass(clock, 10_000, 100);
  await gone;
  port.resume();
  await settled();
  expect(server.get('l:k')).toBe(undefined);
});

test('an aborted caller is told its own reason, and those behind it move up', async () => {
  const { locks } = await openLocks();
  const lock = await locks.acquire('k');
  const reason = new Error('enough');
  const controllers = [new AbortController(), new AbortController()];
  const [first, second] = controllers.map(({ signal }) => locks.acquire('k', { signal }));
  const third = locks.acquire('k');
  await settled();
  controllers[1]?.abort(reason);
  await expect(second).rejects.toBe(reason);
  controllers[0]?.abort(reason);
  await expect(first).rejects.toBe(reason);
  await lock.release();
  expect(await third).toMatchObject({ key: 'k' });
});

test('a signal that is aborted already sends nothing', async () => {
  const { locks, port } = await openLocks();
  const signal = AbortSignal.abort('no');
  await expect(locks.acquire('k', { signal })).rejects.toBe('no');
  await expect(locks.tryAcquire('k', { signal })).rejects.toBe('no');
  await expect(locks.withLock('k', { signal }, () => 1)).rejects.toBe('no');
  expect(sent(port)).toEqual([]);
});

test('100 waiters that are cancelled together, with stray wakes, leave nothing behind', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect();
  const { locks, clock, port } = await openLocks({}, server, { first });
  const lock = await locks.acquire('k', { autoExtend: false });
  for (let round = 0; round < 10; round += 1) {
    const controller = new AbortController();
    const { signal } = controller;
    const all = Array.from({ length: 100 }, () => locks.acquire('k', { signal, wait: '1h' }));
    const ended = Promise.allSettled(all);
    first.engine.invalidate(['l:k']);
    await settled();
    controller.abort('all');
    first.engine.invalidate(['l:k']);
    for (const end of await ended) expect(end).toEqual({ status: 'rejected', reason: 'all' });
  }
  await lock.release();
  await settled();
  assertIdle(first.engine);
  expect(clock.timers).toBe(0);
  expect(await locks.tryAcquire('k')).not.toBe(null);
  // One at the head of each round, one or two wakes of it, and looks at the key by the holder.
  expect(sent(port).filter((name) => name === 'acquire').length).toBeLessThan(10 * 4 + 3);
});

test('close() ends those who wait, takes what is held, and leaves nothing behind', async () => {
  const server = new ModelServer(new ManualClock());
  const first = await server.connect();
  const { locks, clock, port } = await openLocks({}, server, { first });
  const lost = hear('redcache:lock:lost');
  const lock = await locks.acquire('k');
  const { signal } = lock;
  const waiting = Array.from({ length: 5 }, () => locks.acquire('k'));
  const ended = Promise.allSettled(waiting);
  await settled();
  const closing = locks.close();
  expect(signal.reason).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'closed' });
  await closing;
  for (const end of await ended) expect(end).toMatchObject({ reason: { code: 'REDCACHE_CLOSED' } });
  expect(lost).toMatchObject([{ key: 'k', reason: 'closed' }]);
  expect(server.get('l:k')).toBe(undefined);
  expect(await lock.release()).toBe('lost');
  for (const call of [
    () => locks.acquire('k'),
    () => locks.tryAcquire('k'),
    () => locks.withLock('k', () => 1),
    () => locks.isLocked('k'),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  assertIdle(first.engine);
  expect(clock.timers).toBe(0);
  // The engine of the connection still listens to it.
  expect(port.listeners).toBe(1);
  await locks.close();
});

test('close() ends within its time while Redis does not answer', async () => {
  const { locks, port, clock } = await openLocks();
  await locks.acquire('held');
  port.hang();
  const waiting = expect(locks.acquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  await settled();
  let closed = false;
  const closing = locks.close().then(() => {
    closed = true;
  });
  await waiting;
  await pass(clock, 200);
  expect(closed).toBe(true);
  await closing;
  expect(clock.timers).toBe(0);
  port.resume();
  await settled();
  expect(clock.timers).toBe(0);
});

test.for([0, 1, 2, 3, 4, 5, 6, 7])(
  'close() takes a lock that is being granted, %i turns after its answer',
  async (turns) => {
    const { locks, server, port, clock } = await openLocks();
    port.hang();
    const end = locks.acquire('k').then(
      (lock) => () => lock.signal.reason,
      (error) => () => error,
    );
    await settled();
    port.resume();
    for (let i = 0; i < turns; i += 1) await Promise.resolve();
    await locks.close();
    expect((await end)()).toMatchObject({ code: expect.stringMatching(/CLOSED|LOCK_LOST/) });
    expect(server.get('l:k')).toBe(undefined);
    expect(clock.timers).toBe(0);
  },
);

test('close() gives back every lock, however many are held', async () => {
  const { locks, server } = await openLocks();
  const keys = Array.from({ length: 1_200 }, (_, i) => `k${i}`);
  await Promise.all(keys.map((key) => locks.acquire(key)));
  await locks.close();
  expect(keys.filter((key) => server.get(`l:${key}`) !== undefined)).toEqual([]);
});

test('close() leaves no call open, nor its timer, while Redis does not answer', async () => {
  const { locks, port, clock } = await openLocks();
  const lock = await locks.acquire('k');
  port.hang();
  const ends: string[] = [];
  const end = (name: string) => () => void ends.push(name);
  locks.isLocked('k').catch(end('isLocked'));
  lock.release().catch(end('release'));
  await settled();
  const closing = locks.close().then(end('close'));
  await pass(clock, 200);
  await closing;
  expect(ends.slice(0, 2).toSorted()).toEqual(['isLocked', 'release']);
  expect(ends.slice(2)).toEqual(['close']);
  expect(clock.timers).toBe(0);
});

test('withLock answers what its body does, and gives the lock back', async () => {
  const { locks, server } = await openLocks();
  const seen: (Lock | undefined)[] = [];
  const result = await locks.withLock('k', async (lock) => {
    seen.push(lock);
    expect(server.get('l:k')).toBeDefined();
    return 42;
  });
  expect(result).toBe(42);
  expect(server.get('l:k')).toBe(undefined);
  expect(seen[0]?.remainingMs()).toBe(0);
});

test('withLock throws the error of its body, also if the lock was lost or Redis hangs', async () => {
  const { locks, server, port, clock } = await openLocks();
  const error = new Error('body');
  const fail = (before: () => void) => () => {
    before();
    throw error;
  };
  await expect(
    locks.withLock(
      'a',
      fail(() => {}),
    ),
  ).rejects.toBe(error);
  expect(server.get('l:a')).toBe(undefined);
  await expect(
    locks.withLock(
      'b',
      fail(() => server.del('l:b')),
    ),
  ).rejects.toBe(error);
  const hung = expect(
    locks.withLock(
      'c',
      fail(() => port.hang()),
    ),
  ).rejects.toBe(error);
  await pass(clock, 100);
  await hung;
});

test('withLock rejects when the lock was lost, though its body ended well', async () => {
  const { locks, server } = await openLocks();
  const lostEarly = locks.withLock('k', async () => {
    server.del('l:k');
    await settled();
  });
  await expect(lostEarly).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'deleted' });
  const lostLate = locks.withLock('k', () => server.set('l:k', '0-a:1', 1_000));
  await expect(lostLate).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'taken' });
});

test('withLock answers what its body did when only the release was not answered', async () => {
  const { locks, port, clock, server } = await openLocks();
  const failed = hear('redcache:lock:release-failed');
  const result = locks.withLock('k', () => {
    port.hang();
    return 42;
  });
  await pass(clock, 100);
  expect(await result).toBe(42);
  expect(failed).toMatchObject([{ key: 'k', error: { code: 'REDCACHE_OUTCOME_UNKNOWN' } }]);
  port.resume();
  await pass(clock, 200);
  expect(server.get('l:k')).toBe(undefined);
  expect(clock.timers).toBe(0);
});

test('a release that could not be sent is made up for after the reconnect', async () => {
  const { locks, port, clock, server } = await openLocks();
  const lock = await locks.acquire('k');
  port.down();
  await expect(lock.release()).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  port.up();
  await pass(clock, 200);
  expect(server.get('l:k')).toBe(undefined);
  expect(clock.timers).toBe(0);
});

test('a block is left without an error whatever became of the lock', async () => {
  const { locks, server, port, clock } = await openLocks();
  {
    await using lock = await locks.acquire('k');
    server.del('l:k');
    expect(lock.key).toBe('k');
  }
  const leave = async (): Promise<string> => {
    await using _lock = await locks.acquire('k');
    port.hang();
    return 'left';
  };
  const left = leave();
  await pass(clock, 200);
  expect(await left).toBe('left');
});

test('releasing a lost lock answers so, harms nobody, and sends nothing', async () => {
  const { locks, server, port } = await openLocks();
  const lock = await locks.acquire('k');
  server.set('l:k', '0-a:1', 1_000);
  await settled();
  sent(port);
  expect(await lock.release()).toBe('lost');
  expect(sent(port)).toEqual([]);
  expect(server.get('l:k')).toBe('0-a:1');
});

test('a key that holds something else is an error, not a wait', async () => {
  const { locks, server } = await openLocks();
  server.set('l:k', 'a value of somebody');
  await expect(locks.acquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CONFIG', key: 'k' });
  await expect(locks.tryAcquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
});

test('text with an end is taken for the lock of another program, and waited for', async () => {
  const { locks, server, clock } = await openLocks();
  server.set('l:k', 'another program', 500);
  const waiting = locks.acquire('k');
  await settled();
  clock.advance(510);
  expect(await waiting).toMatchObject({ key: 'k' });
});

test('no more callers wait than may, whatever they wait for, and whoever goes makes room', async () => {
  const { locks, port, clock } = await openLocks({ maxWaiting: 3 });
  const held = await locks.acquire('a');
  const controller = new AbortController();
  const waiting = [
    locks.acquire('a'),
    locks.acquire('a', { signal: controller.signal }),
    locks.semaphore('b', 1).acquire(),
  ];
  port.log.length = 0;
  const message = expect.stringContaining('3 callers');
  const refused = ['a', 'c'].map((key) =>
    expect(locks.acquire(key)).rejects.toMatchObject({
      ...{ code: 'REDCACHE_TOO_MANY_WAITING', key, message },
    }),
  );
  await Promise.all(refused);
  expect(port.log).not.toContain('acquire');
  // Whoever does not wait is not concerned.
  expect(await locks.tryAcquire('c')).not.toBe(null);
  // One has its permit by now; one goes, and one gets the lock.
  await waiting[2];
  const third = locks.acquire('a');
  await expect(locks.acquire('a')).rejects.toMatchObject({ code: 'REDCACHE_TOO_MANY_WAITING' });
  controller.abort('gone');
  await expect(waiting[1]).rejects.toBe('gone');
  const fourth = locks.acquire('a');
  await held.release();
  const fifth = locks.acquire('a');
  await expect(locks.acquire('a')).rejects.toMatchObject({ code: 'REDCACHE_TOO_MANY_WAITING' });
  const codes = [third, fourth, fifth].map((call) => call.catch(({ code }) => code));
  await locks.close();
  expect(await Promise.all(codes)).toEqual(codes.map(() => 'REDCACHE_CLOSED'));
  expect(clock.timers).toBe(0);
});

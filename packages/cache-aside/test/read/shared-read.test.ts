import { getEventListeners } from 'node:events';
import { settled } from '@redcache/core/testing';
import { afterEach, expect, test } from 'vitest';
import type { Answer } from '../../src/read/answer.ts';
import { SharedRead } from '../../src/read/shared-read.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled.splice(0)).toEqual([]);
});

const answer = (value: unknown): Answer => ({ value, source: 'redis' });

function shared() {
  let detached = 0;
  const detach = (): void => {
    detached += 1;
  };
  const read = new SharedRead({ detach }, 'key');
  return { read, detached: () => detached };
}

test('all callers get the value, and no listener stays on their signals', async () => {
  const { read } = shared();
  const { signal } = new AbortController();
  const callers = [read.join(undefined), read.join(signal), read.join(signal)];
  expect(getEventListeners(signal, 'abort')).toHaveLength(2);
  const value = answer('value');
  read.land(value);
  expect(await Promise.all(callers)).toEqual([value, value, value]);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('all callers get the error, the same instance, and no listener stays', async () => {
  const { read } = shared();
  const { signal } = new AbortController();
  const error = new Error('no database');
  const callers = [read.join(undefined), read.join(signal)];
  read.fail(error);
  for (const caller of callers) await expect(caller).rejects.toBe(error);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('one who leaves gets his own reason, the others the value', async () => {
  const { read } = shared();
  const leaving = new AbortController();
  const staying = new AbortController();
  const left = read.join(leaving.signal);
  const stayed = read.join(staying.signal);
  const reason = { why: 'bored' };
  leaving.abort(reason);
  await expect(left).rejects.toBe(reason);
  expect(read.signal.aborted).toBe(false);
  read.land(answer(1));
  expect(await stayed).toEqual(answer(1));
});

test('when the last one leaves the read is aborted with his reason and cannot be joined', async () => {
  const { read, detached } = shared();
  const [first, last] = [new AbortController(), new AbortController()];
  const callers = [read.join(first.signal), read.join(last.signal)];
  first.abort('first');
  last.abort('last');
  await expect(callers[0]).rejects.toBe('first');
  await expect(callers[1]).rejects.toBe('last');
  expect(read.signal.reason).toBe('last');
  expect(read.landed).toBe(true);
  expect(detached()).toBeGreaterThan(0);
});

test('a caller without a signal never goes', async () => {
  const { read } = shared();
  const leaving = new AbortController();
  const stays = read.join(undefined);
  const left = read.join(leaving.signal);
  leaving.abort('gone');
  await expect(left).rejects.toBe('gone');
  expect(read.signal.aborted).toBe(false);
  read.land(answer(1));
  expect(await stays).toEqual(answer(1));
});

test('one who leaves after the landing changes nothing', async () => {
  const { read } = shared();
  const late = new AbortController();
  const caller = read.join(late.signal);
  read.land(answer(1));
  late.abort('late');
  read.abort('later');
  expect(read.signal.aborted).toBe(false);
  await expect(caller).rejects.toBe('late');
});

test('an abort reaches all at once, with the reason as it is', async () => {
  const { read } = shared();
  const reason = new Error('closed');
  const { signal } = new AbortController();
  const callers = [read.join(undefined), read.join(signal)];
  read.abort(reason);
  for (const caller of callers) await expect(caller).rejects.toBe(reason);
  expect(read.signal.reason).toBe(reason);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a failed read that nobody joined is no unhandled rejection', () => {
  const { read } = shared();
  read.fail(new Error('alone'));
});

test('an offer after the landing changes nothing; one before it is the landing', async () => {
  const { read } = shared();
  const caller = read.join(undefined);
  read.offer(answer('first'));
  read.offer(answer('second'));
  expect(await caller).toEqual(answer('first'));
});

test('one that goes on is not aborted when its last caller leaves, and nobody waits for it', async () => {
  const read = new SharedRead({ detach: () => {} }, 'key', true);
  const leaving = new AbortController();
  expect(read.isAwaited).toBe(false);
  const left = read.join(leaving.signal);
  expect(read.isAwaited).toBe(true);
  leaving.abort('gone');
  await expect(left).rejects.toBe('gone');
  expect(read.signal.aborted).toBe(false);
  expect(read.landed).toBe(false);
  expect(read.isAwaited).toBe(false);
  read.abort('closed');
  expect(read.signal.reason).toBe('closed');
});

test('a signal that is asked for when all is over says so', () => {
  const { read } = shared();
  const reason = new Error('nobody waits');
  read.abort(reason);
  expect(read.signal.aborted).toBe(true);
  expect(read.signal.reason).toBe(reason);
  read.promise.catch(() => {});
});

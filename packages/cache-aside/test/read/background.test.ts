import { settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Background } from '../../src/read/background.ts';

function work() {
  let end: () => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return { promise, end: () => end(), fail: (error: unknown) => fail(error) };
}

test('is settled once all has ended, well or not', async () => {
  const background = new Background();
  const [one, other] = [work(), work()];
  background.track(one.promise);
  background.track(other.promise);
  let isSettled = false;
  const waiting = background.settled().then(() => {
    isSettled = true;
  });
  one.end();
  await settled();
  expect(isSettled).toBe(false);
  other.fail(new Error('nobody waits for it'));
  await waiting;
});

test('waits for what was begun meanwhile, by what ended last', async () => {
  const background = new Background();
  const [first, second] = [work(), work()];
  background.track(first.promise);
  let isSettled = false;
  const waiting = background.settled().then(() => {
    isSettled = true;
  });
  // Begun when the first has ended, before whoever waits goes on.
  void first.promise.then(() => background.track(second.promise));
  first.end();
  await settled();
  expect(isSettled).toBe(false);
  second.end();
  await waiting;
});

test('is settled at once while nothing runs', async () => {
  await new Background().settled();
});

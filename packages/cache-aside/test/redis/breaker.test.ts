import { expect, test } from 'vitest';
import { Breaker } from '../../src/redis/breaker.ts';

function timedOut(times: number, atMs = 0): Breaker {
  const breaker = new Breaker();
  for (let i = 0; i < times; i++) breaker.timedOut(atMs);
  return breaker;
}

test('lets every call through until five in a row went unanswered', () => {
  const breaker = timedOut(4);
  expect([breaker.isOpen, breaker.admits(0), breaker.admits(0)]).toEqual([false, true, true]);
  breaker.timedOut(0);
  expect([breaker.isOpen, breaker.admits(0), breaker.admits(999)]).toEqual([true, false, false]);
});

test('an answer between them begins the count anew', () => {
  const breaker = timedOut(4);
  breaker.answered();
  for (let i = 0; i < 4; i++) breaker.timedOut(0);
  expect(breaker.isOpen).toBe(false);
});

test('then lets one through in a second, whether or not that one has ended', () => {
  const breaker = timedOut(5, 100);
  expect(breaker.admits(1_099)).toBe(false);
  expect([breaker.admits(1_100), breaker.admits(1_100), breaker.admits(2_099)]).toEqual([
    true,
    false,
    false,
  ]);
  // Those that were under way when it opened do not put the next probe off.
  breaker.timedOut(2_099);
  expect(breaker.admits(2_100)).toBe(true);
});

test('one answer, of a probe or a late one, lets all through', () => {
  const breaker = timedOut(7);
  breaker.answered();
  expect([breaker.isOpen, breaker.admits(0), breaker.admits(0)]).toEqual([false, true, true]);
});

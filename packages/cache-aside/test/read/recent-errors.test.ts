import { ManualClock } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { RecentErrors } from '../../src/read/recent-errors.ts';

function recent() {
  const clock = new ManualClock();
  return { clock, errors: new RecentErrors(clock) };
}

test('an error is found for its time and not a moment longer', () => {
  const { clock, errors } = recent();
  errors.note('k', 'why', 100);
  clock.advance(99);
  expect(errors.find('k')).toMatchObject({ error: 'why' });
  clock.advance(1);
  expect(errors.find('k')).toBeUndefined();
  expect(errors.find('other')).toBeUndefined();
});

test('an error that is undefined is found as one; without a time none is kept', () => {
  const { errors } = recent();
  errors.note('k', undefined, 100);
  errors.note('none', 'why', 0);
  expect(errors.find('k')).toMatchObject({ error: undefined });
  expect(errors.find('none')).toBeUndefined();
});

test('a later one counts from its own time; a forgotten one is found no more', () => {
  const { clock, errors } = recent();
  errors.note('k', 'first', 100);
  clock.advance(60);
  errors.note('k', 'second', 100);
  clock.advance(60);
  expect(errors.find('k')).toMatchObject({ error: 'second' });
  errors.forget('k');
  expect(errors.find('k')).toBeUndefined();
});

test('of too many the oldest is forgotten, and one that was noted again is not old (I12)', () => {
  const { errors } = recent();
  for (let i = 0; i < 1_000; i++) errors.note(`k${i}`, i, 100);
  errors.note('k0', 'again', 100);
  errors.note('one more', 1, 100);
  expect(errors.find('k1')).toBeUndefined();
  expect(errors.find('k0')).toMatchObject({ error: 'again' });
  expect(errors.find('k2')).toMatchObject({ error: 2 });
  expect(errors.find('one more')).toMatchObject({ error: 1 });
});

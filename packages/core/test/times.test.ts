import { expect, test } from 'vitest';
import { Times } from '../src/times.ts';

test('all is 0 before the first', () => {
  expect(new Times().stats()).toEqual({ count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 });
});

test('says how long it took, to one part in a hundred', () => {
  const times = new Times();
  for (let ms = 1; ms <= 100; ms += 1) times.record(ms);
  const { count, mean, p50, p95, p99, max } = times.stats();
  expect(count).toBe(100);
  for (const [found, expected] of [
    [mean, 50.5],
    [p50, 50],
    [p95, 95],
    [p99, 99],
    [max, 100],
  ] as const)
    expect(Math.abs(found - expected) / expected).toBeLessThan(0.02);
});

test('counts what is shorter than a microsecond or longer than an hour as that', () => {
  const times = new Times();
  for (const ms of [0, 0.000_1, 86_400_000]) times.record(ms);
  const { count, p50, max } = times.stats();
  expect(count).toBe(3);
  expect(p50).toBe(0.001);
  expect(Math.abs(max / 3_600_000 - 1)).toBeLessThan(0.02);
});

test('counts what others have counted, and leaves them as they are', () => {
  const [sum, one, other] = [new Times(), new Times(), new Times()];
  sum.add(one);
  expect(sum.stats().count).toBe(0);
  for (let ms = 1; ms <= 50; ms += 1) one.record(ms);
  for (let ms = 51; ms <= 100; ms += 1) other.record(ms);
  sum.add(one);
  sum.add(other);
  const { count, p50, max } = sum.stats();
  expect(count).toBe(100);
  expect(Math.abs(p50 / 50 - 1)).toBeLessThan(0.02);
  expect(Math.abs(max / 100 - 1)).toBeLessThan(0.02);
  expect(one.stats().count).toBe(50);
});

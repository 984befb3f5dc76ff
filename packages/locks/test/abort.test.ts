import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onAbort } from '../src/abort.ts';

test('all who wait are told once, over one listener of the signal', () => {
  const controller = new AbortController();
  let told = 0;
  for (let i = 0; i < 50; i += 1)
    onAbort(controller.signal, () => {
      told += 1;
    });
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
  controller.abort();
  expect(told).toBe(50);
});

test('whoever takes it back is not told, and the last takes the listener along', () => {
  const { signal, ...rest } = new AbortController();
  expect(rest).toEqual({});
  const stops = [1, 2].map(() => onAbort(signal, () => expect.unreachable()));
  stops[0]?.();
  stops[0]?.();
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  stops[1]?.();
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('one who listens after all have left is told', () => {
  const controller = new AbortController();
  const told: string[] = [];
  onAbort(controller.signal, () => void told.push('first'))();
  onAbort(controller.signal, () => void told.push('second'));
  controller.abort();
  expect(told).toEqual(['second']);
});

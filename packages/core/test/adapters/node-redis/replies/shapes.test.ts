import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { type Shape, shapeOf } from '../../../../src/adapters/node-redis/replies/shapes.ts';

const limit = 256;

/** New shapes, as many as are given. */
function take(kind: string): Shape[] {
  const shapes: Shape[] = [];
  for (let i = 0; i <= limit; i++) {
    const shape = shapeOf([kind, `field${i}`]);
    if (shape !== undefined) shapes.push(shape);
  }
  return shapes;
}

test('the same fields in the same order are one shape, others another', () => {
  const shape = shapeOf(['a', 'b']);
  for (const others of [['b', 'a'], ['a'], ['a', 'b', 'c'], ['a","b']])
    expect(shapeOf(others)).not.toBe(shape);
  expect(shapeOf(['a', 'b'])).toBe(shape);
});

test('so many shapes are given out, and again when nobody holds the former', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let held = take('first');
  expect(held.length).toBeGreaterThan(limit - 10);
  expect(held.length).toBeLessThanOrEqual(limit);
  expect(shapeOf(['one', 'more'])).toBeUndefined();
  expect(shapeOf(held[0]?.fields ?? [])).toBe(held[0]);
  held = [];
  // The finalizers run in turns of their own.
  while (shapeOf(['one', 'more']) === undefined) {
    collect();
    await delay(1);
  }
  expect(take('second').length).toBeGreaterThan(0);
});

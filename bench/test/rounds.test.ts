import { expect, test } from 'vitest';
import { inTurn } from '../src/rounds.ts';

test('subjects are measured in turn, and the figures of the first round are forgotten', async () => {
  const order: string[] = [];
  const figures = await inTurn(['a', 'b'], 2, async (subject) => {
    order.push(subject);
    return order.length;
  });
  expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
  expect(figures).toEqual([
    [3, 5],
    [4, 6],
  ]);
});

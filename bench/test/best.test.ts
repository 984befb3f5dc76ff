import { expect, test } from 'vitest';
import { best } from '../src/best.ts';

test('the best is who has the highest figure in a middling round, not in a lucky one', () => {
  const steady = { name: 'steady', rounds: [10, 11, 10] };
  const lucky = { name: 'lucky', rounds: [5, 100, 5] };
  const slow = { name: 'slow', rounds: [1, 1, 1] };
  expect(best([lucky, steady, slow])).toBe(steady);
  expect(best([slow, steady, lucky])).toBe(steady);
  expect(best([slow])).toBe(slow);
});

test('of nobody there is no best', () => {
  expect(() => best([])).toThrow('nothing was found');
});

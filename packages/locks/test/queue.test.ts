import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Queue } from '../src/queue.ts';

test('what comes first goes first', () => {
  const queue = new Queue<string>();
  expect(queue.first).toBe(undefined);
  for (const item of ['a', 'b', 'c']) queue.push(item);
  expect([...queue]).toEqual(['a', 'b', 'c']);
  expect(queue.first).toBe('a');
  expect(queue.remove('a')).toBe(true);
  expect(queue.remove('a')).toBe(false);
  expect(queue.first).toBe('b');
});

test('it is what an array would be, whoever comes and goes', () => {
  const step = fc.record({ isPush: fc.boolean(), item: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new Queue<number>();
      let model: number[] = [];
      for (const { isPush, item } of steps) {
        const stands = model.includes(item);
        if (isPush && !stands) {
          queue.push(item);
          model.push(item);
        } else if (!isPush) {
          expect(queue.remove(item)).toBe(stands);
          model = model.filter((each) => each !== item);
        }
        expect([...queue]).toEqual(model);
        expect(queue.first).toBe(model[0]);
        expect(queue.size).toBe(model.length);
      }
    }),
  );
});

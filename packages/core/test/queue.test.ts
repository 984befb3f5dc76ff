import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Queue, type Queued } from '../src/queue.ts';

class Item implements Queued {
  before: this | undefined;
  after: this | undefined;
}

test('what comes first goes first', () => {
  const queue = new Queue<Item>();
  expect(queue.first).toBe(undefined);
  const [a, b, c] = [new Item(), new Item(), new Item()];
  for (const item of [a, b, c]) queue.push(item);
  expect([...queue]).toEqual([a, b, c]);
  expect(queue.first).toBe(a);
  expect(queue.remove(a)).toBe(true);
  expect(queue.remove(a)).toBe(false);
  expect(queue.first).toBe(b);
});

test('whoever goes while all are told is no reason to miss the others', () => {
  const queue = new Queue<Item>();
  const items = [new Item(), new Item(), new Item()];
  for (const item of items) queue.push(item);
  const told: Item[] = [];
  for (const item of queue) {
    told.push(item);
    queue.remove(item);
  }
  expect(told).toEqual(items);
  expect(queue.size).toBe(0);
});

test('it is what an array would be, whoever comes and goes', () => {
  const step = fc.record({ isPush: fc.boolean(), index: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const items = Array.from({ length: 10 }, () => new Item());
      const queue = new Queue<Item>();
      let model: Item[] = [];
      for (const { isPush, index } of steps) {
        const item = items[index] as Item;
        const stands = model.includes(item);
        if (isPush && !stands) {
          queue.push(item);
          model.push(item);
        } else if (!isPush) {
          expect(queue.remove(item)).toBe(stands);
          model = model.filter((each) => each !== item);
        }
        expect([...queue].map((each) => items.indexOf(each))).toEqual(
          model.map((each) => items.indexOf(each)),
        );
        expect(queue.first === model[0]).toBe(true);
        expect(queue.size).toBe(model.length);
      }
    }),
  );
});

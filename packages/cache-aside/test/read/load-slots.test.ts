import { getEventListeners } from 'node:events';
import { settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { LoadSlots } from '../../src/read/load-slots.ts';

const { signal: never } = new AbortController();

/** Who has a slot, in the order in which they got it. */
function queue(slots: LoadSlots) {
  const got: string[] = [];
  const giveBack = new Map<string, () => void>();
  const ask = (name: string, signal = never): Promise<void> =>
    slots.take(signal).then((end) => {
      got.push(name);
      giveBack.set(name, end);
    });
  return { got, ask, end: (name: string) => giveBack.get(name)?.() };
}

test('so many at a time, the others in the order in which they came', async () => {
  const { got, ask, end } = queue(new LoadSlots(2));
  for (const name of ['a', 'b', 'c', 'd']) void ask(name);
  await settled();
  expect(got).toEqual(['a', 'b']);
  end('b');
  await settled();
  expect(got).toEqual(['a', 'b', 'c']);
  end('a');
  end('c');
  await settled();
  expect(got).toEqual(['a', 'b', 'c', 'd']);
  end('d');
  await ask('e');
  await ask('f');
  expect(got).toHaveLength(6);
});

test('a slot that is given back twice is one', async () => {
  const { got, ask, end } = queue(new LoadSlots(1));
  void ask('a');
  void ask('b');
  void ask('c');
  await settled();
  end('a');
  end('a');
  await settled();
  expect(got).toEqual(['a', 'b']);
});

test('one who leaves gets his reason, takes no turn, and leaves no listener', async () => {
  const { got, ask, end } = queue(new LoadSlots(1));
  const [leaving, staying] = [new AbortController(), new AbortController()];
  await ask('a');
  const left = ask('b', leaving.signal);
  const stayed = ask('c', staying.signal);
  leaving.abort('bored');
  await expect(left).rejects.toBe('bored');
  end('a');
  await stayed;
  expect(got).toEqual(['a', 'c']);
  for (const { signal } of [leaving, staying])
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  // It is his now: leaving gives nothing back.
  staying.abort('late');
  void ask('d');
  await settled();
  expect(got).toEqual(['a', 'c']);
});

test('one who has left already waits for nothing', async () => {
  const slots = new LoadSlots(1);
  await expect(slots.take(AbortSignal.abort('gone'))).rejects.toBe('gone');
  await slots.take(never);
});

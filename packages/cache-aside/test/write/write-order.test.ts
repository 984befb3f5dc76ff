import { settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { WriteOrder } from '../../src/write/write-order.ts';

/** Writes with names, and what has left so far. */
function ordering(gate = { isUp: true, up: () => Promise.resolve() }) {
  const order = new WriteOrder(gate);
  const left: string[] = [];
  const run = (name: string, keys: string[], prepared?: Promise<unknown>): Promise<string> =>
    order.run(keys, prepared, async () => {
      left.push(name);
      return name;
    });
  return { run, left, gate };
}

/** What the test makes ready. */
function preparing() {
  let ready = (): void => {};
  let fail = (_error: unknown): void => {};
  const prepared = new Promise<void>((resolve, reject) => {
    ready = resolve;
    fail = reject;
  });
  return { prepared, ready: () => ready(), fail: (error: unknown) => fail(error) };
}

test('what is ready leaves at once, before the call returns', () => {
  const { run, left } = ordering();
  run('a', ['k']);
  run('b', ['k']);
  expect(left).toEqual(['a', 'b']);
});

test('what is ready sooner does not overtake what was called before', async () => {
  const { run, left } = ordering();
  const [first, second] = [preparing(), preparing()];
  const all = Promise.all([
    run('first', ['k'], first.prepared),
    run('second', ['k'], second.prepared),
    run('third', ['k']),
    run('another key', ['l']),
  ]);
  second.ready();
  await settled();
  expect(left).toEqual(['another key']);
  first.ready();
  expect(await all).toEqual(['first', 'second', 'third', 'another key']);
  expect(left).toEqual(['another key', 'first', 'second', 'third']);
  // Nothing waits any more.
  run('fourth', ['k']);
  expect(left.at(-1)).toBe('fourth');
});

test('of many keys it waits for all, and lets those behind wait for it', async () => {
  const { run, left } = ordering();
  const [a, b] = [preparing(), preparing()];
  const all = [run('a', ['a'], a.prepared), run('b', ['b'], b.prepared)];
  all.push(run('both', ['a', 'b', 'c']), run('c', ['c']));
  b.ready();
  await settled();
  expect(left).toEqual(['b']);
  a.ready();
  await Promise.all(all);
  expect(left).toEqual(['b', 'a', 'both', 'c']);
});

test('what could not be made ready does not leave, and lets nobody behind it go first', async () => {
  const { run, left } = ordering();
  const [first, second] = [preparing(), preparing()];
  const all = [run('first', ['k'], first.prepared)];
  const failed = expect(run('second', ['k'], second.prepared)).rejects.toBe('its error');
  all.push(run('third', ['k']));
  second.fail('its error');
  await settled();
  expect(left).toEqual([]);
  first.ready();
  await Promise.all([...all, failed]);
  expect(left).toEqual(['first', 'third']);
});

test('none overtakes those that wait for a connection', async () => {
  const up = preparing();
  const gate = { isUp: false, up: () => up.prepared };
  const { run, left } = ordering(gate);
  const first = run('first', ['k']);
  await settled();
  expect(left).toEqual([]);
  gate.isUp = true;
  const second = run('second', ['k']);
  up.ready();
  await Promise.all([first, second]);
  expect(left).toEqual(['first', 'second']);
});

test('without a connection it is sent all the same, to fail in its own way', async () => {
  const { run, left } = ordering({ isUp: false, up: () => Promise.reject(new Error('none')) });
  expect(await run('a', ['k'])).toBe('a');
  expect(left).toEqual(['a']);
});

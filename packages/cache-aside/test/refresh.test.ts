import { settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Refreshes } from '../src/refresh/refreshes.ts';

/** Runs that end when they are told to. */
function loads() {
  const running = new Map<string, () => void>();
  const begun: string[] = [];
  const run = (key: string) => (): Promise<void> => {
    begun.push(key);
    return new Promise((resolve) => running.set(key, resolve));
  };
  const end = async (key: string): Promise<void> => {
    running.get(key)?.();
    running.delete(key);
    await settled();
  };
  return { run, begun, end };
}

test('a key is loaded once at a time, whoever asks', async () => {
  const { run, begun, end } = loads();
  const refreshes = new Refreshes();
  expect([refreshes.ask('a', run('a')), refreshes.ask('a', run('a'))]).toEqual([true, true]);
  expect(begun).toEqual(['a']);
  await end('a');
  expect(refreshes.ask('a', run('a'))).toBe(true);
  expect(begun).toEqual(['a', 'a']);
});

test('no more than 32 run at a time, the others in the order in which they came', async () => {
  const { run, begun, end } = loads();
  const refreshes = new Refreshes();
  const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
  for (const key of keys) refreshes.ask(key, run(key));
  expect(begun).toEqual(keys.slice(0, 32));
  await end('k5');
  await end('k0');
  expect(begun).toEqual(keys.slice(0, 34));
});

test('what comes when a thousand wait is dropped and counted', () => {
  const { run } = loads();
  const refreshes = new Refreshes();
  for (let i = 0; i < 1_032; i++) expect(refreshes.ask(`k${i}`, run(`k${i}`))).toBe(true);
  expect(refreshes.ask('one more', run('one more'))).toBe(false);
  expect(refreshes.ask('k1031', run('k1031'))).toBe(true);
  expect(refreshes.dropped).toBe(1);
});

test('closed, it begins nothing more', async () => {
  const { run, begun, end } = loads();
  const refreshes = new Refreshes();
  for (let i = 0; i < 40; i++) refreshes.ask(`k${i}`, run(`k${i}`));
  refreshes.close();
  await end('k0');
  expect(refreshes.ask('another', run('another'))).toBe(false);
  expect(begun).toHaveLength(32);
});

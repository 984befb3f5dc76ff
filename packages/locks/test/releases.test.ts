import { ManualClock, settled } from '@redcache/core/testing';
import { Budget } from '@redcache/core/toolkit';
import { expect, test } from 'vitest';
import { Releases } from '../src/releases.ts';
import { pass } from './support/pass.ts';

const unanswered = (): Promise<never> => Promise.reject(new Error('nobody answers'));

test('however many can be given back nowhere, one that can is', async () => {
  const clock = new ManualClock();
  const releases = new Releases(clock, new Budget(clock, 100));
  for (let i = 0; i < 2_000; i += 1) releases.now({ forMs: 10_000, giveBack: unanswered });
  await settled();
  let given = 0;
  releases.now({
    forMs: 10_000,
    giveBack: async () => {
      given += 1;
    },
  });
  await settled();
  expect(given).toBe(1);
  await releases.close();
});

test('one beyond as many as are kept is tried once, the others until their lease has ended', async () => {
  const clock = new ManualClock();
  const releases = new Releases(clock, new Budget(clock, 100));
  const tries = Array.from({ length: 1_001 }, () => 0);
  for (const i of tries.keys())
    releases.now({
      forMs: 1_000,
      giveBack: () => {
        tries[i] = (tries[i] ?? 0) + 1;
        return unanswered();
      },
    });
  await pass(clock, 5_000, 50);
  expect(tries[1_000]).toBe(1);
  expect(tries[999]).toBeGreaterThan(3);
  expect(tries[999]).toBeLessThan(8);
  await releases.close();
});

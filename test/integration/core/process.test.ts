import { afterAll, beforeAll, expect, test } from 'vitest';
import type { handlers } from '../../children/core-reader.ts';
import { startChildren } from '../../support/children.ts';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const reader = (nodeArgs: readonly string[] = ['--expose-gc']) =>
  startChildren<typeof handlers>('core-reader.ts', { nodeArgs });

const KEYS = 1_000_000;
const MAX_ENTRIES = 1_000;
const MAX_GROWTH_BYTES = 10 * 1024 * 1024;

test('I12: a million keys read through the engine alone leave no more than its bound', async () => {
  await using children = await reader();
  const growth = await children.all[0]?.request('readThroughEngine', KEYS, MAX_ENTRIES);
  expect(growth).toMatchObject({ misses: KEYS, entries: MAX_ENTRIES });
  expect(growth?.heapGrowthBytes).toBeLessThan(MAX_GROWTH_BYTES);
});

test('I12: a million keys read through a client leave no more than its bound', async () => {
  await using children = await reader();
  const [child] = children.all;
  const growth = await child?.request('readThroughClient', redis.url, KEYS, MAX_ENTRIES);
  expect(growth).toMatchObject({ misses: KEYS, entries: MAX_ENTRIES });
  expect(growth?.heapGrowthBytes).toBeLessThan(MAX_GROWTH_BYTES);
}, 180_000);

test('I14: after everything is closed the process ends by itself', async () => {
  // The table of tracked keys of the other server is full by now, so that it pushes at random.
  await using own = await startStandalone();
  await using children = await reader([]);
  const [child] = children.all;
  expect(await child?.request('closeAll', own.url)).toBeGreaterThan(0);
  expect(await child?.exited).toEqual({ code: 0, signal: null });
});

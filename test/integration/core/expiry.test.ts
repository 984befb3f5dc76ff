import { systemClock } from '@redcache/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const FILL = `
for i = 1, ARGV[1] do redis.call('SET', 'volatile:' .. i, i, 'PX', 3600000 + i) end
return redis.call('DBSIZE')`;

test('R7: keys of 200 ms among 100 000 other volatile ones are not served 50 ms after their time', async () => {
  await using tracked = await trackedClient(redis.url);
  await using other = await otherClient(redis.url);
  const { client, engine } = tracked;
  // And the key by which the cache has seen that pushes arrive.
  expect(await other.client.eval(FILL, { arguments: ['100000'] })).toBeGreaterThanOrEqual(100_000);

  const keys = Array.from({ length: 20 }, (_, i) => `short:${i}`);
  const readAll = () => Promise.all(keys.map((key) => client.get(key)));
  // A machine that sleeps through the 200 ms shows nothing, so it is asked again.
  const endedAtMs = await eventually(
    async () => {
      await Promise.all(keys.map((key) => other.client.set(key, 'value', { PX: 200 })));
      const endsAtMs = systemClock.nowMs() + 200;
      await readAll();
      const { hits } = engine.stats();
      await readAll();
      return engine.stats().hits - hits === keys.length ? endsAtMs : undefined;
    },
    (answer) => answer !== undefined,
  );
  await eventually(() => systemClock.nowMs() >= Number(endedAtMs) + 50);

  // They are still here, and no push has come: only their deadline keeps them from being served.
  await tracked.drained();
  const { entries, hits } = engine.stats();
  expect(entries).toBeGreaterThan(0);
  expect(await readAll()).toEqual(keys.map(() => null));
  expect(engine.stats().hits).toBe(hits);
});

test('what another client does to the time of a key is heard, and the new time counts', async () => {
  await using tracked = await trackedClient(redis.url, { ttl: '1h' });
  await using other = await otherClient(redis.url);
  const { client, engine } = tracked;
  const secondsLeft = async (): Promise<number> => {
    await client.get('timed');
    const [entry] = engine.internals.store;
    return Math.ceil((Number(entry?.deadlineAtMs) - engine.clock.nowMs()) / 1_000);
  };
  await other.client.set('timed', 'value');
  expect(await secondsLeft()).toBe(3_600);

  await other.client.pExpire('timed', 60_000);
  await tracked.drained();
  expect(engine.stats().entries).toBe(0);
  expect(await secondsLeft()).toBeLessThanOrEqual(60);

  await other.client.persist('timed');
  await tracked.drained();
  expect(engine.stats().entries).toBe(0);
  expect(await secondsLeft()).toBe(3_600);
});

test('an absent key that appears is heard, and one that is absent has the shorter time', async () => {
  await using tracked = await trackedClient(redis.url, { negativeTtl: '5s' });
  await using other = await otherClient(redis.url);
  const { client, engine } = tracked;
  expect([await client.get('absent'), await client.get('absent')]).toEqual([null, null]);
  expect(engine.stats().hits).toBe(1);
  const [entry] = engine.internals.store;
  expect(entry?.kind).toBe('negative');
  expect(Number(entry?.deadlineAtMs) - engine.clock.nowMs()).toBeLessThanOrEqual(5_000);
  await other.client.set('absent', 'here');
  await tracked.drained();
  expect(await client.get('absent')).toBe('here');
});

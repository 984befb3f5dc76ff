import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { pause } from '../../support/versions.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

const MAX_STALENESS_MS = 1_000;
const QUEUE = 8;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const open = () =>
  trackedClient(redis.url, { maxStaleness: MAX_STALENESS_MS }, { commandsQueueMaxLength: QUEUE });

test('a queue so full that no beat can be sent is not taken for silence', async () => {
  await using tracked = await open();
  const { client, engine } = tracked;
  await tracked.untilHit('k');
  const id = await client.clientId();
  await redis.node.pause();
  const waiting = Array.from({ length: QUEUE }, (_, i) => client.set(`${i}`, 'value'));
  await expect(client.set('one more', 'value')).rejects.toThrow('The queue is full');
  await pause(MAX_STALENESS_MS * 2.5);
  expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
  await redis.node.resume();
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'OK'));
  await tracked.untilHit('k');
  expect(await client.clientId()).toBe(id);
});

test('a connection that came up while the queue was nearly full is tracked in the end', async () => {
  await using tracked = await open();
  await using other = await otherClient(redis.url);
  const { client, engine } = tracked;
  await tracked.untilHit('k');
  for (let queued = 1; queued <= QUEUE; queued += 1) {
    const lost = new Promise((resolve) => client.once('reconnecting', resolve));
    const id = await client.clientId();
    await other.client.sendCommand(['CLIENT', 'KILL', 'ID', String(id)]);
    await lost;
    const pings = Array.from({ length: queued }, () => client.ping().catch(() => 'refused'));
    await Promise.all(pings);
    await tracked.untilHit('k');
    expect(engine.stats()).toMatchObject({ state: 'tracking', silences: 0 });
  }
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { pause } from '../../support/versions.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

const MAX_STALENESS_MS = 1_000;
const LINE = /^\d+\.\d+ \[\d+ [^\]]+\] "/;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

type Tracked = Awaited<ReturnType<typeof trackedClient>>;

/** What `client.monitor()` hands over, until long after silence would have been noticed. */
async function monitored(client: Tracked['client']): Promise<unknown[]> {
  await using other = await otherClient(redis.url);
  const lines: unknown[] = [];
  await client.monitor((line) => void lines.push(line));
  await other.client.set('first', '1');
  await eventually(() => lines.some((line) => String(line).includes('"first"')));
  await pause(MAX_STALENESS_MS * 2.5);
  await other.client.set('last', '1');
  await eventually(() => lines.some((line) => String(line).includes('"last"')));
  return lines;
}

const isLine = (line: unknown): boolean => typeof line === 'string' && LINE.test(line);

test('monitor() gets lines of the monitor and nothing else, and its connection is left alone', async () => {
  await using tracked = await trackedClient(redis.url, { maxStaleness: MAX_STALENESS_MS });
  const { client, engine } = tracked;
  await tracked.untilHit('k');
  const lines = await monitored(client);
  expect(lines.filter((line) => !isLine(line))).toEqual([]);
  expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0, entries: 0 });
});

test('after reset() the client that monitored is cached as before', async () => {
  await using tracked = await trackedClient(redis.url, { maxStaleness: MAX_STALENESS_MS });
  await using other = await otherClient(redis.url);
  const { client } = tracked;
  await client.monitor(() => {});
  await client.reset();
  await tracked.untilHit('k');
  await other.client.set('k', 'newest');
  await eventually(async () => (await client.get('k')) === 'newest');
});

test('monitor() on a duplicate that shares the cache does the others no harm', async () => {
  await using tracked = await trackedClient(redis.url, { maxStaleness: MAX_STALENESS_MS });
  await using other = await otherClient(redis.url);
  const { client, engine } = tracked;
  await tracked.untilHit('k');
  const duplicate = client.duplicate();
  duplicate.on('error', () => {});
  await duplicate.connect();
  const lines = await monitored(duplicate as Tracked['client']);
  expect(lines.filter((line) => !isLine(line))).toEqual([]);
  expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0, connections: 1 });
  await tracked.untilHit('k');
  await other.client.set('k', 'new');
  await eventually(async () => (await client.get('k')) === 'new');
  duplicate.destroy();
});

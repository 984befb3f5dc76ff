import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { pause } from '../../support/versions.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

const MAX_STALENESS_MS = 1_000;
/** In which a connection would be found silent if anything of it looked so. */
const LONG_MS = MAX_STALENESS_MS * 2;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());
const open = () => trackedClient(redis.url, { maxStaleness: MAX_STALENESS_MS });

describe('a raw MULTI', () => {
  test('that is held open is not taken for silence, and caching goes on after it', async () => {
    await using tracked = await open();
    const { client, engine } = tracked;
    await tracked.untilHit('k');
    const id = await client.clientId();
    await client.sendCommand(['MULTI']);
    await pause(LONG_MS);
    expect(await client.sendCommand(['SET', 'held', '1'])).toBe('QUEUED');
    expect(await client.sendCommand(['EXEC'])).toEqual(['OK']);
    expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
    expect(await client.clientId()).toBe(id);
    await tracked.untilHit('k');
  });

  test('that RESET ends: caching goes on, on the same connection', async () => {
    await using tracked = await open();
    const { client, engine } = tracked;
    await tracked.untilHit('k');
    const id = await client.clientId();
    await client.sendCommand(['MULTI']);
    await client.reset();
    await tracked.untilHit('k');
    await pause(LONG_MS);
    expect(engine.stats()).toMatchObject({ state: 'tracking', silences: 0, reconnects: 0 });
    expect(await client.clientId()).toBe(id);
    await tracked.untilHit('k');
  });

  test('that the server refuses leaves the connection as it was: hits go on', async () => {
    await redis.node.ask('ACL', 'SETUSER', 'nomulti', 'on', '>pw', '~*', '&*', '+@all', '-multi');
    await using tracked = await trackedClient(
      redis.url,
      { maxStaleness: MAX_STALENESS_MS },
      { username: 'nomulti', password: 'pw' },
    );
    const { client, engine } = tracked;
    await tracked.untilHit('k');
    await expect(client.sendCommand(['MULTI'])).rejects.toThrow(/NOPERM/);
    for (let i = 0; i < 5; i += 1) expect(await tracked.isHit('k')).toBe(true);
    await pause(LONG_MS);
    await tracked.untilHit('k');
    expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
  });

  test('inside another is refused, and the first one stands', async () => {
    await using tracked = await open();
    const { client } = tracked;
    await tracked.untilHit('k');
    await client.sendCommand(['MULTI']);
    await expect(client.sendCommand(['MULTI'])).rejects.toThrow(/nested/);
    expect(await client.get('k')).toBe('QUEUED');
    expect(await client.sendCommand(['EXEC']).catch((error) => error)).not.toBe('QUEUED');
    await tracked.untilHit('k');
  });
});

describe('a blocking command in execAsPipeline()', () => {
  test('is not taken for silence: it is answered on the same connection', async () => {
    await using tracked = await open();
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    await tracked.untilHit('k');
    const id = await client.clientId();
    const popped = client.multi().set('before', '1').blPop('list', 0).execAsPipeline();
    await pause(LONG_MS);
    await other.client.rPush('list', 'element');
    expect(await popped).toEqual(['OK', { key: 'list', element: 'element' }]);
    expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
    expect(await client.clientId()).toBe(id);
    await tracked.untilHit('k');
  });

  test('and a SELECT behind it: what is read afterwards is of the new database', async () => {
    await using tracked = await open();
    await using other = await otherClient(redis.url);
    const { client } = tracked;
    await other.client.set('place', 'in 0');
    await other.client.select(1);
    await other.client.set('place', 'in 1');
    await other.client.select(0);
    expect(await client.get('place')).toBe('in 0');
    const popped = client.multi().blPop('another list', 0).select(1).execAsPipeline();
    await other.client.rPush('another list', 'element');
    await popped;
    for (let i = 0; i < 3; i += 1) expect(await client.get('place')).toBe('in 1');
    await tracked.untilHit('place');
    expect(await client.get('place')).toBe('in 1');
  });
});

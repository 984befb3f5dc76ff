import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { pause } from '../../support/versions.ts';
import { trackedClient } from './tracked-client.ts';

const MAX_STALENESS_MS = 600;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

/** How it has ended so far. */
function watched(promise: Promise<unknown>): { end: unknown } {
  const seen = { end: 'pending' as unknown };
  promise.then(
    (value) => {
      seen.end = value;
    },
    (error) => {
      seen.end = error;
    },
  );
  return seen;
}

/** Keeps the server busy for three times as long as silence may last. */
const SLOW = `
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end
local start = now()
while now() - start < ${MAX_STALENESS_MS * 3} do end
return 'done'
`;

describe('close()', () => {
  test('while a slow command is under way waits for it, and the client stays closed', async () => {
    await using proxy = await TcpProxy.start(redis.node);
    await using tracked = await trackedClient(proxy.url, { maxStaleness: MAX_STALENESS_MS });
    const { client, engine } = tracked;
    await tracked.untilHit('k');
    let ends = 0;
    client.on('end', () => {
      ends += 1;
    });
    const slow = client.sendCommand(['EVAL', SLOW, '0']);
    const closed = client.close();
    expect(await slow).toBe('done');
    await closed;
    await pause(MAX_STALENESS_MS * 3);
    expect([client.isOpen, client.isReady, ends, proxy.accepted]).toEqual([false, false, 1, 1]);
    expect(engine.stats()).toMatchObject({ connections: 0, entries: 0 });
    // For whoever disposes of it.
    await client.connect();
  });

  for (const isAsked of [false, true])
    test(`on a connection that hangs, ${isAsked ? 'with a beat under way' : 'before anybody knows'}: it goes on waiting, neither destroyed nor opened again`, async () => {
      await using proxy = await TcpProxy.start(redis.node);
      await using tracked = await trackedClient(proxy.url, { maxStaleness: MAX_STALENESS_MS });
      const { client } = tracked;
      await tracked.untilHit('k');
      proxy.stall();
      if (isAsked) {
        // The beat whose answer is missing when silence has lasted for too long.
        const { received } = proxy.bytes('toServer');
        await eventually(() => proxy.bytes('toServer').received > received);
      }
      const written = watched(client.set('y', '1'));
      const closed = watched(client.close().then(() => 'closed'));
      expect(client.isOpen).toBe(false);
      await pause(MAX_STALENESS_MS * 4);
      expect([written.end, closed.end]).toEqual(['pending', 'pending']);
      expect([client.isOpen, proxy.accepted]).toEqual([false, 1]);
      proxy.resume();
      await eventually(() => closed.end !== 'pending');
      expect([written.end, closed.end]).toEqual(['OK', 'closed']);
      await pause(MAX_STALENESS_MS);
      expect([client.isOpen, client.isReady, proxy.accepted]).toEqual([false, false, 1]);
      await client.connect();
    });
});

import assert from 'node:assert/strict';
import { attach } from '../../attach.ts';
import { createTrackingCache, type TrackingCache } from '../../tracking-cache.ts';
import { type Cases, type PortTrial, upTo } from './port-trial.ts';

/** What the engine makes of the port. */
export const ENGINE: Cases = {
  'attached: what was read is kept until somebody else changes it': attached(async (t, cache) => {
    const key = t.key('k');
    await t.others('SET', key, 'old');
    assert.deepEqual([await read(t, cache, key), await read(t, cache, key)], ['old', 'old']);
    assert.equal(cache.stats().hits, 1);
    await t.others('SET', key, 'new');
    await t.drain();
    assert.deepEqual([await read(t, cache, key), cache.stats().hits], ['new', 1]);
  }),

  'attached: a FLUSHALL evicts everything': attached(async (t, cache) => {
    const key = t.key('k');
    await t.others('SET', key, 'old');
    await read(t, cache, key);
    await t.others('FLUSHALL');
    await t.drain();
    assert.deepEqual([await read(t, cache, key), cache.stats().hits], [null, 0]);
  }),

  'attached: once a loss was told nothing read before is served': attached(async (t, cache) => {
    const key = t.key('k');
    await t.others('SET', key, 'old');
    await read(t, cache, key);
    const hits: number[] = [];
    const stop = t.port.onConnection((connection) => {
      if (connection !== 'down') return;
      read(t, cache, key).catch(() => {});
      hits.push(cache.stats().hits);
    });
    await t.cutAndUp();
    stop();
    assert.deepEqual(hits, [0]);
    await t.others('SET', key, 'new');
    await tracks(t, cache);
    assert.deepEqual([await read(t, cache, key), await read(t, cache, key)], ['new', 'new']);
    assert.equal(cache.stats().hits, 1);
  }),

  'attached: a reply that a change overtook is not kept': attached(async (t, cache) => {
    for (const round of upTo(12)) {
      const keys = upTo(100).map((each) => t.key(`${round}:${each}`));
      await t.others('MSET', ...keys.flatMap((key) => [key, 'old']));
      const reads = keys.map((key) => read(t, cache, key));
      // Sent in one tick, in two, or when the first reply is here: replies and pushes of these come
      // close together in every order, some of them in one piece.
      if (Number(round) % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
      if (Number(round) % 3 === 2) await reads[0];
      await Promise.all([...reads, ...keys.map((key) => t.others('SET', key, 'new'))]);
      await t.drain();
      const { hits } = cache.stats();
      for (const key of keys) {
        assert.equal(await read(t, cache, key), 'new', `outdated in round ${round}`);
        assert.equal(await read(t, cache, key), 'new');
      }
      assert.ok(cache.stats().hits >= hits + keys.length);
    }
  }),

  // The engine sees to it, so a port need not guard itself against its listeners.
  'attached: what a listener of a key throws reaches neither the port nor the others': attached(
    async (t, cache) => {
      const key = t.key('k');
      let told = 0;
      cache.onInvalidation(key, () => {
        throw new Error('thrown by a listener');
      });
      cache.onInvalidation(key, () => {
        told += 1;
      });
      for (const value of ['1', '2']) {
        await t.send('GET', key);
        await t.others('SET', key, value);
        await t.drain();
      }
      assert.equal(told, 2);
      assert.deepEqual(t.heard, ['up', ...probesOf(t), `push ${key}`, `push ${key}`]);
    },
  ),
};

/** Runs a check with an engine that is attached and tracks, and detaches it. */
function attached(
  check: (trial: PortTrial, cache: TrackingCache) => Promise<void>,
): (trial: PortTrial) => Promise<void> {
  return async (trial) => {
    const cache = createTrackingCache();
    const { detach } = attach(cache, trial.port);
    try {
      await tracks(trial, cache);
      await check(trial, cache);
    } finally {
      detach();
      cache.close();
    }
  };
}

/** Sends: `GET` and `PTTL` in one go, if the engine asks for it. */
function read(trial: PortTrial, cache: TrackingCache, key: string): Promise<unknown> {
  return cache.read([key], `GET ${key}`, async () => {
    const [value, ttlMs] = await Promise.all([trial.send('GET', key), trial.send('PTTL', key)]);
    if (value === null)
      return { value, cache: { kind: 'negative', remaining: 'none', valueBytes: 0 } };
    const remaining = ttlMs === -1 ? 'none' : Number(ttlMs);
    return { value, cache: { kind: 'present', remaining, valueBytes: String(value).length } };
  });
}

const tracks = (trial: PortTrial, cache: TrackingCache): Promise<void> =>
  trial.until(() => cache.stats().state === 'tracking', 'the engine to track');

/** The pushes by which the engine made sure that pushes arrive. */
const probesOf = ({ heard }: PortTrial): string[] =>
  heard.filter((each) => each.startsWith('push redcache:probe:'));

import { runInNewContext } from 'node:vm';
import { ManualClock, settled } from '@redcache/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { LoadTimeoutError } from '../../src/errors.ts';
import {
  type LoadAll,
  type LoadContext,
  loadOne,
  loadSeveral,
  runLoader,
} from '../../src/read/loader.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled.splice(0)).toEqual([]);
});

/** A loader that the test settles, its clock and its bounds. */
function running(hardMs = 1_000) {
  const clock = new ManualClock();
  const abandoned = new AbortController();
  const lost = new AbortController();
  let context!: LoadContext;
  let resolve!: (values: ReadonlyMap<string, unknown>) => void;
  let reject!: (error: unknown) => void;
  const load: LoadAll = (_, given) => {
    context = given;
    return new Promise((yes, no) => {
      resolve = yes;
      reject = no;
    });
  };
  const bounds = { hardMs, clock, abandoned: abandoned.signal, lost: lost.signal };
  const loaded = runLoader(load, ['k'], bounds);
  return { clock, abandoned, lost, loaded, context, resolve, reject };
}

test('answers what the loader answers, how long it took, and leaves no timer', async () => {
  const { clock, loaded, resolve } = running();
  clock.advance(30);
  resolve(new Map([['k', 1]]));
  expect(await loaded).toEqual({
    values: new Map([['k', 1]]),
    ttlMs: undefined,
    skipped: false,
    tookMs: 30,
  });
  expect(clock.timers).toBe(0);
});

test("rejects with the loader's own error, the same instance", async () => {
  const { clock, loaded, reject } = running();
  const error = new Error('no database');
  reject(error);
  await expect(loaded).rejects.toBe(error);
  expect(clock.timers).toBe(0);
});

test('a loader that throws before its first await rejects as well', async () => {
  const error = new Error('at once');
  const load = loadOne(() => {
    throw error;
  });
  const bounds = {
    hardMs: 10,
    clock: new ManualClock(),
    abandoned: new AbortController().signal,
    lost: undefined,
  };
  await expect(runLoader(load, ['k'], bounds)).rejects.toBe(error);
  expect(bounds.clock.timers).toBe(0);
});

describe('a loader that does not settle', () => {
  test('ends at the hard timeout, and its signal says why', async () => {
    const { clock, loaded, context } = running(1_000);
    clock.advance(999);
    await settled();
    expect(context.signal.aborted).toBe(false);
    clock.advance(1);
    await expect(loaded).rejects.toMatchObject({ code: 'REDCACHE_LOAD_TIMEOUT' });
    expect(context.signal.reason).toBeInstanceOf(LoadTimeoutError);
    expect(clock.timers).toBe(0);
  });

  test('may reject later without anybody caring', async () => {
    const { clock, loaded, reject } = running();
    clock.advance(1_000);
    await expect(loaded).rejects.toMatchObject({ code: 'REDCACHE_LOAD_TIMEOUT' });
    reject(new Error('too late'));
  });

  test('ends when it is abandoned, with the reason as it is', async () => {
    const { clock, loaded, abandoned, context, reject } = running();
    const reason = { left: 'all' };
    abandoned.abort(reason);
    await expect(loaded).rejects.toBe(reason);
    expect(context.signal.reason).toBe(reason);
    expect(clock.timers).toBe(0);
    reject(new Error('too late'));
  });
});

test('a load that was abandoned before it began does not begin', async () => {
  const reason = new Error('gone');
  let calls = 0;
  const load: LoadAll = async () => {
    calls += 1;
    return new Map();
  };
  const bounds = {
    hardMs: 10,
    clock: new ManualClock(),
    abandoned: AbortSignal.abort(reason),
    lost: undefined,
  };
  await expect(runLoader(load, ['k'], bounds)).rejects.toBe(reason);
  expect(calls).toBe(0);
});

describe('a lease that is lost', () => {
  test('is told to the loader and ends nothing', async () => {
    const { lost, loaded, context, resolve } = running();
    const reason = new Error('lost');
    lost.abort(reason);
    expect(context.signal.reason).toBe(reason);
    resolve(new Map([['k', 1]]));
    expect((await loaded).values.get('k')).toBe(1);
  });

  test('before the loader began is told at once', () => {
    const lost = AbortSignal.abort(new Error('lost'));
    let aborted = false;
    const load: LoadAll = async (_, { signal }) => {
      aborted = signal.aborted;
      return new Map();
    };
    const abandoned = new AbortController().signal;
    void runLoader(load, ['k'], { hardMs: 10, clock: new ManualClock(), abandoned, lost });
    expect(aborted).toBe(true);
  });
});

describe('what a loader may say', () => {
  test('a TTL, the last one counting, and that nothing is to be stored', async () => {
    const { context, loaded, resolve } = running();
    context.ttl('10s');
    context.ttl(500);
    context.skip();
    resolve(new Map());
    expect(await loaded).toMatchObject({ ttlMs: 500, skipped: true });
  });

  test('not a TTL that is none', () => {
    const { context, resolve } = running();
    expect(() => context.ttl(0)).toThrow('ctx.ttl');
    expect(() => context.ttl('soon' as never)).toThrow('ctx.ttl');
    resolve(new Map());
  });
});

describe('answers of a loader for many keys', () => {
  const context = {} as LoadContext;

  test('may be a Map or an object', async () => {
    const map = new Map([['a', 1]]);
    expect(await loadSeveral(() => map)(['a'], context)).toEqual(map);
    expect(await loadSeveral(async () => ({ a: 1 }))(['a'], context)).toEqual(map);
  });

  test('may be a Map of another realm', async () => {
    const load = loadSeveral(() => runInNewContext("new Map([['a', 1]])"));
    expect((await load(['a'], context)).get('a')).toBe(1);
  });

  const listed = new Set(['a']);
  test.each([[[1, 2]], [listed], [undefined], [null], ['text'], [7]])(
    'cannot be %o',
    async (answer) => {
      const load = loadSeveral(() => answer as never);
      await expect(load(['a'], context)).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
    },
  );
});

test('no listener stays on the signals', async () => {
  const { loaded, abandoned, lost, resolve, context } = running();
  resolve(new Map());
  await loaded;
  abandoned.abort(new Error('later'));
  lost.abort(new Error('later'));
  expect(context.signal.aborted).toBe(false);
});

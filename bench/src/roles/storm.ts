import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import type { TrackingCache } from '@redcache/core';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { type Client, connect, UNTIMED } from '../connect.ts';
import type { Work } from '../roles.ts';
import { threadMs } from '../thread-time.ts';

/** In this order. `watch` answers at once, `result` when the last key is gone. */
export type StormTask = 'fill' | 'watch' | 'result';

export interface Storm {
  readonly perSecond: number;
  /** The longest time between two turns of the event loop while pushes came. */
  readonly longestTurnMs: number;
  /** The most that the thread itself ran between two turns, where the system says so. */
  readonly longestRunMs: number | undefined;
  /** The longest turn as Node's own histogram has it, which sees a timer come late. */
  readonly longestDelayMs: number;
  readonly heapBefore: number;
  readonly heapPeak: number;
  readonly heapAfter: number;
  /** Entries that ended otherwise: with a connection that was taken for silent. */
  readonly lost: number;
}

const VALUE_CHARS = 100;
/** Keys that one script makes, and reads that are under way at a time. */
const BATCH = 5_000;

/** ARGV: prefix, first, last, characters of a value. Sets the keys of these numbers. */
const MAKE = `local value = string.rep('x', ARGV[4])
for i = ARGV[2], ARGV[3] do redis.call('SET', ARGV[1] .. string.format('%d', i), value) end`;

/** Reads keys through a cache and lives through their end; arguments: URL, prefix, keys. */
export async function stormRole(...args: string[]): Promise<Work> {
  const [url, prefix] = args as [string, string];
  const keys = Number(args[2]);
  const other = await connect(url, { commandOptions: UNTIMED });
  const cache = clientSideCache({ maxEntries: keys, maxBytes: 1e12 });
  const client = await connect(url, { clientSideCache: cache, commandOptions: UNTIMED });
  const engine = trackingOf(client);
  let storm: Promise<Storm> | undefined;

  return async (task) => {
    switch (task as StormTask) {
      case 'fill':
        await warmUp({ client, other, prefix: `${prefix}warm:` });
        await fill({ client, other, prefix, keys });
        expect(engine.stats().entries, keys, 'entries before the storm');
        return undefined;
      case 'watch': {
        const heapBefore = await heapUsed();
        storm = watch(engine, keys, heapBefore);
        return undefined;
      }
      case 'result':
        return storm;
    }
  };
}

/** ARGV: prefix, first, last. Removes the keys of these numbers. */
const REMOVE = `for i = ARGV[2], ARGV[3] do redis.call('UNLINK', ARGV[1] .. string.format('%d', i)) end`;

/** A process in operation has dropped copies before, so that V8 has compiled what does it. */
async function warmUp(how: {
  readonly client: Client;
  readonly other: Client;
  readonly prefix: string;
}): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    const keys = 250;
    await fill({ ...how, keys });
    await how.other.eval(REMOVE, { arguments: [how.prefix, '1', String(keys)] });
    await how.client.ping();
  }
}

async function fill(how: {
  readonly client: Client;
  readonly other: Client;
  readonly prefix: string;
  readonly keys: number;
}): Promise<void> {
  const { client, other, prefix, keys } = how;
  for (let first = 1; first <= keys; first += BATCH) {
    const last = Math.min(first + BATCH - 1, keys);
    const numbers = [String(first), String(last), String(VALUE_CHARS)];
    await other.eval(MAKE, { arguments: [prefix, ...numbers] });
    await Promise.all(
      Array.from({ length: last - first + 1 }, (_, i) => client.get(`${prefix}${first + i}`)),
    );
  }
}

/** Measures from the first push until no entry is left, however many turns of the loop that takes. */
async function watch(engine: TrackingCache, keys: number, heapBefore: number): Promise<Storm> {
  const before = engine.stats().evictions.invalidation;
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  let heapPeak = heapBefore;
  let longestTurnMs = 0;
  let longestRunMs = 0;
  let lastRunMs = threadMs();
  let firstMs: number | undefined;
  let lastTurnMs = performance.now();
  for (;;) {
    await turn();
    const nowMs = performance.now();
    const left = engine.stats().entries;
    // The turn that brought the first pushes counts from its beginning.
    if (left < keys) firstMs ??= lastTurnMs;
    longestTurnMs = Math.max(longestTurnMs, nowMs - lastTurnMs);
    const runMs = threadMs();
    longestRunMs = Math.max(longestRunMs, (runMs ?? 0) - (lastRunMs ?? 0));
    lastRunMs = runMs;
    heapPeak = Math.max(heapPeak, getHeapStatistics().used_heap_size);
    lastTurnMs = nowMs;
    if (left === 0) break;
  }
  delays.disable();
  const dropped = engine.stats().evictions.invalidation - before;
  return {
    perSecond: (1000 * dropped) / (lastTurnMs - (firstMs as number)),
    longestTurnMs,
    longestRunMs: lastRunMs === undefined ? undefined : longestRunMs,
    longestDelayMs: delays.max / 1e6,
    heapBefore,
    heapPeak,
    heapAfter: await heapUsed(),
    lost: keys - dropped,
  };
}

function expect(found: number, expected: number, what: string): void {
  if (found !== expected) throw new Error(`${what}: ${found}, not ${expected}`);
}

async function heapUsed(): Promise<number> {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc?.();
    await turn();
  }
  return getHeapStatistics().used_heap_size;
}

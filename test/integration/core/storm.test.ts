import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const KEYS = 50_000;
const READ_AT_ONCE = 1_000;
const A_PUSH_MS = 0.03;
/** 5 ms and a chunk of 64 KB, twice. libuv would read some 20 times as much in one turn. */
const MOST_A_TURN = 4_000;
const keyOf = (i: number): string => `storm:${i}`;

const WRITE = `for i = 0, ARGV[1] - 1 do redis.call('SET', 'storm:' .. string.format('%d', i), i) end`;
const REMOVE = `for i = 0, ARGV[1] - 1 do redis.call('UNLINK', 'storm:' .. string.format('%d', i)) end`;

/** The sockets that are connected while `run` does. */
async function socketsOf<T>(run: () => Promise<T>): Promise<[T, Socket[]]> {
  const sockets: Socket[] = [];
  const note = (message: unknown): void =>
    void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', note);
  try {
    return [await run(), sockets];
  } finally {
    unsubscribe('net.client.socket', note);
  }
}

function busyFor(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** Counts by turns of the event loop until it is stopped. */
function byTurns(counted: () => number): { stop(): readonly number[] } {
  const turns: number[] = [];
  let before = counted();
  let next = setImmediate(function turn() {
    const now = counted();
    turns.push(now - before);
    before = now;
    next = setImmediate(turn);
  });
  return {
    stop: () => {
      clearImmediate(next);
      return turns;
    },
  };
}

test.for(['a connection', 'one that was lost and came back'])(
  'a storm of invalidations on %s lets the event loop turn, loses nothing, and leaves it as it was',
  async (which) => {
    await using other = await otherClient(redis.url);
    const [tracked, sockets] = await socketsOf(async () => {
      const opened = await trackedClient(redis.url, { maxEntries: 2 * KEYS, maxBytes: 1e9 });
      if (which === 'a connection') return opened;
      await other.client.sendCommand([
        'CLIENT',
        'KILL',
        'ID',
        String(await opened.client.clientId()),
      ]);
      await eventually(() => opened.engine.stats().reconnects === 1);
      await opened.untilHit('any');
      return opened;
    });
    await using _ = tracked;
    const { client, engine } = tracked;
    engine.clear();
    await other.client.eval(WRITE, { arguments: [String(KEYS)] });
    for (let first = 0; first < KEYS; first += READ_AT_ONCE)
      await client.mGet(Array.from({ length: READ_AT_ONCE }, (__, i) => keyOf(first + i)));
    expect(engine.stats().entries).toBe(KEYS);

    const socket = sockets.at(-1) as Socket;
    let pauses = 0;
    const onPause = (): void => {
      pauses += 1;
    };
    socket.on('pause', onPause);
    // Whoever listens takes his time, so that the server is faster on every machine.
    tracked.cache.on('invalidate', () => busyFor(A_PUSH_MS));
    const { reconnects, pushes } = engine.stats();
    const storm = byTurns(() => engine.stats().pushes);
    // Sent before the storm ends and answered behind it, in their order.
    const removed = other.client.eval(REMOVE, { arguments: [String(KEYS)] });
    await eventually(() => engine.stats().pushes > pushes + 1_000, Boolean, { everyMs: 0 });
    const answered: string[] = [];
    const replies = Array.from({ length: 100 }, async (__, i) => {
      answered.push(await client.echo(String(i)));
    });
    await Promise.all([removed, ...replies]);
    await eventually(() => engine.stats().entries === 0);
    const turns = storm.stop();
    socket.off('pause', onPause);

    expect(pauses).toBeGreaterThan(0);
    expect(Math.max(...turns)).toBeLessThan(MOST_A_TURN);
    expect(answered).toEqual(Array.from({ length: 100 }, (__, i) => String(i)));
    const after = engine.stats();
    expect(after.pushes - pushes).toBe(KEYS);
    expect(after).toMatchObject({
      entries: 0,
      reconnects,
      silences: 0,
      evictions: { disconnect: 0 },
    });
    expect(after.evictions.invalidation).toBe(KEYS);

    await eventually(() => socket.readableFlowing);
    expect(socket.destroyed).toBe(false);
    expect(await client.get(keyOf(1))).toBe(null);
    expect(await tracked.isHit(keyOf(1))).toBe(true);
    await other.client.set(keyOf(1), 'again');
    await eventually(async () => (await client.get(keyOf(1))) === 'again');
  },
);

import { getEventListeners } from 'node:events';
import { attach, createTrackingCache } from '@redcache/core';
import { assertIdle, FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Wake, type Woken } from '../../src/read/wake.ts';

type Waiting = Awaited<ReturnType<typeof waiting>>;

async function waiting() {
  const clock = new ManualClock();
  const engine = createTrackingCache({ clock });
  const client = new FakeClient();
  // Without heartbeats: the timers of the clock are those under test.
  attach(engine, client, { maxStaleness: false });
  await client.connect();
  const abort = new AbortController();
  const wake = new Wake(engine, 'k');
  const woken: Woken[] = [];
  const wait = (forMs = 1_000): void => {
    wake.wait(clock, forMs, abort.signal).then((cause) => woken.push(cause));
  };
  const assertNothingLeft = (): void => {
    expect(clock.timers).toBe(0);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    assertIdle(engine);
  };
  return { clock, engine, client, abort, wake, wait, woken, assertNothingLeft };
}

test.each([
  ['push', 'push', ({ client }: Waiting) => client.push('k')],
  ['flush', 'flush', ({ client }: Waiting) => client.flush()],
  ['a lost connection', 'disconnect', ({ client }: Waiting) => client.connection('down')],
  ['a closed client', 'disconnect', ({ client }: Waiting) => client.connection('closed')],
  ['a closed engine', 'close', ({ engine }: Waiting) => engine.close()],
] as const)('ends by %s', async (_, cause, happen) => {
  const setting = await waiting();
  const { wait, woken, assertNothingLeft } = setting;
  wait();
  happen(setting);
  await settled();
  expect(woken).toEqual([cause]);
  assertNothingLeft();
});

test('ends by the timer at the time given, and not before', async () => {
  const { clock, wait, woken, assertNothingLeft } = await waiting();
  wait(1_000);
  clock.advance(999);
  await settled();
  expect(woken).toEqual([]);
  clock.advance(1);
  await settled();
  expect(woken).toEqual(['timer']);
  assertNothingLeft();
});

test('ends by the signal, also one aborted before', async () => {
  const { abort, wait, woken, assertNothingLeft } = await waiting();
  wait();
  abort.abort();
  await settled();
  expect(woken).toEqual(['aborted']);
  assertNothingLeft();

  const other = await waiting();
  other.abort.abort();
  other.wait();
  await settled();
  expect(other.woken).toEqual(['aborted']);
  other.assertNothingLeft();
});

test('a push between construction and wait is not lost', async () => {
  const { client, wait, woken, assertNothingLeft } = await waiting();
  client.push('k');
  wait();
  await settled();
  expect(woken).toEqual(['push']);
  assertNothingLeft();
});

test('a push of another key wakes nobody', async () => {
  const { client, wait, woken } = await waiting();
  wait();
  client.push('other');
  await settled();
  expect(woken).toEqual([]);
});

test('a time that has passed already ends at the next turn', async () => {
  const { clock, wait, woken } = await waiting();
  wait(-5);
  clock.advance(0);
  await settled();
  expect(woken).toEqual(['timer']);
});

test('disarmed without having waited it leaves nothing', async () => {
  const { wake, assertNothingLeft } = await waiting();
  wake.disarm();
  assertNothingLeft();
});

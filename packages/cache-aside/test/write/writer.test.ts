import { attach, createTrackingCache } from '@redcache/core';
import { assertIdle, FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { BatchError } from '../../src/errors.ts';
import { Keyspace } from '../../src/redis/keyspace.ts';
import { Counters } from '../../src/stats.ts';
import { FencedWrites } from '../../src/write/fenced-writes.ts';
import { UncertainKeys } from '../../src/write/uncertain.ts';
import { Writer } from '../../src/write/writer.ts';
import { wayOf } from '../support/way-of.ts';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
afterEach(async () => {
  await settled();
  expect(unhandled.splice(0)).toEqual([]);
});

async function writing(prefix = 'ns:') {
  const clock = new ManualClock();
  const engine = createTrackingCache({ clock });
  const client = new FakeClient();
  // Without heartbeats: the timers of the clock are those under test.
  attach(engine, client, { maxStaleness: false });
  await client.connect();
  const keyspace = new Keyspace(wayOf(client), clock, 100);
  const uncertain = new UncertainKeys(keyspace, clock);
  const counters = new Counters();
  const writes = new FencedWrites({ engine, keyspace, uncertain, counters });
  const writer = new Writer({ writes, keyspace, counters, prefix });
  const put = (key: string): boolean => {
    const guard = engine.guard([key]);
    const filling = { kind: 'present', remaining: 1_000, valueBytes: 1 } as const;
    return engine.fill(guard, key, 'v', filling);
  };
  return { clock, engine, client, uncertain, counters, writer, put };
}

describe('a write', () => {
  test('drops the local copy before it is sent and keeps none until its reply (I6)', async () => {
    const { engine, client, writer, put } = await writing();
    expect(put('ns:k')).toBe(true);
    const deleted = writer.delete(['k']);
    expect(engine.lookup('ns:k')).toBeUndefined();
    await settled();
    expect(put('ns:k')).toBe(false);
    client.next('DEL', 'ns:k').reply(1);
    await deleted;
    expect(put('ns:k')).toBe(true);
    assertIdle(engine);
  });

  test('breaks reads that began before its send, and those that began before its reply', async () => {
    const { engine, client, writer } = await writing();
    const before = engine.guard(['ns:k']);
    const told: string[] = [];
    const written = writer.set('k', 'envelope', 5_000);
    await settled();
    const during = engine.guard(['ns:k'], (by) => told.push(by));
    expect(before.severed).toBe(true);
    expect(client.next().args).toEqual(['SET', 'ns:k', 'envelope', 'PX', '5000']);
    client.next().reply('OK');
    await written;
    expect(told).toEqual(['severed']);
    engine.release(before);
    engine.release(during);
    assertIdle(engine);
  });

  test('that the server refuses rejects with its error, and the key is free again', async () => {
    const { engine, client, writer, counters } = await writing();
    const refused = new Error('OOM command not allowed');
    const written = writer.set('k', 'envelope', 5_000);
    await settled();
    client.next('SET').fail(refused);
    await expect(written).rejects.toBe(refused);
    expect(counters).toMatchObject({ writes: 0, unknownOutcomes: 0 });
    assertIdle(engine);
  });

  test('that goes unanswered rejects within the budget, and its key stays out of use', async () => {
    const { clock, client, writer, uncertain, counters, put } = await writing();
    const deleted = writer.delete(['k']);
    await settled();
    clock.advance(100);
    await expect(deleted).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN', key: 'k' });
    expect(counters).toMatchObject({ deletes: 0, unknownOutcomes: 1 });
    expect(uncertain.size).toBe(1);
    expect(put('ns:k')).toBe(false);
    client.next('DEL', 'ns:k').reply(1);
    await settled();
    expect(uncertain.size).toBe(0);
    expect(put('ns:k')).toBe(true);
  });

  test('whose connection is lost rejects as unknown, and is made good on the next one', async () => {
    const { engine, client, writer, uncertain } = await writing();
    const written = writer.set('k', 'envelope', 5_000);
    await settled();
    client.connection('down');
    await expect(written).rejects.toMatchObject({
      code: 'REDCACHE_OUTCOME_UNKNOWN',
      cause: expect.objectContaining({ message: 'the connection was lost' }),
    });
    expect(uncertain.size).toBe(1);
    await client.connect();
    client.next('DEL', 'ns:k').reply(0);
    await settled();
    assertIdle(engine);
  });

  test('that could not even be sent is unknown too: the caller has changed his data already', async () => {
    const { clock, client, writer, uncertain } = await writing();
    client.connection('down');
    const deleted = writer.delete(['k']);
    clock.advance(100);
    await expect(deleted).rejects.toMatchObject({ code: 'REDCACHE_OUTCOME_UNKNOWN' });
    expect(uncertain.size).toBe(1);
    client.connection('up');
    expect(client.sent.map(({ args }) => args.join(' '))).toContain('DEL ns:k');
  });
});

describe('a delete of many keys', () => {
  const names = Array.from({ length: 501 }, (_, i) => `k${i}`);

  test('sends 500 keys at a time, all at once', async () => {
    const { client, writer, counters } = await writing();
    const deleted = writer.delete(names);
    await settled();
    expect(client.sent.map(({ args }) => args.length - 1)).toEqual([500, 1]);
    for (const { reply } of [...client.sent]) reply(1);
    await deleted;
    expect(counters.deletes).toBe(501);
  });

  test('of which some fail says which and why, by the names users gave', async () => {
    const { engine, client, writer, counters } = await writing();
    const deleted = writer.delete(names);
    await settled();
    const [first, second] = [...client.sent];
    const refused = new Error('READONLY no');
    first?.reply(500);
    second?.fail(refused);
    const error = await deleted.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BatchError);
    const batch = error as BatchError;
    expect(batch.code).toBe('REDCACHE_BATCH');
    expect(batch.failed).toEqual(['k500']);
    expect(batch.succeeded).toEqual(names.slice(0, 500));
    expect(batch.errorFor('k500')).toBe(refused);
    expect(batch.errorFor('k0')).toBeUndefined();
    expect(batch.cause).toBe(refused);
    expect(counters.deletes).toBe(500);
    assertIdle(engine);
  });
});

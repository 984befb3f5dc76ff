import { attach, createTrackingCache } from '@redcache/core';
import { assertIdle, FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Epochs } from '../../src/groups/epochs.ts';
import { readEpoch } from '../../src/scripts/read-epoch.ts';

async function tracked() {
  const engine = createTrackingCache({ clock: new ManualClock() });
  const client = new FakeClient();
  const { session } = attach(engine, client, { maxStaleness: false });
  await client.connect();
  const epochs = new Epochs(engine, { ask: (_, send) => send(client), sessionFor: () => session });
  /** Answers what is found under a key. */
  const there = (text: string | null, pttl: number): void => {
    client.next('GET').reply(text);
    client.next('PTTL').reply(pttl);
  };
  return { engine, client, epochs, there };
}

test('one that was found is known from then on, until its push', async () => {
  const { engine, client, epochs, there } = await tracked();
  const found = [epochs.find('tag'), epochs.find('tag')];
  expect(client.sent.map(({ args }) => args.join(' '))).toEqual(['GET tag', 'PTTL tag']);
  there('7', 60_000);
  expect(await Promise.all(found)).toEqual([7, 7]);
  expect(epochs.known('tag')).toBe(7);
  expect(await epochs.find('tag')).toBe(7);
  client.push('tag');
  expect(epochs.known('tag')).toBeUndefined();
  expect(epochs.suspected('tag')).toBeUndefined();
  assertIdle(engine);
});

test('one whose push comes before its answer is answered and not known', async () => {
  const { client, epochs, there } = await tracked();
  const found = epochs.find('tag');
  client.push('tag');
  there('7', 60_000);
  expect(await found).toBe(7);
  expect(epochs.known('tag')).toBeUndefined();
});

test('that there is none is known as well; one that ends between the commands is not', async () => {
  const { epochs, there } = await tracked();
  const none = epochs.find('none');
  there(null, -2);
  expect(await none).toBe('none');
  expect(epochs.known('none')).toBe('none');
  const ended = epochs.find('ended');
  there('7', -2);
  expect(await ended).toBe('none');
  expect(epochs.known('ended')).toBeUndefined();
});

test.each(['', 'x', '-1', '0', '1.5', '9007199254740993'])('%o is no epoch', async (text) => {
  const { epochs, there } = await tracked();
  const found = epochs.find('tag');
  there(text, -1);
  expect(await found).toBe('none');
});

test('what was known when the connection was lost is suspected, and no more once it is back', async () => {
  const { client, epochs, there } = await tracked();
  const found = epochs.find('tag');
  there('7', 60_000);
  await found;
  client.connection('down');
  expect(epochs.known('tag')).toBeUndefined();
  expect(epochs.suspected('tag')).toBe(7);
  await client.connect();
  expect(epochs.suspected('tag')).toBeUndefined();
});

test('one that has to be begins where there is none, and is not taken for known before its push', async () => {
  const { client, epochs } = await tracked();
  const begun = epochs.have('now');
  client.next('EVALSHA', readEpoch.sha1, '1', 'now').reply(['5', 1]);
  expect(await begun).toBe(5);
  expect(epochs.known('now')).toBeUndefined();
  client.push('now');
  const had = epochs.have('now');
  client.next('EVALSHA', readEpoch.sha1, '1', 'now').reply(['5', 0]);
  expect(await had).toBe(5);
  expect(epochs.known('now')).toBe(5);
});

test('one that nobody can count with is earlier than all: what it is written to is outdated', async () => {
  const { client, epochs } = await tracked();
  const had = epochs.have('now');
  client.next('EVALSHA').reply(['no number', 0]);
  expect(await had).toBe(0);
  expect(epochs.known('now')).toBeUndefined();
});

test('what Redis does not answer reaches whoever asked', async () => {
  const { engine, client, epochs } = await tracked();
  const found = epochs.find('tag');
  client.connection('down');
  await expect(found).rejects.toThrow('the connection was lost');
  await settled();
  assertIdle(engine);
});

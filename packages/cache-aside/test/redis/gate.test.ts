import { FakeClient, ManualClock, settled } from '@redcache/core/testing';
import { Budget } from '@redcache/core/toolkit';
import { expect, test } from 'vitest';
import { Gate } from '../../src/redis/gate.ts';

function gated(budgetMs = 100) {
  const clock = new ManualClock();
  const client = new FakeClient();
  const gate = new Gate(client, new Budget(clock, budgetMs), clock);
  const ended: unknown[] = [];
  const ask = (): void => {
    gate.up().then(
      () => ended.push('up'),
      (error) => ended.push(error.code),
    );
  };
  return { clock, client, gate, ended, ask };
}

test('lets through at once while the connection is up', async () => {
  const { client, ended, ask, clock } = gated();
  client.connection('up');
  ask();
  await settled();
  expect(ended).toEqual(['up']);
  expect(clock.timers).toBe(0);
});

test('waits for the connection to come up, for the budget', async () => {
  const { client, clock, ended, ask } = gated(100);
  ask();
  ask();
  clock.advance(99);
  await settled();
  expect(ended).toEqual([]);
  client.connection('up');
  await settled();
  expect(ended).toEqual(['up', 'up']);
  expect(clock.timers).toBe(0);
});

test('gives up at the end of the budget', async () => {
  const { clock, ended, ask } = gated(100);
  ask();
  clock.advance(100);
  await settled();
  expect(ended).toEqual(['REDCACHE_UNAVAILABLE']);
  expect(clock.timers).toBe(0);
});

test('does not wait for a connection that has been down for the budget', async () => {
  const { client, clock, ended, ask } = gated(100);
  client.connection('up');
  clock.advance(500);
  client.connection('down');
  clock.advance(99);
  ask();
  await settled();
  expect(ended).toEqual([]);
  clock.advance(1);
  ask();
  await settled();
  expect(ended).toEqual(['REDCACHE_UNAVAILABLE']);
});

test('counts from the loss, not from every failed attempt to reconnect', async () => {
  const { client, clock, ended, ask } = gated(100);
  client.connection('up');
  client.connection('down');
  clock.advance(60);
  client.connection('down');
  clock.advance(60);
  ask();
  await settled();
  expect(ended).toEqual(['REDCACHE_UNAVAILABLE']);
});

test('a connection that went down again before the waiter ran is not up', async () => {
  const { client, ended, ask } = gated();
  ask();
  client.connection('up');
  client.connection('down');
  await settled();
  expect(ended).toEqual(['REDCACHE_UNAVAILABLE']);
});

test('a closed client is not waited for, and ends those who wait', async () => {
  const { client, ended, ask, clock } = gated();
  ask();
  client.connection('closed');
  ask();
  await settled();
  expect(ended).toEqual(['REDCACHE_UNAVAILABLE', 'REDCACHE_UNAVAILABLE']);
  expect(clock.timers).toBe(0);
});

test('closing the gate ends those who wait and stops listening', async () => {
  const { client, gate, ended, ask, clock } = gated();
  ask();
  gate.close();
  await settled();
  expect(ended).toEqual(['REDCACHE_UNAVAILABLE']);
  expect(client.listeners).toBe(0);
  expect(clock.timers).toBe(0);
});

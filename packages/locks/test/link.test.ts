import { type CommandPort, createTrackingCache, UnavailableError } from '@redcache/core';
import { ManualClock } from '@redcache/core/testing';
import { Budget } from '@redcache/core/toolkit';
import { ErrorReply } from 'redis';
import { expect, test } from 'vitest';
import { Link } from '../src/link.ts';

function linkOf(send: CommandPort['send']): Link {
  const clock = new ManualClock();
  const port: CommandPort = {
    send,
    onConnection: (listener) => {
      listener('up');
      return () => {};
    },
  };
  const tracks = (key: string): boolean => key === 'tracked';
  return new Link({ port, engine: createTrackingCache({ clock }), tracks }, new Budget(clock, 100));
}

const asItIs = (reply: unknown): unknown => reply;

test('what the port says it has not sent is no unknown outcome', async () => {
  const error = new UnavailableError('nothing was sent');
  const link = linkOf(() => Promise.reject(error));
  await expect(link.send('k', (port) => port.send(['PING']), asItIs)).rejects.toBe(error);
  await expect(link.ask('k', (port) => port.send(['PING']), asItIs)).rejects.toBe(error);
});

test('an error of the connection is an unknown outcome', async () => {
  const link = linkOf(() => Promise.reject(new Error('Socket closed unexpectedly')));
  await expect(link.send('k', (port) => port.send(['PING']), asItIs)).rejects.toMatchObject({
    code: 'REDCACHE_OUTCOME_UNKNOWN',
  });
});

test('whether a key is tracked is asked of each key', () => {
  const link = linkOf(async () => 'PONG');
  expect([link.tracks('tracked'), link.tracks('other')]).toEqual([true, false]);
});

test('what a script has done that ended in a slot that moves is unknown', async () => {
  const said =
    'ERR Script attempted to access a non local key in a cluster node script: 0a, on @user_script:1.';
  const link = linkOf(() => Promise.reject(new ErrorReply(said)));
  await expect(link.ask('k', (port) => port.send(['EVALSHA']), asItIs)).rejects.toMatchObject({
    code: 'REDCACHE_OUTCOME_UNKNOWN',
  });
});

import { type CommandPort, OutcomeUnknownError } from '@redcache/core';
import { ManualClock, settled } from '@redcache/core/testing';
import type { Lock, Locks } from '@redcache/locks';
import { expect, test } from 'vitest';
import type { Groups } from '../../src/groups/groups.ts';
import { DEFAULT_POLICY } from '../../src/policy.ts';
import type { Keyspace } from '../../src/redis/keyspace.ts';
import { Counters } from '../../src/stats.ts';
import { ValueFormat } from '../../src/value.ts';
import type { FencedWrites } from '../../src/write/fenced-writes.ts';
import { WriteThrough, writeOne } from '../../src/write/write-through.ts';

/** One lock that is always had, and a Redis whose every answer comes late, or never. */
function unanswered() {
  const given: string[] = [];
  const lock = {
    key: '{k}:redcache:write',
    holder: 'me',
    fencingToken: 1n,
    signal: new AbortController().signal,
    [Symbol.asyncDispose]: async () => void given.push('back'),
  } as unknown as Lock;
  const replies: { resolve(value: unknown): void; reject(error: unknown): void }[] = [];
  const port = {
    send: () => new Promise((resolve, reject) => replies.push({ resolve, reject })),
  } as unknown as CommandPort;
  const through = new WriteThrough({
    keyspace: { gate: { isUp: true }, beginWrite: async () => 'sign' } as unknown as Keyspace,
    groups: { now: () => 1, keep: async () => {} } as unknown as Groups,
    prefix: '',
    clock: new ManualClock(),
    redisMs: 100,
    makeLocks: () => ({ acquireMany: async () => ({ locks: [lock] }) }) as unknown as Locks,
    onWritten: () => {},
  });
  const way = {
    writes: {
      run: async (_keys: unknown, send: (port: CommandPort) => Promise<unknown>) => {
        send(port).catch(() => {});
        throw new OutcomeUnknownError('no answer');
      },
    } as unknown as FencedWrites,
    format: new ValueFormat({ freeze: true }),
    counters: new Counters(),
  };
  return { through, way, replies, given };
}

const wish = {
  policy: DEFAULT_POLICY,
  tags: undefined,
  ttlMs: undefined,
  leaseMs: 1_000,
  waitMs: 1_000,
  signal: undefined,
};

test.each([
  ['is answered', 'resolve'],
  ['is lost with its connection', 'reject'],
] as const)(
  'the next writer gets the lock when the store of the one before %s, not when that gives up (W4)',
  async (_, how) => {
    const { through, way, replies, given } = unanswered();
    const { errors } = await through.write(
      ['k'],
      writeOne('k', () => 'v'),
      wish,
      way,
    );
    expect(errors.get('k')).toBeInstanceOf(OutcomeUnknownError);
    await settled();
    expect(given).toEqual([]);
    replies[0]?.[how](1);
    await settled();
    expect(given).toEqual(['back']);
  },
);

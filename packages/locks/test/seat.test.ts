import { ManualClock, settled } from '@redcache/core/testing';
import { Budget } from '@redcache/core/toolkit';
import { expect, test } from 'vitest';
import { Tokens } from '../src/bid/tokens.ts';
import type { Member } from '../src/quorum/member.ts';
import { Seat } from '../src/quorum/seat.ts';
import { Releases } from '../src/releases.ts';
import type { Answer } from '../src/scripts/answer.ts';

const ACQUIRED: Answer = {
  is: 'acquired',
  tokens: { first: 1n, count: 1 },
  contended: false,
  echoes: 0,
};

/** A seat on a server that answers when and what the test wants. */
function openSeat() {
  const clock = new ManualClock();
  const budget = new Budget(clock, 100);
  const takes: ((answer: Answer) => void)[] = [];
  const releases: ((answer: 'released' | 'lost') => void)[] = [];
  const bid = {
    tokens: new Tokens(),
    lossFoundAtRelease: 'deleted',
    take: () => new Promise((resolve) => takes.push(resolve)),
    release: () => new Promise((resolve) => releases.push(resolve)),
  };
  const member = {
    server: 0,
    bidUnder: () => bid,
    write: (send: () => Promise<unknown>) => send(),
  } as unknown as Member;
  const parts = { member, key: 'k', holder: '0-a', budget, releases: new Releases(clock, budget) };
  return { seat: new Seat(parts), takes, releases, clock };
}

const WISH = { leaseMs: 1_000, tokens: 1 };

test.for(['before', 'while'] as const)(
  'a grant that was overtaken by its release is given back again (%s the release is answered)',
  async (when) => {
    const { seat, takes, releases } = openSeat();
    void seat.take(WISH, 'if-free');
    seat.giveBack();
    await settled();
    expect(releases).toHaveLength(1);
    if (when === 'before') {
      releases[0]?.('lost');
      await settled();
    }
    takes[0]?.(ACQUIRED);
    await settled();
    releases[0]?.('lost');
    await settled();
    expect(releases).toHaveLength(2);
    releases[1]?.('released');
    await settled();
    expect(seat.mayStand).toBe(false);
  },
);

test('a grant that its release has followed is not given back twice', async () => {
  const { seat, takes, releases } = openSeat();
  void seat.take(WISH, 'if-free');
  seat.giveBack();
  seat.giveBack();
  takes[0]?.(ACQUIRED);
  await settled();
  releases[0]?.('released');
  await settled();
  expect(releases).toHaveLength(1);
  expect(await seat.release()).toMatchObject({ vote: 'granted' });
  expect(releases).toHaveLength(1);
});

test('an answer is waited for as long as the budget allows, and kept when it comes later', async () => {
  const { seat, takes, clock } = openSeat();
  const voting = seat.take(WISH, 'if-free');
  clock.advance(100);
  expect(await voting).toMatchObject({
    vote: 'failed',
    error: { code: 'REDCACHE_OUTCOME_UNKNOWN' },
  });
  takes[0]?.(ACQUIRED);
  await settled();
  expect(seat.mayStand).toBe(true);
});

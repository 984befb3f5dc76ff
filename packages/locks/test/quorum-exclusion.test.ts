import { settled } from '@redcache/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import { Line, MISHAPS, type Mishap } from './support/line.ts';
import { SETTINGS } from './support/lock-ground.ts';
import type { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';
import { modelServers, openQuorum, placesOf, type QuorumGround } from './support/quorum-ground.ts';

const USERS = 3;
const SERVERS = 3;
const MAJORITY = 2;
const KEY = 'k';
const LONGEST_LEASE_MS = 6_000;

/**
 * What may happen next. A server that restarts has forgotten everything, and stays away for as long
 * as the longest lease: that is what independent servers without a log on disk need for any quorum,
 * since what one of them forgets another may never have known.
 */
type Step =
  | {
      readonly is: 'acquire';
      readonly user: number;
      readonly leaseMs: number;
      readonly autoExtend: boolean;
    }
  | { readonly is: 'abort' | 'release'; readonly user: number }
  | { readonly is: 'extend'; readonly user: number; readonly leaseMs: number }
  | { readonly is: Mishap; readonly user: number; readonly server: number }
  | { readonly is: 'restart'; readonly server: number }
  | { readonly is: 'advance' | 'jump'; readonly byMs: number };

const user = fc.nat(USERS - 1);
const server = fc.nat(SERVERS - 1);
const leaseMs = fc.integer({ min: 10, max: LONGEST_LEASE_MS });
const byMs = fc.integer({ min: 1, max: 1_500 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      is: fc.constant('acquire'),
      user,
      leaseMs,
      autoExtend: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ is: fc.constantFrom('release', 'abort'), user }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant('extend'), user, leaseMs }) },
  { weight: 7, arbitrary: fc.record({ is: fc.constantFrom(...MISHAPS), user, server }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('restart'), server }) },
  { weight: 6, arbitrary: fc.record({ is: fc.constant('advance'), byMs }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('jump'), byMs }) },
);

/** One user of the lock, with a connection to each server. */
class User {
  readonly granted: Lock[] = [];
  readonly locks: QuorumGround['locks'];
  readonly lines: readonly Line[];
  #abort = new AbortController();

  constructor({ locks, ports }: QuorumGround) {
    this.locks = locks;
    this.lines = ports.map((port) => new Line(port));
  }

  acquire(lease: number, autoExtend: boolean, onGrant: (lock: Lock) => void): void {
    this.locks.acquire(KEY, { lease, autoExtend, wait: '5s', signal: this.#abort.signal }).then(
      (lock) => {
        this.granted.push(lock);
        onGrant(lock);
      },
      () => {},
    );
  }

  abort(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  release(): void {
    this.granted
      .at(-1)
      ?.release()
      .catch(() => {});
  }

  extend(leaseMs: number): void {
    this.granted
      .at(-1)
      ?.extend(leaseMs)
      .catch(() => {});
  }
}

/** The servers, and until when those that have restarted stay away. */
class Fleet {
  readonly servers: readonly ModelServer[];
  readonly #awayUntilMs: number[];

  constructor(servers: readonly ModelServer[]) {
    this.servers = servers;
    this.#awayUntilMs = servers.map(() => -Infinity);
  }

  isAway(server: number): boolean {
    const { clock } = this.servers[server] as ModelServer;
    return clock.nowMs() < (this.#awayUntilMs[server] as number);
  }

  /** Those whose word can't be asked stand for what they said last. */
  isStanding(holder: string): boolean {
    const away = this.servers.filter((_, server) => this.isAway(server)).length;
    return placesOf(this.servers, `l:${KEY}`, holder) + away >= MAJORITY;
  }

  restart(server: number, users: readonly User[]): void {
    for (const { lines } of users) lines[server]?.befall('cut');
    const each = this.servers[server] as ModelServer;
    each.flush();
    this.#awayUntilMs[server] = each.clock.nowMs() + LONGEST_LEASE_MS;
  }
}

async function live(tracked: boolean, steps: readonly Step[]): Promise<void> {
  const fleet = new Fleet(modelServers(SERVERS));
  const { servers } = fleet;
  const { clock } = servers[0] as ModelServer;
  const users: User[] = [];
  for (let i = 0; i < USERS; i += 1) users.push(new User(await openQuorum(servers, {}, tracked)));
  let lastToken = 0n;
  const check = (): void => {
    const held = users.flatMap(({ granted }) => granted).filter((lock) => lock.remainingMs() > 0);
    expect(held.length).toBeLessThan(2);
    for (const { holder } of held) expect(fleet.isStanding(holder)).toBe(true);
  };
  const onGrant = ({ fencingToken }: Lock): void => {
    expect(fencingToken).toBeGreaterThan(lastToken);
    lastToken = fencingToken;
  };
  for (const each of steps) {
    const user = 'user' in each ? (users[each.user] as User) : undefined;
    switch (each.is) {
      case 'acquire':
        user?.acquire(each.leaseMs, each.autoExtend, onGrant);
        break;
      case 'abort':
      case 'release':
        user?.[each.is]();
        break;
      case 'extend':
        user?.extend(each.leaseMs);
        break;
      case 'advance':
        await pass(clock, each.byMs, 100);
        break;
      case 'jump':
        clock.jump(each.byMs);
        break;
      case 'restart':
        fleet.restart(each.server, users);
        break;
      default:
        if ('server' in each && !(each.is === 'up' && fleet.isAway(each.server)))
          user?.lines[each.server]?.befall(each.is);
    }
    check();
    await settled();
    check();
  }
  for (const user of users) user.abort();
  await pass(clock, LONGEST_LEASE_MS, 100);
  for (const { lines } of users)
    for (const line of lines) for (const what of ['resume', 'up'] as const) line.befall(what);
  await pass(clock, 1_000, 100);
  for (const user of users) user.release();
  // Whatever has happened, the longest lease that can have been set bounds the wait for the lock.
  const next = users[0]?.locks.acquire(KEY);
  await pass(clock, LONGEST_LEASE_MS + 20 * SETTINGS.retry.delayMs, 100);
  await (await next)?.release();
  const closed = Promise.all(users.map(({ locks }) => locks.close()));
  await pass(clock, 2 * SETTINGS.commandTimeoutMs);
  await closed;
  for (const server of servers) expect(server.get(`l:${KEY}`)).toBe(undefined);
  expect(clock.timers).toBe(0);
}

test('over three servers that hang, are cut and restart empty, one at a time has the lock, and tokens rise', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 60, size: 'max' }), live),
    {
      numRuns: 300,
    },
  );
}, 100_000);

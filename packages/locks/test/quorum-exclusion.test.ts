import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Line, MISHAPS, type Mishap } from './support/line.ts';
import { SETTINGS } from './support/lock-ground.ts';
import { type CommonStep, LockUser, play, TIME_STEPS } from './support/lock-user.ts';
import type { ModelServer } from './support/model-server.ts';
import { MutexPromises } from './support/mutex-promises.ts';
import { pass } from './support/pass.ts';
import { modelServers, openQuorum, placesOf, type QuorumGround } from './support/quorum-ground.ts';

const USERS = 3;
const SERVERS = 3;
const MAJORITY = 2;
const KEY = 'k';
const LONGEST_LEASE_MS = 6_000;

/**
 * What may happen next besides. A server that restarts has forgotten everything, and stays away for
 * as long as the longest lease: that is what independent servers without a log on disk need for any
 * quorum, since what one of them forgets another may never have known.
 */
type Other =
  | { readonly is: Mishap; readonly user: number; readonly server: number }
  | { readonly is: 'restart'; readonly server: number };

const user = fc.nat(USERS - 1);
const server = fc.nat(SERVERS - 1);
const leaseMs = fc.integer({ min: 10, max: LONGEST_LEASE_MS });
const step: fc.Arbitrary<CommonStep | Other> = fc.oneof(
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
  ...TIME_STEPS,
);

/** One user of the lock, with a connection to each server. */
class User extends LockUser {
  readonly locks: QuorumGround['locks'];
  readonly lines: readonly Line[];

  constructor({ locks, ports }: QuorumGround) {
    super();
    this.locks = locks;
    this.lines = ports.map((port) => new Line(port));
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

async function live(tracked: boolean, steps: readonly (CommonStep | Other)[]): Promise<void> {
  const fleet = new Fleet(modelServers(SERVERS));
  const { servers } = fleet;
  const { clock } = servers[0] as ModelServer;
  const users: User[] = [];
  for (let i = 0; i < USERS; i += 1) users.push(new User(await openQuorum(servers, {}, tracked)));
  const promises = new MutexPromises(KEY);
  const check = (): void => {
    for (const { holder } of promises.held(users)) expect(fleet.isStanding(holder)).toBe(true);
  };
  await play<User, Other>({
    ...{ clock, users, steps, check },
    acquire: (user, asking) => promises.acquire(user, asking),
    other: (step, user) => {
      if (step.is === 'restart') fleet.restart(step.server, users);
      else if (step.is !== 'up' || !fleet.isAway(step.server))
        user.lines[step.server]?.befall(step.is);
    },
  });
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

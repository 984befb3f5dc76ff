import { ManualClock } from '@redcache/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Line, MISHAPS, type Mishap } from './support/line.ts';
import { type LockGround, openLocks, SETTINGS } from './support/lock-ground.ts';
import { type CommonStep, LockUser, play, TIME_STEPS } from './support/lock-user.ts';
import { type ModelConnection, ModelServer } from './support/model-server.ts';
import { MutexPromises } from './support/mutex-promises.ts';
import { pass } from './support/pass.ts';

const USERS = 3;
const KEY = 'k';

/** What may happen next besides: it asks once, or something befalls one of its connections. */
type Other =
  | { readonly is: 'try'; readonly user: number }
  | { readonly is: Mishap; readonly user: number; readonly line: number };

const user = fc.nat(USERS - 1);
const leaseMs = fc.integer({ min: 10, max: 6_000 });
const step: fc.Arbitrary<CommonStep | Other> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('acquire'),
      user,
      leaseMs,
      autoExtend: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ is: fc.constantFrom('release', 'abort', 'try'), user }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant('extend'), user, leaseMs }) },
  {
    weight: 4,
    arbitrary: fc.record({ is: fc.constantFrom(...MISHAPS), user, line: fc.nat(1) }),
  },
  ...TIME_STEPS,
);

/** One user of the lock, over one tracked connection or over two of which the second is. */
class User extends LockUser {
  readonly #ground: LockGround;
  readonly #lines: readonly Line[];

  static async enter(server: ModelServer, tracked: boolean): Promise<User> {
    const first = await server.connect(tracked);
    if (tracked) return new User(await openLocks({}, server, { first }), [first.port]);
    const second = await server.connect();
    const openTracked = () => ({ ...second, close: () => second.port.down() });
    const ground = await openLocks({}, server, { first, openTracked });
    return new User(ground, [first.port, second.port]);
  }

  constructor(ground: LockGround, ports: readonly ModelConnection[]) {
    super();
    this.#ground = ground;
    this.#lines = ports.map((port) => new Line(port));
  }

  get locks(): LockGround['locks'] {
    return this.#ground.locks;
  }

  befall(mishap: Mishap, line: number): void {
    this.#lines[line]?.befall(mishap);
  }
}

async function live(tracked: boolean, steps: readonly (CommonStep | Other)[]): Promise<void> {
  const clock = new ManualClock();
  const server = new ModelServer(clock);
  const users: User[] = [];
  for (let i = 0; i < USERS; i += 1) users.push(await User.enter(server, tracked));
  const promises = new MutexPromises(KEY);
  const check = (): void => {
    for (const { holder } of promises.held(users))
      expect(server.get(`l:${KEY}`)).toMatch(`${holder}:`);
  };
  await play<User, Other>({
    ...{ clock, users, steps, check },
    acquire: (user, asking) => promises.acquire(user, asking),
    other: (step, user) => {
      if (step.is === 'try')
        void user.expects(user.locks.tryAcquire(KEY, { signal: user.signal }), promises.onGrant);
      else user.befall(step.is, step.line);
    },
  });
  for (const user of users) {
    for (const line of [0, 1])
      for (const what of ['resume', 'up'] as const) user.befall(what, line);
    user.abort();
  }
  await pass(clock, 1_000, 100);
  for (const user of users) user.release();
  // Whatever has happened, the longest lease that can have been set bounds the wait for the lock.
  const next = users[0]?.locks.acquire(KEY);
  await pass(clock, 6_000 + SETTINGS.commandTimeoutMs, 100);
  await (await next)?.release();
  const closed = Promise.all(users.map(({ locks }) => locks.close()));
  await pass(clock, 2 * SETTINGS.commandTimeoutMs);
  await closed;
  expect(server.get(`l:${KEY}`)).toBe(undefined);
  expect(clock.timers).toBe(0);
}

test('whoever has time left has the lock in Redis, tokens rise, and nobody blocks it for ever', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 60, size: 'max' }), live),
    {
      numRuns: Number(process.env.RUNS ?? 400),
    },
  );
}, 600_000);

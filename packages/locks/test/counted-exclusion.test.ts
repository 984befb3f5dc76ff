import { ManualClock } from '@redcache/core/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lock } from '../src/lock.ts';
import type { AcquireOptions } from '../src/options.ts';
import { Line, MISHAPS, type Mishap } from './support/line.ts';
import { type LockGround, openLocks, SETTINGS } from './support/lock-ground.ts';
import { type Asking, type CommonStep, LockUser, play, TIME_STEPS } from './support/lock-user.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

const USERS = 3;
const PERMITS = 2;
const KEY = 'k';
const KINDS = ['semaphore', 'read-write'] as const;
type KindName = (typeof KINDS)[number];

/** How one asks for a lock of either kind. */
interface Manner extends Asking {
  readonly writes: boolean;
  readonly waits: boolean;
}

/** What may happen next besides: something befalls a connection. */
interface Other {
  readonly is: Mishap;
  readonly user: number;
}

const user = fc.nat(USERS - 1);
const which = fc.nat(3);
const leaseMs = fc.oneof(fc.constant(3_000), fc.integer({ min: 10, max: 6_000 }));
const [autoExtend, writes, waits] = [fc.boolean(), fc.boolean(), fc.boolean()];
const step: fc.Arbitrary<CommonStep | Other> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      is: fc.constant('acquire'),
      ...{ user, leaseMs, autoExtend, writes, waits },
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ is: fc.constantFrom('release', 'release', 'abort'), user, which }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('extend'), user, which, leaseMs }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constantFrom(...MISHAPS), user }) },
  ...TIME_STEPS,
);

/** One process, over a tracked connection. */
class User extends LockUser {
  /** Those of them that it has alone. */
  readonly writing = new Set<Lock>();
  readonly #ground: LockGround;
  readonly #line: Line;
  readonly #kind: KindName;

  static async enter(server: ModelServer, kind: KindName): Promise<User> {
    const first = await server.connect();
    return new User(await openLocks({}, server, { first }), new Line(first.port), kind);
  }

  constructor(ground: LockGround, line: Line, kind: KindName) {
    super();
    this.#ground = ground;
    this.#line = line;
    this.#kind = kind;
  }

  get locks(): LockGround['locks'] {
    return this.#ground.locks;
  }

  /** Which lock of the kind, and how it is asked for. */
  ask(writes: boolean, waits: boolean, options: AcquireOptions): Promise<Lock | null> {
    const { wait: _, ...once } = options;
    if (this.#kind === 'semaphore') {
      const semaphore = this.locks.semaphore(KEY, PERMITS);
      return waits ? semaphore.acquire(options) : semaphore.tryAcquire(once);
    }
    const lock = this.locks.readWrite(KEY);
    if (writes) return waits ? lock.write(options) : lock.tryWrite(once);
    return waits ? lock.read(options) : lock.tryRead(once);
  }

  acquire(
    { leaseMs: lease, autoExtend, writes, waits }: Manner,
    onGrant: (lock: Lock, writes: boolean) => void,
  ): void {
    const options = { lease, autoExtend, wait: '5s', signal: this.signal } as const;
    const isAlone = writes && this.#kind === 'read-write';
    void this.expects(this.ask(writes, waits, options), (lock) => {
      if (isAlone) this.writing.add(lock);
      onGrant(lock, isAlone);
    });
  }

  befall(mishap: Mishap): void {
    this.#line.befall(mishap);
  }
}

/** What the tokens promise, as they are given out. */
class Tokens {
  readonly #all = new Set<bigint>();
  #highest = 0n;
  #lastWriter = 0n;

  check({ fencingToken }: Lock, writes: boolean): void {
    expect(this.#all.has(fencingToken)).toBe(false);
    this.#all.add(fencingToken);
    expect(fencingToken).toBeGreaterThan(writes ? this.#highest : this.#lastWriter);
    if (writes) this.#lastWriter = fencingToken;
    if (fencingToken > this.#highest) this.#highest = fencingToken;
  }
}

async function live(kind: KindName, steps: readonly (CommonStep | Other)[]): Promise<void> {
  const clock = new ManualClock();
  const server = new ModelServer(clock);
  const users: User[] = [];
  for (let i = 0; i < USERS; i += 1) users.push(await User.enter(server, kind));
  const tokens = new Tokens();
  const check = (): void => {
    const held = users.flatMap(({ granted, writing }) =>
      granted
        .filter((lock) => lock.remainingMs() > 0)
        .map((lock) => ({ lock, writes: writing.has(lock) })),
    );
    if (kind === 'semaphore') {
      expect(held.length).toBeLessThanOrEqual(PERMITS);
      expect(new Set(held.map(({ lock }) => lock.holder)).size).toBe(held.length);
    } else if (held.some(({ writes }) => writes)) expect(held).toHaveLength(1);
    const standing = server.counted.standing(`l:${KEY}`, `{l:${KEY}}:holders`);
    for (const { lock, writes } of held)
      expect(standing).toContain(writes ? `w:${lock.holder}` : lock.holder);
  };
  await play<User, Other>({
    ...{ clock, users, steps, check },
    acquire: (user, step) =>
      user.acquire(step as Manner, (lock, writes) => tokens.check(lock, writes)),
    other: (step, user) => user.befall(step.is),
  });
  for (const user of users) {
    for (const what of ['resume', 'up'] as const) user.befall(what);
    user.abort();
  }
  await pass(clock, 1_000, 100);
  for (const user of users) while (user.granted.length > 0) user.release(0);
  // Whatever has happened, the longest lease that can have been set bounds the wait for all of it,
  // and an offer or a place in the queue that somebody left the time in which he counts as alive.
  const all = [users[0]?.ask(true, true, {}), users[1]?.ask(true, true, {})];
  const next = Promise.all(all.map(async (lock) => (await lock)?.release()));
  let isOver = false;
  void next.then(() => {
    isOver = true;
  });
  await pass(clock, 6_000 + 3_000 + SETTINGS.commandTimeoutMs, 100);
  expect(isOver).toBe(true);
  const closed = Promise.all(users.map(({ locks }) => locks.close()));
  await pass(clock, 2 * SETTINGS.commandTimeoutMs);
  await closed;
  expect([...server.counted.standing(`l:${KEY}`, `{l:${KEY}}:holders`)]).toEqual([]);
  expect(clock.timers).toBe(0);
}

test.for(KINDS)(
  'whoever has time left stands in Redis, never more than may, and nobody blocks it for ever: %s',
  { timeout: 60_000 },
  async (kind) => {
    const steps = fc.array(step, { maxLength: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(steps, (all) => live(kind, all)),
      { numRuns: 300 },
    );
  },
);

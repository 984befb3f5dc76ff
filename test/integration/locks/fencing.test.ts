// Fencing tokens: they rise whatever ends a lock, and a database that knows them refuses who is late.
import { PGlite } from '@electric-sql/pglite';
import type { Lock } from '@redcache/locks';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { handlers as locker } from '../../children/locker-register.ts';
import { startChildren } from '../../support/children.ts';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { inRedis, openLocks } from './ground.ts';

const KEY = 'k';
const HOURLY = { lease: '1h' } as const;
/** Lives of locks that are played through, each of a few holders. */
const RUNS = 10;

/** A row of a Postgres in this process that takes only what comes under no lower token than before. */
class Row {
  readonly #database: PGlite;

  private constructor(database: PGlite) {
    this.#database = database;
  }

  static async create(): Promise<Row> {
    const database = await PGlite.create();
    onTestFinished(() => database.close());
    await database.exec(`
      CREATE TABLE protected (id int PRIMARY KEY, value text NOT NULL, token bigint NOT NULL);
      INSERT INTO protected VALUES (1, 'nothing', 0);
    `);
    return new Row(database);
  }

  async write(value: string, token: bigint): Promise<boolean> {
    const { affectedRows } = await this.#database.query(
      'UPDATE protected SET value = $1, token = $2 WHERE id = 1 AND token <= $2',
      [value, token],
    );
    return affectedRows === 1;
  }

  async read(): Promise<{ value: string; token: bigint }> {
    const { rows } = await this.#database.query<{ value: string; token: string }>(
      'SELECT value, token::text FROM protected',
    );
    const [{ value, token } = { value: '', token: '0' }] = rows;
    return { value, token: BigInt(token) };
  }
}

/** What can become of a lock. */
const ENDS = ['release', 'expiry', 'DEL', 'SET', 'FLUSHALL', 'SHUTDOWN', 'SIGKILL'] as const;

/** Ends a lock one way or another; what was kept for it may be lost with it. */
async function end(lock: Lock, how: (typeof ENDS)[number], redis: StandaloneDeployment) {
  const { node } = redis;
  switch (how) {
    case 'release':
      expect(await lock.release()).toBe('released');
      return;
    case 'expiry':
      // It may be over before the answer is there.
      await lock.extend(20).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
      });
      return;
    case 'DEL':
      await node.ask('DEL', inRedis(KEY));
      return;
    case 'SET':
      await node.ask('SET', inRedis(KEY), 'somebody else', 'PX', '20');
      return;
    case 'FLUSHALL':
      await node.ask('FLUSHALL');
      return;
    case 'SHUTDOWN':
      // Answered by the end of the connection.
      await node.ask('SHUTDOWN', 'NOSAVE').catch(() => {});
      await node.restart();
      return;
    case 'SIGKILL':
      await node.restart();
  }
}

test('tokens rise from holder to holder, whoever they are and whatever ended the lock', async () => {
  await using redis = await startStandalone();
  const row = await Row.create();
  const seats = await Promise.all(
    Array.from({ length: 3 }, () => openLocks(redis.url, { autoExtend: false })),
  );
  let last: { lock: Lock; value: string } | undefined;
  let holders = 0;
  /** One more holder, who writes; nothing that was left undone before it is done any more. */
  const follow = async (lock: Lock): Promise<Lock> => {
    holders += 1;
    const value = `holder ${holders}`;
    expect(await row.write(value, lock.fencingToken)).toBe(true);
    if (last !== undefined) {
      expect(lock.fencingToken).toBeGreaterThan(last.lock.fencingToken);
      expect(await row.write(`${last.value}, late`, last.lock.fencingToken)).toBe(false);
    }
    expect(await row.read()).toEqual({ value, token: lock.fencingToken });
    last = { lock, value };
    return lock;
  };
  const turn = fc.record({
    seat: fc.nat(seats.length - 1),
    /** How many callers of the process have the lock one after the other. */
    callers: fc.constantFrom(1, 1, 20),
    how: fc.constantFrom(...ENDS),
  });
  // One server, one key and one row for all: what comes of one run is where the next begins.
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 5 }), async (turns) => {
      for (const { seat, callers, how } of turns) {
        const { locks } = seats[seat] as (typeof seats)[number];
        const queue = Array.from({ length: callers }, () => locks.acquire(KEY, HOURLY));
        for (const [i, waiting] of queue.entries()) {
          const lock = await follow(await waiting);
          if (i < callers - 1) expect(await lock.release()).toBe('released');
          else await end(lock, how, redis);
        }
      }
    }),
    // Each way a lock can end, even if chance leaves it out.
    {
      numRuns: RUNS,
      endOnFailure: true,
      examples: [[ENDS.map((how, i) => ({ seat: i % seats.length, callers: 2, how }))]],
    },
  );
  expect(holders).toBeGreaterThan(RUNS * 2);
}, 120_000);

test('a database refuses the late write of a process that was stopped past its lease', async () => {
  await using redis = await startStandalone();
  await using children = await startChildren<typeof locker>('locker-register.ts');
  const row = await Row.create();
  const [child] = children.all;
  const { locks, client } = await openLocks(redis.url);
  // It does not look at its signal: nothing but its token can stop it.
  await child?.request('open', redis.url, 'redcache:lock:', true);
  const token = await child?.request('enter', KEY, 500);
  expect(await row.write('first', token as bigint)).toBe(true);
  await child?.pause();
  const looking = child?.request('look', KEY);
  await eventually(async () => (await client.exists(inRedis(KEY))) === 0);
  const next = await locks.acquire(KEY, HOURLY);
  expect(await row.write('next', next.fencingToken)).toBe(true);
  child?.resume();
  expect(await looking).toMatchObject({ isHeld: true });
  expect(await row.write('late', token as bigint)).toBe(false);
  expect(await row.read()).toEqual({ value: 'next', token: next.fencingToken });
});

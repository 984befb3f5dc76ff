import { PGlite } from '@electric-sql/pglite';
import { createLocks } from '@redcache/locks';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const connect = () => createClient({ url }).on('error', console.error).connect();
const [one, two] = [await connect(), await connect()]; // of two processes, say
const [locks, others] = [createLocks({ client: one }), createLocks({ client: two })];

const database = await PGlite.create(); // Postgres in this process; yours does the same
await database.exec(`
  CREATE TABLE invoice (id int PRIMARY KEY, amount int NOT NULL, token bigint NOT NULL DEFAULT 0);
  INSERT INTO invoice VALUES (42, 100);
`);

/** What is read under a token: from then on whatever is written under a lower one is refused. */
async function amountOf(id: number, token: bigint): Promise<number> {
  const { rows } = await database.query<{ amount: number }>(
    'UPDATE invoice SET token = $2 WHERE id = $1 AND token <= $2 RETURNING amount',
    [id, token],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`the lock of invoice ${id} has passed to another`);
  return row.amount;
}

/** Whether it was written; not if anybody has read or written under a higher token. */
async function setAmount(id: number, amount: number, token: bigint): Promise<boolean> {
  const { affectedRows } = await database.query(
    'UPDATE invoice SET amount = $2, token = $3 WHERE id = $1 AND token <= $3',
    [id, amount, token],
  );
  return affectedRows === 1;
}

const early = await locks.acquire('invoice:42');
const before = await amountOf(42, early.fencingToken);
console.log(before); // -> 100

// Its process stands still for longer than the lease: Redis forgets it, and another comes.
await one.del('redcache:lock:invoice:42');
const late = await others.acquire('invoice:42');
const current = await amountOf(42, late.fencingToken);

// It goes on as if nothing had happened, between what the other reads and what that writes.
console.log(await setAmount(42, before + 1, early.fencingToken)); // -> false
console.log(await setAmount(42, current + 20, late.fencingToken)); // -> true
console.log(await early.release(), await late.release()); // -> lost released
console.log(await amountOf(42, late.fencingToken)); // -> 120

await Promise.all([locks.close(), others.close()]);
await Promise.all([one.close(), two.close(), database.close()]);

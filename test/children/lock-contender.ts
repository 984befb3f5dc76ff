// A process that takes locks by itself, again and again, and writes under their tokens.
import { createLocks } from '@redcache/locks';
import { type Contact, connectBy } from '../chaos/contact.ts';
import { emit, serve } from '../support/child.ts';
import { pause } from '../support/eventually.ts';
import { Journal } from '../support/journal.ts';
import { Random } from '../support/random.ts';
import { type Broken, broken, type SomeLock, type SomeLocks } from './broken-locks.ts';

/** What it is to do. `journal`: the file for what it sees and believes. */
export interface Work {
  readonly contact: Contact;
  readonly prefix: string;
  readonly keys: readonly string[];
  readonly callersPerKey: number;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly journal: string;
  readonly seed: number;
  readonly broken?: Broken | undefined;
}

/** Times are of the clock that all processes of a machine share. `call`: unique in the process. */
export type Entry =
  | Noted<'called'>
  /** `atNs`: read after the lock was there. */
  | (Noted<'granted'> & { readonly token: bigint })
  | (Noted<'failed'> & { readonly code: string })
  /** Its caller did not want to wait any longer. */
  | Noted<'given up'>
  /** A look that found the lock held, for so much longer; `atNs`: read before it. */
  | (Noted<'looked'> & { readonly remainingMs: number })
  /** A look or a release found the lock lost; `atNs`: read after that. */
  | Noted<'lost'>
  /** `atNs`: read before a release that found the lock its own. */
  | Noted<'released'>
  /** One question to Redis over the connection of the locks. */
  | {
      readonly is: 'beat';
      readonly sentNs: bigint;
      readonly atNs: bigint;
      readonly answered: boolean;
    };

interface Noted<Is extends string> {
  readonly is: Is;
  readonly key: string;
  readonly call: string;
  readonly atNs: bigint;
}

/** What goes to what the locks protect; `lookedNs`: when its holder looked whether it may. */
export interface Write {
  readonly what: 'enter' | 'write' | 'exit';
  readonly key: string;
  readonly token: bigint;
  readonly call: string;
  readonly lookedNs: bigint;
}

const BEAT_PAUSE_MS = 15;
/** How long a write is on its way at most, and may be overtaken by whatever happens. */
const LONGEST_WAY_MS = 4;
const LONGEST_STEP_MS = 8;
const MOST_STEPS = 3;
/** Of all holdings, how many outlast their first lease, and of all calls, how many are aborted. */
const LONG_HOLDINGS = 1 / 40;
const ABORTED_CALLS = 1 / 20;

/** What a caller aborts with. */
const GAVE_UP = new Error('the caller has gone');

const nowNs = (): bigint => process.hrtime.bigint();

let over = false;
let working: Promise<unknown> = Promise.resolve();

/** What a caller needs besides its lock. */
interface Desk {
  readonly work: Work;
  readonly locks: SomeLocks;
  readonly journal: Journal<Entry>;
  readonly random: Random;
}

/** Notes when Redis has answered: what it had to say before, this process has heard by then. */
async function beat(journal: Journal<Entry>, ping: () => Promise<unknown>): Promise<void> {
  while (!over) {
    const sentNs = nowNs();
    const answered = await ping().then(
      () => true,
      () => false,
    );
    journal.write({ is: 'beat', sentNs, atNs: nowNs(), answered });
    await pause(BEAT_PAUSE_MS);
  }
}

async function callAgainAndAgain(desk: Desk, key: string, caller: string): Promise<void> {
  for (let i = 1; !over; i += 1) await callOnce(desk, key, `${caller}.${i}`);
}

async function callOnce(desk: Desk, key: string, call: string): Promise<void> {
  const { journal } = desk;
  journal.write({ is: 'called', key, call, atNs: nowNs() });
  let lock: SomeLock;
  try {
    lock = await acquire(desk, key);
  } catch (error) {
    const end = { key, call, atNs: nowNs() };
    if (error === GAVE_UP) journal.write({ is: 'given up', ...end });
    else
      journal.write({
        is: 'failed',
        code: (error as { code?: string }).code ?? `${error}`,
        ...end,
      });
    return;
  }
  journal.write({ is: 'granted', key, call, token: lock.fencingToken, atNs: nowNs() });
  await use(desk, lock, key, call);
  const atNs = nowNs();
  // One that is not answered says nothing, and is made up for by itself.
  const outcome = await lock.release().catch(() => 'unanswered');
  if (outcome === 'released') journal.write({ is: 'released', key, call, atNs });
  if (outcome === 'lost') journal.write({ is: 'lost', key, call, atNs: nowNs() });
}

async function acquire({ work, locks, random }: Desk, key: string): Promise<SomeLock> {
  const { leaseMs: lease, waitMs: wait } = work;
  if (!random.chance(ABORTED_CALLS)) return locks.acquire(key, { lease, wait });
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(GAVE_UP), random.between(0, 50));
  try {
    return await locks.acquire(key, { lease, wait, signal: abort.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** Writes a few times, each time after a look at the lock, until that is lost. */
async function use({ work, journal, random }: Desk, lock: SomeLock, key: string, call: string) {
  const token = lock.fencingToken;
  const write = async (what: Write['what']): Promise<boolean> => {
    const lookedNs = nowNs();
    const remainingMs = lock.signal.aborted ? 0 : lock.remainingMs();
    if (remainingMs === 0) {
      journal.write({ is: 'lost', key, call, atNs: nowNs() });
      return false;
    }
    journal.write({ is: 'looked', key, call, atNs: lookedNs, remainingMs });
    await pause(random.between(0, LONGEST_WAY_MS));
    emit('write', { what, key, token, call, lookedNs } satisfies Write);
    return true;
  };
  const steps = random.chance(LONG_HOLDINGS)
    ? Math.ceil((1.5 * work.leaseMs) / LONGEST_STEP_MS)
    : Math.ceil(random.between(0, MOST_STEPS));
  let inside = await write('enter');
  for (let i = 0; inside && i < steps; i += 1) {
    await pause(random.between(0, LONGEST_STEP_MS));
    inside = await write('write');
  }
  if (inside) await write('exit');
}

export const handlers = {
  /** Begins, and goes on until it is told to finish. */
  work: async (work: Work): Promise<void> => {
    const journal = new Journal<Entry>(work.journal);
    const { client, ping } = await connectBy(work.contact);
    const sound = createLocks({ client, prefix: work.prefix });
    const locks = work.broken === undefined ? sound : broken(sound, work.broken);
    const desk: Desk = { work, locks, journal, random: new Random(work.seed) };
    const callers = Array.from({ length: work.callersPerKey }, (_, i) => i);
    working = Promise.all([
      beat(journal, ping),
      ...work.keys.flatMap((key) =>
        callers.map((caller) => callAgainAndAgain(desk, key, `${key}${caller}`)),
      ),
    ]);
  },
  /** Resolves when every caller has ended the call that it is in. */
  finish: async (): Promise<void> => {
    over = true;
    await working;
  },
};

serve(handlers);

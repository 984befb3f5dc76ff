// A process whose callers read, delete and write through a cache, again and again.
import { subscribe } from 'node:diagnostics_channel';
import { type Cache, createCache, type LoadContext } from '@redcache/cache-aside';
import { SourceClient } from '../chaos/cache/source-client.ts';
import { type Contact, connectBy } from '../chaos/contact.ts';
import { serve } from '../support/child.ts';
import { pause } from '../support/eventually.ts';
import { Journal } from '../support/journal.ts';
import { Random } from '../support/random.ts';
import { type Broken, broken, type SomeCache } from './broken-caches.ts';

/** What it is to do. `journal`: the file for what it asks and sees. */
export interface Work {
  readonly name: string;
  readonly contact: Contact;
  readonly namespace: string;
  readonly keys: readonly string[];
  /** Keys that are never there, by which it asks Redis whether it hears. */
  readonly beatKeys: readonly string[];
  readonly callers: number;
  /** How long a caller rests between two calls, on average. */
  readonly restMs: number;
  readonly sourcePort: number;
  readonly ttlMs: number;
  readonly leaseMs: number;
  readonly maxStalenessMs: number;
  readonly redisMs: number;
  readonly hardMs: number;
  /** Calls are to end within this time, once no more begin. */
  readonly patienceMs: number;
  /** Of all loads, how many outlast their first lease. */
  readonly longLoads: number;
  readonly journal: string;
  readonly seed: number;
  readonly broken?: Broken | undefined;
}

/** What stands under a key. */
export interface Row {
  readonly key: string;
  readonly version: number;
}

/** How a call ended. `given up`: because its caller or the source wanted it so. */
export type Ending = 'succeeded' | 'given up' | { readonly failedWith: string };

/** Times are of the clock that all processes of a machine share. `load`: unique in the process. */
export type Entry =
  /** `local`: served from this process, without waiting. `found`: whatever came. */
  | (Ended<'read'> & { readonly local: boolean; readonly found?: unknown })
  /** `version`: what the source was changed to, if it was. */
  | (Ended<'deleted' | 'written'> & { readonly version?: number | undefined })
  /** A loader was called; `leased`: as far as one can tell, under leases of its keys. */
  | {
      readonly is: 'loading';
      readonly load: number;
      readonly keys: readonly string[];
      readonly leased: boolean;
      readonly atNs: bigint;
    }
  /** It has its values, or has failed; or nobody wants them any more. */
  | { readonly is: 'loaded' | 'unwanted'; readonly load: number; readonly atNs: bigint }
  /** What a loader answered for a key has been dealt with. */
  | {
      readonly is: 'settled';
      readonly key: string;
      readonly stored: boolean;
      readonly atNs: bigint;
    }
  /** One question to Redis on the way that the reads take. `uncertain`: keys of unknown writes. */
  | {
      readonly is: 'beat';
      readonly sentNs: bigint;
      readonly atNs: bigint;
      readonly answered: boolean;
      readonly uncertain: number;
    }
  /** A call that never ended. */
  | {
      readonly is: 'unsettled';
      readonly what: string;
      readonly key: string;
      readonly atNs: bigint;
    };

interface Ended<Is extends string> {
  readonly is: Is;
  readonly key: string;
  readonly begunNs: bigint;
  readonly endedNs: bigint;
  readonly ending: Ending;
}

const BEAT_PAUSE_MS = 50;
/** Of all calls. */
const DELETES = 0.05;
const WRITES = 0.05;
const READS_OF_MANY = 0.05;
const MANY = 5;
/** Of all reads, how many are aborted, and of all loads, how many fail. */
const ABORTED_READS = 1 / 50;
const FAILING_LOADS = 1 / 200;
/** How long source and process take, before and after a row is read or changed. */
const LONGEST_STEP_MS = 8;

/** What a caller aborts with. */
const GAVE_UP = new Error('the caller has gone');
/** What a loader fails with. */
const SOURCE_FAILED = new Error('the source has failed');

const nowNs = (): bigint => process.hrtime.bigint();

let over = false;
let working = (): Promise<void> => Promise.resolve();

/** What a caller needs besides its key. */
interface Desk {
  readonly work: Work;
  readonly cache: SomeCache;
  readonly source: SourceClient;
  readonly journal: Journal<Entry>;
  readonly random: Random;
  readonly load: Loads;
  /** Calls under way. */
  readonly open: Set<{ readonly what: string; readonly key: string; readonly atNs: bigint }>;
}

/** The loaders of a process. */
interface Loads {
  one(key: string, context: LoadContext): Promise<Row>;
  many(keys: string[], context: LoadContext): Promise<Map<string, Row>>;
}

function loadsOf(work: Work, source: SourceClient, journal: Journal<Entry>, random: Random): Loads {
  // A loader can't see whether it runs under a lease. Without one it does only while Redis is away,
  // which is said right before.
  const leaseless = new Set<string>();
  const nameOf = (key: string): string => key.slice(work.namespace.length + 1);
  subscribe('redcache:cache:unavailable', (message) => {
    leaseless.add(nameOf((message as { key: string }).key));
  });
  subscribe('redcache:cache:load', (message) => {
    const { key, stored } = message as { key: string; stored: boolean };
    leaseless.delete(nameOf(key));
    journal.write({ is: 'settled', key: nameOf(key), stored, atNs: nowNs() });
  });
  subscribe('redcache:cache:load-failed', (message) => {
    const { key } = message as { key: string };
    journal.write({ is: 'settled', key: nameOf(key), stored: false, atNs: nowNs() });
  });
  let last = 0;
  const many: Loads['many'] = async (keys, { signal }) => {
    last += 1;
    const load = last;
    // All of them: one is enough for none of them to be stored.
    const leased = keys.map((key) => leaseless.delete(key)).every((without) => !without);
    journal.write({ is: 'loading', load, keys, leased, atNs: nowNs() });
    const forgotten = (): void => {
      // A lost lease is told as well, but ends nothing.
      if (signal.reason === GAVE_UP) journal.write({ is: 'unwanted', load, atNs: nowNs() });
    };
    signal.addEventListener('abort', forgotten, { once: true });
    const longMs = random.chance(work.longLoads) ? 1.5 * work.leaseMs : 0;
    await pause(random.between(0, LONGEST_STEP_MS));
    const versions = await source.read(keys);
    await pause(random.between(0, LONGEST_STEP_MS) + longMs);
    journal.write({ is: 'loaded', load, atNs: nowNs() });
    if (random.chance(FAILING_LOADS)) throw SOURCE_FAILED;
    return new Map(keys.map((key, i) => [key, { key, version: versions[i] as number }]));
  };
  return { many, one: async (key, context) => (await many([key], context)).get(key) as Row };
}

/** Notes when Redis has answered: what it had to say before, this process has heard by then. */
async function beat({ work, journal }: Desk, cache: Cache): Promise<void> {
  while (!over) {
    const sentNs = nowNs();
    const answered = await cache.getMany(work.beatKeys, undefined, { onUnavailable: 'throw' }).then(
      () => true,
      () => false,
    );
    const { uncertainKeys: uncertain } = cache.stats();
    journal.write({ is: 'beat', sentNs, atNs: nowNs(), answered, uncertain });
    await pause(BEAT_PAUSE_MS);
  }
}

async function callAgainAndAgain(desk: Desk): Promise<void> {
  const { random, work } = desk;
  while (!over) {
    await callOnce(desk);
    await pause(random.between(0, 2 * work.restMs));
  }
}

async function callOnce(desk: Desk): Promise<void> {
  const { random, work, open } = desk;
  const choice = random.next();
  const changes = choice < DELETES + WRITES;
  // Some keys change all the time, and others seldom.
  const at = changes ? random.next() ** 3 : random.next();
  const key = work.keys[Math.floor(at * work.keys.length)] as string;
  const what =
    choice < DELETES
      ? 'delete'
      : changes
        ? 'write'
        : choice < DELETES + WRITES + READS_OF_MANY
          ? 'getMany'
          : 'get';
  const call = { what, key, atNs: nowNs() };
  open.add(call);
  await CALLS[what](desk, key);
  open.delete(call);
}

const CALLS: Record<'get' | 'getMany' | 'delete' | 'write', (desk: Desk, key: string) => unknown> =
  {
    get: async (desk, key) => {
      const { cache, load, journal } = desk;
      const { signal, stop } = patience(desk);
      const begunNs = nowNs();
      const local = cache.peek(key).hit;
      const call = { is: 'read' as const, key, begunNs, local };
      try {
        const found = await cache.get(key, load.one, signal && { signal });
        journal.write({ ...call, endedNs: nowNs(), ending: 'succeeded', found });
      } catch (error) {
        journal.write({ ...call, endedNs: nowNs(), ending: endingOf(error) });
      }
      stop();
    },
    getMany: async (desk, key) => {
      const { cache, load, journal, work, random } = desk;
      const { signal, stop } = patience(desk);
      const others = Array.from({ length: MANY - 1 }, () => random.anyOf(work.keys));
      const keys = [...new Set([key, ...others])];
      const begunNs = nowNs();
      const calls = keys.map((each) => ({
        ...{ is: 'read' as const, key: each, begunNs, local: cache.peek(each).hit },
      }));
      try {
        const found = await cache.getMany(keys, load.many, signal && { signal });
        const endedNs = nowNs();
        for (const call of calls)
          journal.write({ ...call, endedNs, ending: 'succeeded', found: found.get(call.key) });
      } catch (error) {
        const endedNs = nowNs();
        for (const call of calls) journal.write({ ...call, endedNs, ending: endingOf(error) });
      }
      stop();
    },
    delete: async ({ cache, source, journal }, key) => {
      const begunNs = nowNs();
      const version = await source.change(key);
      const ending = await endingBy(cache.delete(key));
      journal.write({ is: 'deleted', key, version, begunNs, endedNs: nowNs(), ending });
    },
    write: async ({ cache, source, journal, random }, key) => {
      const begunNs = nowNs();
      let version: number | undefined;
      const writer = async (): Promise<Row> => {
        await pause(random.between(0, LONGEST_STEP_MS));
        version = await source.change(key);
        await pause(random.between(0, LONGEST_STEP_MS));
        return { key, version };
      };
      const ending = await endingBy(cache.write(key, writer));
      journal.write({ is: 'written', key, version, begunNs, endedNs: nowNs(), ending });
    },
  };

/** A signal for callers that do not wait for long. */
function patience({ random }: Desk): { readonly signal?: AbortSignal; stop(): void } {
  if (!random.chance(ABORTED_READS)) return { stop: () => {} };
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(GAVE_UP), random.between(0, LONGEST_STEP_MS));
  return { signal: abort.signal, stop: () => clearTimeout(timer) };
}

const endingBy = (call: Promise<unknown>): Promise<Ending> =>
  call.then(() => 'succeeded' as const, endingOf);

function endingOf(error: unknown): Ending {
  if (error === GAVE_UP || error === SOURCE_FAILED) return 'given up';
  return { failedWith: (error as { code?: string }).code ?? `${error}` };
}

export const handlers = {
  /** Begins, and goes on until it is told to finish. */
  work: async (work: Work): Promise<void> => {
    const { contact, name, sourcePort, namespace, maxStalenessMs: maxStaleness } = work;
    const journal = new Journal<Entry>(work.journal);
    const random = new Random(work.seed);
    const source = await SourceClient.open(name, sourcePort);
    const { client } = await connectBy(contact, { maxStaleness });
    const sound = createCache({
      ...{ client, namespace, ttl: work.ttlMs, lease: work.leaseMs },
      timeout: { redis: work.redisMs, hard: work.hardMs },
    });
    const cache = work.broken === undefined ? sound : broken(sound, work.broken);
    const load = loadsOf(work, source, journal, random);
    const desk: Desk = { work, cache, source, journal, random, load, open: new Set() };
    const callers = Array.from({ length: work.callers }, () => callAgainAndAgain(desk));
    const all = Promise.all([beat(desk, sound), ...callers]);
    working = async () => {
      await Promise.race([all, pause(work.patienceMs)]);
      for (const call of desk.open) journal.write({ is: 'unsettled', ...call });
    };
  },
  /** Resolves when every caller has ended the call that it is in, or has waited for too long. */
  finish: async (): Promise<void> => {
    over = true;
    await working();
  },
};

serve(handlers);

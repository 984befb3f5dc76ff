import { subscribe } from 'node:diagnostics_channel';
import { clientSideCache } from '@redcache/core/node-redis';
import { connect, UNTIMED } from '../connect.ts';
import { type LoadCost, measureLoad } from '../load.ts';
import type { Work } from '../roles.ts';
import { ServerProbe } from '../server-probe.ts';

/** How a process sees the writes of its clients. */
export type Seeing = 'nothing' | 'tracing' | 'cache' | 'fence' | 'plain-beside-fence';
/** How writes are sent. */
export type Sending = 'one at a time' | '50 at once' | 'pipelined';

export interface WriterTask {
  readonly sending: Sending;
  /** With node-redis's default timeout, or with none. */
  readonly timed: boolean;
  readonly writes: number;
}

const KEYS = 1000;
const VALUE = 'x'.repeat(100);
/** Writes that leave in one go, none awaited before the last is sent. */
const PIPELINE = 500;

/** Writes, and answers what a write cost; arguments: {@link Seeing}, URL, namespace. */
export async function writerRole(...args: string[]): Promise<Work> {
  const [seeing, url, namespace] = args as [Seeing, string, string];
  const probe = await ServerProbe.open(url);
  const seen = seeing === 'tracing' ? watchTracing() : undefined;
  const config = () => ({ ...cacheOf(seeing) });
  const timed = await connect(url, config());
  const untimed = await connect(url, { ...config(), commandOptions: UNTIMED });
  // The hook concerns every client of the process once it is there, also this one without a cache.
  if (seeing === 'plain-beside-fence') await connect(url, cacheOf('fence'));
  const keys = Array.from({ length: KEYS }, (_, i) => `${namespace}:${i}`);

  return async (task) => {
    const { sending, writes, ...how } = task as WriterTask;
    const client = how.timed ? timed : untimed;
    const set = (place: number): Promise<unknown> =>
      client.set(keys[place % KEYS] as string, VALUE);
    const before = seen?.() ?? 0;
    const cost = await measureSending(sending, writes, set, probe);
    if (seen !== undefined && seen() - before < writes)
      throw new Error('the tracing channel did not tell of every write');
    return cost;
  };
}

async function measureSending(
  sending: Sending,
  writes: number,
  set: (place: number) => Promise<unknown>,
  probe: ServerProbe,
): Promise<LoadCost> {
  if (sending !== 'pipelined')
    return measureLoad(
      { calls: writes, concurrency: sending === '50 at once' ? 50 : 1, call: set },
      probe,
    );
  const burst = (place: number): Promise<unknown> =>
    Promise.all(Array.from({ length: PIPELINE }, (_, i) => set(place * PIPELINE + i)));
  const calls = Math.ceil(writes / PIPELINE);
  return perWrite(await measureLoad({ calls, concurrency: 1, call: burst }, probe));
}

const perWrite = (cost: LoadCost): LoadCost => ({
  callsPerSecond: cost.callsPerSecond * PIPELINE,
  clientUs: cost.clientUs / PIPELINE,
  serverUs: cost.serverUs / PIPELINE,
  latencyUs: cost.latencyUs,
});

function cacheOf(seeing: Seeing): Parameters<typeof connect>[1] {
  if (seeing !== 'cache' && seeing !== 'fence') return {};
  const options = { maxEntries: 10_000, readYourWrites: seeing === 'fence' };
  return { clientSideCache: clientSideCache(options) };
}

/** What the least listener does that is to fence keys: find the command, and its first key. */
function watchTracing(): () => number {
  const writes = new Set(['SET', 'DEL', 'UNLINK', 'HSET', 'INCR', 'EXPIRE', 'FLUSHALL']);
  const fenced = new Map<string, number>();
  let seen = 0;
  subscribe('tracing:node-redis:command:start', (message) => {
    const { args } = message as { readonly args: readonly string[] };
    if (!writes.has(args[0] as string)) return;
    seen += 1;
    const key = args[1] as string;
    fenced.set(key, 1);
    fenced.delete(key);
  });
  return () => seen;
}

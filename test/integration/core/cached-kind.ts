import type { CacheStats, TrackingCache } from '@redcache/core';
import {
  type ClientSideCache,
  type ClientSideCacheOptions,
  clientSideCache,
} from '@redcache/core/node-redis';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { type Kind, type OpenKind, type OpenKindOptions, openKind } from './four-kinds.ts';

/** A client of one of the kinds with our cache, whose connections are all tracked by now. */
export interface CachedKind<K extends Kind = Kind> extends OpenKind<K> {
  readonly cache: ClientSideCache;
  readonly engine: TrackingCache;
  /** Resolves at the next invalidation of the key, once its copies are gone. Call it before the write. */
  invalidated(key: string): Promise<string>;
  /** What was counted since the last call of this, or since the opening. */
  counted(): Counted;
}

/** Counters of the engine, as differences. */
type Counted = Pick<
  CacheStats,
  'hits' | 'misses' | 'coalesced' | 'loads' | 'failedLoads' | 'fills' | 'refusedFills'
>;

/** Data connections that serve the commands of a client of this kind. */
const CONNECTIONS: { readonly [K in Kind]: number } = {
  client: 1,
  pool: 4,
  cluster: 3,
  sentinel: 1,
};

export interface OpenCachedOptions extends Omit<OpenKindOptions, 'cache'> {
  readonly options?: ClientSideCacheOptions;
  /** A cache that others use as well. */
  readonly cache?: ClientSideCache;
}

export async function openCached<K extends Kind>(
  kind: K,
  deployment: Deployment,
  { options, cache = clientSideCache(options), ...others }: OpenCachedOptions = {},
): Promise<CachedKind<K>> {
  const { engine } = cache;
  const { connections } = engine.stats();
  const open = await openKind(kind, deployment, { ...others, cache });
  await everyConnectionIsUsed(open);
  await eventually(
    () => engine.stats(),
    (stats) => stats.state === 'tracking' && stats.connections >= connections + CONNECTIONS[kind],
    { what: `${kind}: every connection to be tracked` },
  );
  let last = engine.stats();
  return {
    ...open,
    cache,
    engine,
    invalidated: (key) =>
      new Promise((resolve) => {
        const stop = engine.onInvalidation(key, (cause) => {
          stop();
          resolve(cause);
        });
      }),
    counted: () => {
      const before = last;
      last = engine.stats();
      const since = (name: keyof Counted): number => last[name] - before[name];
      return {
        hits: since('hits'),
        misses: since('misses'),
        coalesced: since('coalesced'),
        loads: since('loads'),
        failedLoads: since('failedLoads'),
        fills: since('fills'),
        refusedFills: since('refusedFills'),
      };
    },
  };
}

/** A connection is tracked from its first command on. These change nothing. */
async function everyConnectionIsUsed({ client, keyFor }: OpenKind): Promise<void> {
  await Promise.all(
    Array.from({ length: 48 }, (_, i) => client.pExpire(keyFor(`nothing ${i}`), 1_000)),
  );
}

/** How often the masters of a deployment have carried out a command, such as `get`. */
export async function callsOf(deployment: Deployment, command: string): Promise<number> {
  const answers = await onMasters(deployment, 'INFO', 'commandstats');
  return answers.reduce((sum, text) => {
    const calls = new RegExp(`^cmdstat_${command.replace('|', '\\|')}:calls=(\\d+)`, 'm').exec(
      text,
    );
    return sum + Number(calls?.[1] ?? 0);
  }, 0);
}

/** Sends a command to every master, on connections that are nobody else's. */
export async function onMasters(
  deployment: Deployment,
  ...command: readonly string[]
): Promise<string[]> {
  return await Promise.all(
    deployment.nodesOf('master').map(async ({ port, host }) => {
      const connection = await RawConnection.open({ port, host });
      try {
        return String(await connection.send(...command));
      } finally {
        connection.close();
      }
    }),
  );
}

import { setImmediate } from 'node:timers/promises';
import type { CacheStats, TrackingCache } from '@redcache/core';
import { type ClientSideCacheOptions, clientSideCache } from '@redcache/core/node-redis';
import { expect } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { roleNow } from '../../support/failover.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { ownerOf, runningMembers, slotOf } from '../../support/slots.ts';
import { type Kind, type OpenKind, openKind } from './four-kinds.ts';

/** Whatever counts: an engine. */
interface Counted {
  stats(): CacheStats;
}

/** Short, so that a test sees it pass; several round trips long, so that a busy machine keeps it. */
export const MAX_STALENESS_MS = 400;

/**
 * For what no heartbeat can help: hits are found and asked for in the same turn, so that only the
 * server's own steps between its knowing and its saying so are in it.
 */
export const SLACK_MS = 250;

/** No heartbeat within a test. */
export const NEVER = '10m';

let keys = 0;
/** A key nobody has used, alone in its slot or nearly so. */
export const newKey = (): string => {
  keys += 1;
  return `topology:${process.pid}:${keys}`;
};

export type MaxStaleness = NonNullable<ClientSideCacheOptions['maxStaleness']>;

/** A client of that kind whose copies end with nothing but a change, a loss, or silence. */
export async function openLasting<K extends Kind>(
  kind: K,
  deployment: Deployment,
  maxStaleness: MaxStaleness,
  { replicas = false }: { readonly replicas?: boolean } = {},
): Promise<OpenKind<K> & { readonly engine: TrackingCache }> {
  const cache = clientSideCache({ maxStaleness, ttl: '10m', negativeTtl: '10m' });
  const opened = await openKind(kind, deployment, { cache, replicas });
  return { ...opened, engine: cache.engine };
}

/** The slot of a key, its owner, and a master that is not. */
export async function endsOf(
  cluster: Deployment,
  key: string,
): Promise<{ slot: number; from: ServerNode; to: ServerNode }> {
  const slot = await slotOf(cluster, key);
  const from = await ownerOf(cluster, slot);
  for (const to of await runningMembers(cluster))
    if (to !== from && (await roleNow(to)) === 'master') return { slot, from, to };
  throw new Error('there is no other master');
}

/** How many of these reads, one after the other, had to ask a server. */
export async function loadsOf(
  engine: Counted,
  reads: readonly (() => Promise<unknown>)[],
): Promise<number> {
  let loads = 0;
  for (const read of reads) {
    const { misses } = engine.stats();
    await read();
    if (engine.stats().misses > misses) loads += 1;
  }
  return loads;
}

/** Resolves when each of these reads is answered from here. */
export async function untilCached(
  engine: Counted,
  reads: readonly (() => Promise<unknown>)[],
): Promise<void> {
  await eventually(
    () => loadsOf(engine, reads),
    (loads) => loads === 0,
    { what: `${reads.length} reads to be answered from here`, deadlineMs: 20_000 },
  );
}

/** One answer, when it was asked for, and when it was here. */
export interface Seen {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly value: unknown;
}

/** Somebody who reads all the time. */
export class Watch {
  readonly seen: Seen[] = [];
  readonly failures: unknown[] = [];
  readonly #reading: Promise<void>;
  #isOver = false;

  constructor(read: () => Promise<unknown>) {
    this.#reading = this.#run(read);
  }

  async #run(read: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      const askedAtMs = performance.now();
      try {
        const value = await read();
        this.seen.push({ askedAtMs, answeredAtMs: performance.now(), value });
      } catch (error) {
        this.failures.push(error);
      }
      // Hits alone would never let anything else happen.
      await setImmediate();
    }
  }

  /** Resolves when it has been answered that, asked for from now on. */
  async until(value: unknown): Promise<void> {
    const fromMs = performance.now();
    await eventually(
      () => this.seen.findLast(({ askedAtMs }) => askedAtMs >= fromMs),
      (last) => last?.value === value,
      { what: `the answer ${String(value)}`, deadlineMs: 30_000 },
    );
  }

  /** Resolves after so many more answers. */
  async forMore(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    await eventually(() => performance.now() >= untilMs, Boolean, { deadlineMs: ms + 20_000 });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#reading;
  }

  /** How long after that moment the last outdated answer was asked for; none: negative. */
  staleForMs(sinceMs: number, isOutdated: (value: unknown) => boolean): number {
    const last = this.seen.findLast(({ value }) => isOutdated(value));
    return last === undefined ? Number.NEGATIVE_INFINITY : last.askedAtMs - sinceMs;
  }
}

/** What was asked for later than `maxStaleness` after that moment is current. */
export function expectBounded(
  watch: Watch,
  sinceMs: number,
  isOutdated: (value: unknown) => boolean,
): void {
  const staleMs = watch.staleForMs(sinceMs, isOutdated);
  expect(staleMs, 'how long an outdated answer was given, in ms').toBeLessThan(
    MAX_STALENESS_MS + SLACK_MS,
  );
}

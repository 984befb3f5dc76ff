import { createTrackingCache, UnavailableError } from '@redcache/core';
import {
  type AnyClient,
  type Connected,
  type OwnTracked,
  openTracked,
  portOf,
  selectsDatabase,
  trackedOf,
} from '@redcache/core/node-redis';
import type { Budget } from '@redcache/core/toolkit';
import { Link } from './link.ts';

/** `auto`: hear of releases by push, over one more connection if need be. `poll`: ask now and then. */
export type TrackingMode = 'auto' | 'poll';

/** Where connections come from. */
export interface ConnectionSource {
  /** The user's connection, or connections. */
  readonly first: Connected;
  /** Opens one more that is tracked, in that database; left out where the first will do. */
  readonly openTracked?: (database: number) => OwnTracked | Promise<OwnTracked>;
  /** A cluster: keys are in different places, and there is only the database 0. */
  readonly hasSlots?: boolean;
}

export function sourceOf(client: AnyClient, mode: TrackingMode): ConnectionSource {
  // An engine that is attached to nothing: no push ever comes, and it never tracks.
  const untracked = (): Connected => ({
    port: portOf(client),
    engine: createTrackingCache(),
    tracks: () => false,
  });
  const hasSlots = !selectsDatabase(client);
  if (mode === 'poll') return { first: untracked(), hasSlots };
  const tracked = trackedOf(client);
  if (tracked !== undefined) return { first: tracked, hasSlots };
  return {
    first: untracked(),
    openTracked: (database) => openTracked(client, database),
    hasSlots,
  };
}

const NOTHING_TO_DO: Promise<void> = Promise.resolve();

/**
 * Chooses the connection that all commands of the locks go through: the user's, until somebody has
 * to wait there without being told of releases. Then one tracked connection is opened, and whenever
 * that one is up everything goes through it.
 */
export class Connections {
  readonly #budget: Budget;
  readonly #onMoved: (link: Link) => void;
  readonly #first: Link;
  readonly #hasSlots: boolean;
  #current: Link;
  #openTracked: ConnectionSource['openTracked'];
  /** One for all who wait: if there can't be one, each is told. */
  #opening: Promise<void> | undefined;
  #closed = false;
  #own: { readonly tracked: OwnTracked; readonly link: Link; stop(): void } | undefined;

  constructor(source: ConnectionSource, budget: Budget, onMoved: (link: Link) => void) {
    this.#budget = budget;
    this.#onMoved = onMoved;
    this.#openTracked = source.openTracked;
    this.#hasSlots = source.hasSlots === true;
    this.#first = new Link(source.first, budget, source.hasSlots);
    this.#current = this.#first;
  }

  get current(): Link {
    return this.#current;
  }

  /**
   * Somebody has to wait for `key`: opens the tracked connection, the first time and if there may
   * be one.
   *
   * Sends: CLIENT INFO, once: in another database than the client's a lock that is held would be
   * free. If that is not answered the next who waits tries again. Nothing to a cluster, which has one
   * database, and where any node would be asked, also one that hangs while that of the key does not.
   * Throws: `ConfigError` if two copies of the client library make that impossible, each time.
   */
  contended(key: string): Promise<void> {
    const open = this.#openTracked;
    if (open === undefined) return NOTHING_TO_DO;
    this.#opening ??= this.#open(open, key);
    return this.#opening;
  }

  async #open(open: NonNullable<ConnectionSource['openTracked']>, key: string): Promise<void> {
    const database = this.#hasSlots ? 0 : await this.#askDatabase(key);
    if (this.#closed) return;
    const tracked = database === undefined ? undefined : await openOne(open, database);
    if (tracked === undefined) {
      this.#opening = undefined;
      return;
    }
    if (this.#closed) {
      tracked.close();
      return;
    }
    const link = new Link(tracked, this.#budget, this.#hasSlots);
    const stop = tracked.port.onConnection((connection) =>
      this.#use(connection === 'up' ? link : this.#first),
    );
    this.#own = { tracked, link, stop };
  }

  /** Resolves when nothing that was asked is open any more, within the time for an answer. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#openTracked = undefined;
    this.#own?.stop();
    this.#own?.tracked.close();
    this.#first.close();
    this.#own?.link.close();
    await this.#budget.settled();
  }

  #askDatabase(key: string): Promise<number | undefined> {
    return this.#first
      .ask(key, (port) => port.send(['CLIENT', 'INFO']), databaseIn)
      .catch(() => undefined);
  }

  #use(link: Link): void {
    if (this.#current === link) return;
    this.#current = link;
    this.#onMoved(link);
  }
}

/** Nothing while there is no connection to show where: the next who waits tries again. */
async function openOne(
  open: NonNullable<ConnectionSource['openTracked']>,
  database: number,
): Promise<OwnTracked | undefined> {
  try {
    return await open(database);
  } catch (error) {
    if (error instanceof UnavailableError) return undefined;
    throw error;
  }
}

/** Which database the connection is in; its client may have selected another since it was made. */
function databaseIn(info: unknown): number | undefined {
  const database = / db=(\d+)/.exec(String(info))?.[1];
  return database === undefined ? undefined : Number(database);
}

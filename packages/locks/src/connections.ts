import { createTrackingCache } from '@redcache/core';
import {
  type OwnTracked,
  openTracked,
  portOf,
  type SingleClient,
  type Tracked,
  trackedOf,
} from '@redcache/core/node-redis';
import type { Budget } from '@redcache/core/toolkit';
import { Link } from './link.ts';

/** `auto`: hear of releases by push, over one more connection if need be. `poll`: ask now and then. */
export type TrackingMode = 'auto' | 'poll';

/** Where connections come from. */
export interface ConnectionSource {
  /** The user's connection. */
  readonly first: Tracked;
  /** Opens one more that is tracked; left out where the first will do. */
  readonly openTracked?: () => OwnTracked;
}

export function sourceOf(client: SingleClient, mode: TrackingMode): ConnectionSource {
  // An engine that is attached to nothing: no push ever comes, and it never tracks.
  const untracked = (): Tracked => ({ port: portOf(client), engine: createTrackingCache() });
  if (mode === 'poll') return { first: untracked() };
  const tracked = trackedOf(client);
  if (tracked !== undefined) return { first: tracked };
  return { first: untracked(), openTracked: () => openTracked(client) };
}

/**
 * Chooses the connection that all commands of the locks go through: the user's, until somebody has
 * to wait there without being told of releases. Then one tracked connection is opened, and whenever
 * that one is up everything goes through it.
 */
export class Connections {
  readonly #budget: Budget;
  readonly #onMoved: (link: Link) => void;
  readonly #first: Link;
  #current: Link;
  #openTracked: (() => OwnTracked) | undefined;
  #own: { readonly tracked: OwnTracked; readonly link: Link; stop(): void } | undefined;

  constructor(source: ConnectionSource, budget: Budget, onMoved: (link: Link) => void) {
    this.#budget = budget;
    this.#onMoved = onMoved;
    this.#openTracked = source.openTracked;
    this.#first = new Link(source.first, budget);
    this.#current = this.#first;
  }

  get current(): Link {
    return this.#current;
  }

  /**
   * Somebody has to wait: opens the tracked connection, the first time and if there may be one.
   *
   * Throws: `ConfigError` if two copies of the client library make that impossible.
   */
  contended(): void {
    const open = this.#openTracked;
    if (open === undefined) return;
    this.#openTracked = undefined;
    const tracked = open();
    const link = new Link(tracked, this.#budget);
    const stop = tracked.port.onConnection((connection) =>
      this.#use(connection === 'up' ? link : this.#first),
    );
    this.#own = { tracked, link, stop };
  }

  close(): void {
    this.#openTracked = undefined;
    this.#first.close();
    this.#own?.stop();
    this.#own?.link.close();
    this.#own?.tracked.close();
  }

  #use(link: Link): void {
    if (this.#current === link) return;
    this.#current = link;
    this.#onMoved(link);
  }
}

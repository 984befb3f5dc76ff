import type { Connection } from '../../../ports.ts';
import type { Listened } from '../clients.ts';

/**
 * Who wants to know how a connection is. `watch` is called for the first of them, answers how it is
 * now, and tells of changes by {@link tell}; `unwatch` when the last has gone.
 */
export class ConnectionListeners {
  readonly #watch: () => Connection;
  readonly #unwatch: () => void;
  readonly #listeners = new Set<(connection: Connection) => void>();
  #last: Connection = 'down';

  constructor(watch: () => Connection, unwatch: () => void) {
    this.#watch = watch;
    this.#unwatch = unwatch;
  }

  add(listener: (connection: Connection) => void): () => void {
    // A function of its own, so that the same listener given twice is told twice and removed once.
    const told = (connection: Connection): void => listener(connection);
    if (this.#listeners.size === 0) this.#last = this.#watch();
    this.#listeners.add(told);
    told(this.#last);
    return () => {
      if (this.#listeners.delete(told) && this.#listeners.size === 0) this.#unwatch();
    };
  }

  tell(connection: Connection): void {
    if (connection === this.#last) return;
    this.#last = connection;
    for (const listener of [...this.#listeners]) listener(connection);
  }
}

const KEPT: unique symbol = Symbol('redcache.kept');
const nobody = (): void => {};

/**
 * To be called before listeners are put on a client that are taken off again. What node-redis hands
 * out only inherits from the client that emits: the moment the last listener is taken off it, it gets
 * a list of its own, and nobody who listens from then on hears anything, errors included.
 */
export function keepListened(client: Listened): void {
  const { listenerCount } = client as { listenerCount?: (event: symbol) => number };
  if (listenerCount?.call(client, KEPT) === 0) client.on(KEPT, nobody);
}

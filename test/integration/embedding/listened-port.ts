import type { Connection, Invalidation } from '@redcache/core';

/** Who listens to a port, and what its connection was last said to be. */
export abstract class ListenedPort {
  readonly #pushListeners = new Set<(invalidation: Invalidation) => void>();
  readonly #connectionListeners = new Set<(connection: Connection) => void>();
  #connection: Connection = 'down';

  protected get connection(): Connection {
    return this.#connection;
  }

  onPush(listener: (invalidation: Invalidation) => void): () => void {
    return added(this.#pushListeners, listener);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    const remove = added(this.#connectionListeners, listener);
    listener(this.#connection);
    return remove;
  }

  /** To be called in the same turn as the replies around it are read, whose continuations run later. */
  protected pushed(invalidation: Invalidation | undefined): void {
    if (invalidation === undefined) return;
    for (const listener of [...this.#pushListeners]) listener(invalidation);
  }

  /** Once it is closed it stays so. */
  protected tell(connection: Connection): void {
    if (connection === this.#connection || this.#connection === 'closed') return;
    this.#connection = connection;
    for (const listener of [...this.#connectionListeners]) listener(connection);
  }
}

/** One that is added twice is told twice. */
function added<T>(listeners: Set<(event: T) => void>, listener: (event: T) => void): () => void {
  const told = (event: T): void => listener(event);
  listeners.add(told);
  return () => void listeners.delete(told);
}

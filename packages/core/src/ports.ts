import type { Invalidation } from './tracking/invalidation.ts';

/** `up`: commands are sent at once. `down`: they would wait for a reconnect. `closed`: for good. */
export type Connection = 'up' | 'down' | 'closed';

/** A word of a command: text leaves as UTF-8, a Buffer as it is. Keys are text. */
export type Argument = string | Buffer;

export interface SendOptions {
  /**
   * How bulk strings are answered, those in arrays too: as `'text'` (default), decoded as UTF-8, or as
   * `'buffers'`. A simple string, such as `OK`, may then come as either.
   */
  readonly replies?: 'text' | 'buffers';
}

export interface CommandPort {
  /**
   * Sends one command and resolves with its reply. Commands leave in the order of the calls, on one
   * connection; those of a pool or a sentinel if they are sent in one tick, those of a cluster if they
   * are of one slot as well. Rejects with the server's error, with the client's when the connection is
   * lost before the reply, or with `UnavailableError` when it was not sent and never will be.
   */
  send(args: readonly Argument[], options?: SendOptions): Promise<unknown>;
  /** Calls the listener now with how the connection is, and again at every change. */
  onConnection(listener: (connection: Connection) => void): () => void;
}

/**
 * What a client must offer to have a cache attached: commands, and every push of the connection
 * they travel on, in the order in which the server sent them.
 */
export interface TrackingPort extends CommandPort {
  onPush(listener: (invalidation: Invalidation) => void): () => void;
  /**
   * Ends this connection and comes back with a new one: `down` now, `up` when it stands. Called for
   * a connection that has fallen silent. Without it such a connection only serves no hits.
   */
  replace?(): void;
  /** The connection leads to one node of a cluster. */
  readonly cluster?: boolean;
  /** A command that waits on the server is under way, so that silence means nothing. */
  readonly blocked?: boolean;
}

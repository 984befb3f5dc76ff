import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { ConnectionClient, PoolClient } from '../clients.ts';
import { Borrower, type Lend } from './borrower.ts';

/**
 * Commands over any member of a pool. It waits its turn with everybody else who uses the pool.
 *
 * A pool does not say how its connections are, so it counts as up, and each command finds out.
 */
export class PoolPort implements CommandPort {
  readonly #borrower: Borrower;

  constructor(pool: PoolClient) {
    this.#borrower = new Borrower(lenderOf(pool));
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    return this.#borrower.send(args, options);
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    listener('up');
    return () => {};
  }
}

/** Lends a member that is connected, if there is an idle one; else whichever is free first. */
export function lenderOf(pool: PoolClient): Lend {
  return (use) => {
    for (let idle = pool.idleClients; idle > 1; idle -= 1) {
      let lent = false;
      // Called at once; a member that is given back at once goes to the end of the line.
      const ifReady = (member: ConnectionClient): Promise<void> | undefined => {
        lent = member.isReady;
        return lent ? use(member) : undefined;
      };
      const using = pool.execute(ifReady as never);
      if (lent) return using;
    }
    return pool.execute(use as never);
  };
}

import type { ClusterClient, ConnectionClient } from '../clients.ts';
import { sendOurs } from '../command-hook.ts';
import type { Sending } from '../ports/cluster-port.ts';
import { keysOf } from '../ports/first-key.ts';
import { SharedNodes } from '../ports/shared-nodes.ts';
import type { ClientSideCache } from '../provider.ts';
import { sendTracked } from './announced.ts';

/**
 * The connections of a cluster client whose cache copies are kept in. A guard names the connection
 * that the command was meant for; where it is sent on to another one, or the slots were handed out
 * anew in between, what comes back is tracked there, and the guard must not let it in.
 */
export class TrackedNodes extends SharedNodes {
  readonly #cache: ClientSideCache;

  constructor(cluster: ClusterClient, cache: ClientSideCache) {
    super(cluster);
    this.#cache = cache;
  }

  override send(client: ConnectionClient, command: Sending, isAsked: boolean): Promise<unknown> {
    const { args, options } = command;
    const { engine } = this.#cache;
    // A node that is asked does not own the slot, whoever the guard names.
    const session = isAsked ? undefined : this.#cache.connectionOf(client).session;
    if (engine.isGuarding) engine.sentOn(keysOf(args), session); // guard: I2
    // Nothing may come behind ASKING but the command.
    if (isAsked) return sendOurs(client, args, options);
    return sendTracked(this.#cache, client, args, options);
  }
}

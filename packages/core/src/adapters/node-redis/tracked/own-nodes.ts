import type { ClusterClient, ClusterNode, ConnectionClient, SingleClient } from '../clients.ts';
import { sendOurs } from '../command-hook.ts';
import type { NodeClients, Sending } from '../ports/cluster-port.ts';
import { keepListened } from '../ports/listeners.ts';
import { isBrief } from '../ports/patience.ts';
import type { ClientSideCache } from '../provider.ts';
import { OwnClient } from './own-client.ts';

/**
 * Tracked connections to the nodes of a cluster, one each, made when the node is first needed. Which
 * node has which slot the user's client knows and finds out.
 *
 * A node that they can't reach for longer than everybody's patience (it takes no more connections) is
 * reached over the user's own connection until they can.
 */
export class OwnNodes implements NodeClients {
  readonly #cluster: ClusterClient;
  readonly #shared: NodeClients;
  readonly #cache: ClientSideCache;
  readonly #own = new Map<string, OwnClient>();
  #isClosed = false;

  constructor(cluster: ClusterClient, shared: NodeClients, cache: ClientSideCache) {
    this.#cluster = cluster;
    this.#shared = shared;
    this.#cache = cache;
    keepListened(cluster);
    cluster.on('disconnect', this.#closeAll);
    // What depends on it is that each connection asks who owns the slots.
    cache.disable();
  }

  of(node: ClusterNode): ConnectionClient | Promise<unknown> | undefined {
    if (this.#isClosed) return undefined;
    const own = this.#own.get(node.address);
    if (own?.client.isReady === true) return own.client;
    // It has given up, as the strategy of the user's client says.
    if (own === undefined || !own.client.isOpen) return this.#open(node);
    if (!isBrief(own.downForMs)) return this.#shared.of(node);
    return own.isNew ? own.connected : undefined;
  }

  /** The connection of ours, if it is that one. */
  tracks(client: ConnectionClient): boolean {
    for (const own of this.#own.values()) if (own.client === client) return own.tracks;
    return false;
  }

  changed(): void {
    const { masters } = this.#cluster;
    for (const [address, own] of this.#own) {
      if (masters.some((master) => master.address === address)) continue;
      this.#own.delete(address);
      own.close();
    }
  }

  send(client: ConnectionClient, { args, options }: Sending): Promise<unknown> {
    return sendOurs(client, args, options);
  }

  close(): void {
    this.#isClosed = true;
    this.#cluster.off('disconnect', this.#closeAll);
    this.#closeAll();
  }

  readonly #closeAll = (): void => {
    for (const own of this.#own.values()) own.close();
    this.#own.clear();
  };

  #open(node: ClusterNode): Promise<unknown> {
    const model = node.client as SingleClient | undefined;
    // Whoever waits for it comes by here again.
    if (model === undefined) return this.#cluster.nodeClient(node as never);
    this.#own.get(node.address)?.close();
    const own = new OwnClient(model, this.#cache);
    this.#own.set(node.address, own);
    // A node that has been replaced would be looked for for ever.
    this.changed();
    return own.connected;
  }
}

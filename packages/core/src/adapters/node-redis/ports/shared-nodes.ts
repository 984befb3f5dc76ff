import type { ClusterClient, ClusterNode, ConnectionClient } from '../clients.ts';
import { providerOf } from '../provider.ts';
import type { NodeClients } from './cluster-port.ts';

/** The connections that the cluster client has to its nodes, shared with its owner. */
export class SharedNodes implements NodeClients {
  readonly #cluster: ClusterClient;

  constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
  }

  of(node: ClusterNode): ConnectionClient | Promise<unknown> | undefined {
    const client = node.client as ConnectionClient | undefined;
    if (node.connectPromise !== undefined || client === undefined)
      return this.#cluster.nodeClient(node as never);
    // Known to its cache before anything is read there, so that what is read is tracked.
    providerOf(this.#cluster)?.connectionOf(client);
    return client.isReady ? client : undefined;
  }

  changed(): void {}
}

import { type ClusterClient, type ClusterNode, type ConnectionClient, selfOf } from '../clients.ts';
import { sendOurs } from '../command-hook.ts';
import { providerOf } from '../provider.ts';
import type { NodeClients, Sending } from './cluster-port.ts';

/** The connections that the cluster client has to its nodes, shared with its owner. */
export class SharedNodes implements NodeClients {
  readonly #cluster: ClusterClient;

  constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
  }

  of(node: ClusterNode): ConnectionClient | Promise<unknown> | undefined {
    const view = node.client as ConnectionClient | undefined;
    if (node.connectPromise !== undefined || view === undefined)
      return this.#cluster.nodeClient(node as never);
    // What the cluster client keeps is a view, and a cache knows the client itself.
    const client = selfOf(view);
    // Known to its cache before anything is read there, so that what is read is tracked.
    providerOf(this.#cluster)?.connectionOf(client);
    return client.isReady ? client : undefined;
  }

  changed(): void {}

  send(client: ConnectionClient, { args, options }: Sending, _isAsked: boolean): Promise<unknown> {
    return sendOurs(client, args, options);
  }
}

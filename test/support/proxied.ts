import type { Deployment } from './deployments.ts';
import { TcpProxy } from './proxy.ts';
import type { NodeRole, ServerNode } from './server-node.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * A proxy in front of every server of a deployment. Clients that are given `nodeAddressMap` reach
 * every node through its proxy; the servers reach each other directly.
 */
export interface ProxiedDeployment extends AsyncDisposable {
  /** For node-redis's options of that name: from the address a server is known by to its proxy's. */
  readonly nodeAddressMap: Readonly<Record<string, { host: string; port: number }>>;
  /** The proxy of the first master. */
  readonly url: string;
  readonly proxies: readonly TcpProxy[];
  of(node: ServerNode): TcpProxy;
  /** Where the proxies of the nodes of a role listen, as root nodes of a client. */
  addressesOf(role: NodeRole): Address[];
  close(): Promise<void>;
}

export async function proxyEveryNode(deployment: Deployment): Promise<ProxiedDeployment> {
  const pairs = await Promise.all(
    deployment.nodes.map(async (node) => ({ node, proxy: await TcpProxy.start(node) })),
  );
  const of = (node: ServerNode): TcpProxy => {
    const pair = pairs.find((each) => each.node === node);
    if (pair === undefined) throw new Error(`port ${node.port} is no node of this deployment`);
    return pair.proxy;
  };
  const addressOf = ({ host }: ServerNode, { port }: TcpProxy): Address => ({ host, port });
  const close = async (): Promise<void> => {
    await Promise.all(pairs.map(({ proxy }) => proxy.close()));
  };
  return {
    nodeAddressMap: Object.fromEntries(
      pairs.map(({ node, proxy }) => [`${node.host}:${node.port}`, addressOf(node, proxy)]),
    ),
    url: pairs[0]?.proxy.url ?? '',
    proxies: pairs.map(({ proxy }) => proxy),
    of,
    addressesOf: (role) =>
      pairs.flatMap(({ node, proxy }) => (node.role === role ? [addressOf(node, proxy)] : [])),
    close,
    [Symbol.asyncDispose]: close,
  };
}

import { slotOf } from '../../../cluster/slot.ts';
import type { Argument, CommandPort, Connection, SendOptions } from '../../../ports.ts';
import type { ClusterClient, ClusterNode, ConnectionClient } from '../clients.ts';
import { optionsOfOurs, sendUnobserved } from '../command-hook.ts';
import { firstKey } from './first-key.ts';
import { ConnectionListeners, keepListened } from './listeners.ts';
import { notSent, Patience } from './patience.ts';

/** The connections that the commands to the nodes of a cluster take. */
export interface NodeClients {
  /** One that is ready; or one that soon will be; or nothing, while the node can't be reached. */
  of(node: ClusterNode): ConnectionClient | Promise<unknown> | undefined;
  /** The cluster may have changed. */
  changed(): void;
  /** Sends, now. `isAsked`: to a node that does not own the slot, right behind `ASKING`. */
  send(client: ConnectionClient, command: Sending, isAsked: boolean): Promise<unknown>;
}

/** A command and how its reply is wanted. */
export interface Sending {
  readonly args: readonly Argument[];
  readonly options: SendOptions | undefined;
}

interface Command extends Sending {
  readonly key: string | undefined;
  /** How often it was sent on to somewhere else. */
  readonly hops: number;
}

/** A cluster that sends a command on and on has not settled; whoever sent it may try again. */
const MAX_HOPS = 16;

/**
 * Commands to the master of their key's slot, those of one slot in order. Where the slot has moved
 * they follow it.
 *
 * Not by `sendCommand` of the cluster client: it reaches the connection in a later turn only, without
 * asking whether that stands, and keeps the command if not.
 */
export class ClusterPort implements CommandPort {
  readonly #cluster: ClusterClient;
  readonly #clients: NodeClients;
  readonly #patience = new Patience();
  /** By the node that is asked, since one that does not answer must not hold up the others. */
  readonly #looking = new Map<string, Promise<unknown>>();
  readonly #listeners = new ConnectionListeners(
    () => this.#watch(),
    () => this.#unwatch(),
  );

  constructor(cluster: ClusterClient, clients: NodeClients) {
    this.#cluster = cluster;
    this.#clients = clients;
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    return this.#send({ args, options, key: firstKey(args), hops: 0 });
  }

  /** Where a command of this key would go now; nothing while it could not be sent at once. */
  clientFor(key: string): ConnectionClient | undefined {
    const node = this.#nodeFor(key);
    const client = node === undefined ? undefined : this.#clients.of(node);
    if (!(client instanceof Promise)) return client;
    // Whoever sends to it is told what came of it.
    client.catch(() => {});
    return undefined;
  }

  /** It is up while it is open. That one node can't be reached is said of each command. */
  onConnection(listener: (connection: Connection) => void): () => void {
    return this.#listeners.add(listener);
  }

  #watch(): Connection {
    keepListened(this.#cluster);
    this.#cluster.on('connect', this.#onConnect);
    this.#cluster.on('disconnect', this.#onDisconnect);
    return this.#cluster.masters.length > 0 ? 'up' : 'down';
  }

  #unwatch(): void {
    this.#cluster.off('connect', this.#onConnect);
    this.#cluster.off('disconnect', this.#onDisconnect);
  }

  readonly #onConnect = (): void => this.#listeners.tell('up');
  readonly #onDisconnect = (): void => this.#listeners.tell('closed');

  #nodeFor(key: string | undefined): ClusterNode | undefined {
    const { slots, masters } = this.#cluster;
    if (key !== undefined) return slots[slotOf(key)]?.master;
    const isReady = ({ client }: ClusterNode): boolean =>
      (client as ConnectionClient | undefined)?.isReady === true;
    return masters.find(isReady) ?? masters[0];
  }

  #send(command: Command): Promise<unknown> {
    const node = this.#nodeFor(command.key);
    const client = node === undefined ? undefined : this.#clients.of(node);
    if (client === undefined || command.hops > MAX_HOPS) return Promise.reject(notSent());
    if (client instanceof Promise) return this.#sendAfter(client, command);
    return this.#sendOn(client, command, false);
  }

  /** Those that wait for the same go on in the order in which they came. */
  async #sendAfter(coming: Promise<unknown>, command: Command): Promise<unknown> {
    await this.#patience.with(coming);
    return this.#send({ ...command, hops: command.hops + 1 });
  }

  #sendOn(client: ConnectionClient, command: Command, isAsked: boolean): Promise<unknown> {
    return this.#clients
      .send(client, command, isAsked)
      .catch((error: unknown) => this.#follow(error, command));
  }

  /** `MOVED slot host:port` and `ASK slot host:port` say that the command did not run. */
  #follow(error: unknown, command: Command): Promise<unknown> {
    if (!(error instanceof Error)) throw error;
    if (error.message.startsWith('MOVED ')) return this.#sendAfter(this.#look(command), command);
    if (!error.message.startsWith('ASK ')) throw error;
    const address = error.message.slice(error.message.lastIndexOf(' ') + 1);
    return this.#ask(address, { ...command, hops: command.hops + 1 });
  }

  #ask(address: string, command: Command): Promise<unknown> {
    const node = this.#cluster.nodeByAddress.get(address);
    const client = node === undefined ? undefined : this.#clients.of(node);
    if (client === undefined || command.hops > MAX_HOPS) return Promise.reject(notSent());
    if (client instanceof Promise)
      return this.#patience
        .with(client)
        .then(() => this.#ask(address, { ...command, hops: command.hops + 1 }));
    // Nothing comes between the two: they are queued in one go.
    sendUnobserved(client, ['ASKING'], optionsOfOurs(client)).catch(() => {});
    return this.#sendOn(client, command, true);
  }

  /**
   * Has the cluster client find out who owns which slot. It does when it is told MOVED, which this
   * command is too unless it knows already; it changes nothing, however late it may run.
   *
   * Sends: TYPE.
   */
  #look({ key = '' }: Command): Promise<unknown> {
    const address = this.#nodeFor(key)?.address ?? '';
    const known = this.#looking.get(address);
    if (known !== undefined) return known;
    const looking = this.#cluster
      .sendCommand(key, false, ['TYPE', key], { timeout: 0 })
      .finally(() => {
        this.#looking.delete(address);
        this.#clients.changed();
      });
    this.#looking.set(address, looking);
    return looking;
  }
}

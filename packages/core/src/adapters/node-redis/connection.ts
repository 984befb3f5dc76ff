import { errorMonitor } from 'node:events';
import { attach } from '../../attach.ts';
import type { Argument, Connection, SendOptions, TrackingPort } from '../../ports.ts';
import type { TrackingOptions } from '../../tracking/options.ts';
import type { TrackingSession } from '../../tracking/session.ts';
import type { TrackingCache } from '../../tracking-cache.ts';
import type { ConnectionClient } from './clients.ts';
import { type Answered, optionsOfOurs, sendOurs, sendUnobserved } from './command-hook.ts';
import { blocks } from './commands/blocking.ts';
import { markPushes } from './push-origin.ts';
import { Replacement } from './replacement.ts';

/** What the provider knows of the deployment and wants done. */
export interface ConnectionOwner {
  readonly engine: TrackingCache;
  readonly tracking: TrackingOptions;
  readonly isCluster: boolean;
  /** The client was closed. */
  forget(connection: ClientConnection): void;
  /** It is connected, perhaps again. */
  remember(connection: ClientConnection): void;
}

/**
 * One node-redis client that a cache has seen at work: alone, or inside a pool, a cluster or a
 * sentinel. Follows what its connection goes through, and which database it is in.
 *
 * Pushes are not heard here: node-redis hands them to the provider, marked as this connection's.
 */
export class ClientConnection implements TrackingPort {
  readonly client: ConnectionClient;
  readonly #owner: ConnectionOwner;
  readonly session: TrackingSession;
  readonly #replacement: Replacement;
  /** Of commands of ours. */
  readonly #options: object;
  #listener: ((connection: Connection) => void) | undefined;
  #database: number | undefined;
  #hasSelected = false;
  #blocking = 0;
  #isInTransaction = false;
  #isLeft = false;
  #overtakes = 0;
  #asked = 0;
  /** Our own commands that wait for the end of a transaction: in it they would be part of it. */
  readonly #deferred: (() => void)[] = [];

  constructor(client: ConnectionClient, owner: ConnectionOwner) {
    this.client = client;
    this.#owner = owner;
    this.#options = optionsOfOurs(client);
    this.#database = client.options.database ?? 0;
    this.#replacement = new Replacement(client, owner.engine.clock, () => this.#end('lost'));
    // Before those of its user, since what one of them throws keeps the others from hearing.
    client.prependListener('ready', this.#onReady);
    // A monitor hears errors before the listeners do, and is none itself: without any listener the
    // process ends as its owner expects, or goes on with nothing served from before.
    client.on(errorMonitor, this.#onError);
    client.prependListener('end', this.#onEnd);
    client.prependListener('terminated', this.#onGivenUp);
    // First, since what is sent from now on is sent by a client that is known.
    owner.remember(this);
    this.session = attach(owner.engine, this, owner.tracking).session;
    markPushes(client, this);
  }

  /**
   * The database that replies are from. None while they say nothing that may be kept: they may be
   * `QUEUED`, or a database is being selected.
   */
  get database(): number | undefined {
    return this.#isInTransaction || this.#isLeft ? undefined : this.#database;
  }

  get cluster(): boolean {
    return this.#owner.isCluster;
  }

  get blocked(): boolean {
    return this.#blocking > 0 || this.#isInTransaction;
  }

  /** How many commands were sent that overtake others: whoever counts on an order compares it. */
  get overtakes(): number {
    return this.#overtakes;
  }

  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    // Whenever tracking begins anew, the connection may have been reset: node-redis then selects
    // the database of its options, or one that was selected since, by how it came to it.
    if (this.#hasSelected && args[1] === 'TRACKING') this.#settleDatabase();
    if (!this.#isInTransaction) return this.#send(args, options);
    return new Promise((resolve, reject) => {
      this.#deferred.push(() => this.#send(args, options).then(resolve, reject));
    });
  }

  #send(args: readonly Argument[], options: SendOptions | undefined): Promise<unknown> {
    if (options === undefined) return sendUnobserved(this.client, args, this.#options);
    return sendOurs(this.client, args, options);
  }

  onPush(): () => void {
    return () => {};
  }

  onConnection(listener: (connection: Connection) => void): () => void {
    this.#listener = listener;
    listener(this.client.isReady && !this.#isLeft ? 'up' : 'down');
    return () => {
      this.#listener = undefined;
    };
  }

  replace(): void {
    this.#replacement.begin();
  }

  /** Its client monitors from now on and gets every reply, so nothing may be asked here until its reset. */
  leave(): void {
    this.#isLeft = true;
    this.#listener?.('down');
  }

  /** A command of the user's is about to be sent; answers what to call when it was answered. */
  sending(args: readonly (string | Buffer)[], options: object | undefined): Answered | undefined {
    if (options !== undefined && (options as { asap?: boolean }).asap === true)
      this.#overtakes += 1;
    if (blocks(args)) return this.#block();
    const [name] = args;
    // The names that matter are short, and this runs for every command.
    if (name === undefined || name.length > LONGEST_STATE_COMMAND) return undefined;
    switch (typeof name === 'string' && name.charCodeAt(0) < LOWER_CASE ? name : upper(name)) {
      case 'SELECT':
        return this.#select();
      case 'RESET':
        return this.resetting();
      case 'HELLO':
        return () => {
          // By RESP2 nothing is pushed, so that the server may have refused to track it until now.
          this.session.dispatch({ is: 'retry' });
          void this.session.check();
        };
      case 'CLIENT':
        // Perhaps that switched tracking off.
        return isNamed(args[1], 'TRACKING') ? () => void this.session.check() : undefined;
      case 'MULTI':
        return this.#beginTransaction();
      case 'EXEC':
      case 'DISCARD':
        this.#endTransaction();
        return undefined;
      default:
        return undefined;
    }
  }

  /** Nothing of ours is sent until it ends, so a connection in one is not found silent. */
  #beginTransaction(): Answered {
    const isNested = this.#isInTransaction;
    this.#isInTransaction = true;
    return (outcome) => {
      if (outcome instanceof Error && !isNested) this.#endTransaction();
    };
  }

  #endTransaction(): void {
    this.#isInTransaction = false;
    // Behind the command that ends it, which is about to be queued.
    if (this.#deferred.length > 0)
      queueMicrotask(() => {
        for (const send of this.#deferred.splice(0)) send();
      });
  }

  /** A transaction of node-redis's own may select a database as well. */
  sendingAll(
    commands: readonly { readonly args: readonly (string | Buffer)[] }[],
  ): Answered | undefined {
    const selects = commands.some(({ args }) => isNamed(args[0], 'SELECT'));
    const settle = selects ? this.#select() : undefined;
    // Those of a MULTI wait for nothing, those of a pipeline may.
    if (!commands.some(({ args }) => blocks(args))) return settle;
    const unblock = this.#block();
    return () => {
      unblock();
      settle?.();
    };
  }

  /** What was read in the database before is dropped, and nothing is kept until the answer is here. */
  #select(): () => void {
    this.#hasSelected = true;
    this.#changed();
    this.#forgetDatabase();
    return () => this.#settleDatabase();
  }

  /** RESET ends the transaction and the tracking, and goes back to the database 0. */
  resetting(): Answered {
    this.#hasSelected = true;
    this.#forgetDatabase();
    // Only when it has run: what is sent before belongs to the session that it ends.
    return () => {
      this.#endTransaction();
      if (!this.#isLeft) return this.#changed();
      // It ends the monitoring as well.
      this.#isLeft = false;
      if (this.client.isReady) this.#listener?.('up');
    };
  }

  /** What was asked about it before is answered before it changes. */
  #forgetDatabase(): void {
    this.#database = undefined;
    this.#asked += 1;
  }

  /** The server knows best: a SELECT may be refused, and be forgotten at a reconnect. */
  #settleDatabase(): void {
    this.#forgetDatabase();
    const asked = this.#asked;
    void this.#askDatabase().then((database) => {
      // Another SELECT may have followed.
      if (asked === this.#asked) this.#database = database;
    });
  }

  /** Sends: CLIENT INFO. */
  async #askDatabase(): Promise<number | undefined> {
    try {
      const database = / db=(\d+)/.exec(String(await this.send(['CLIENT', 'INFO'])))?.[1];
      return database === undefined ? undefined : Number(database);
    } catch {
      return undefined;
    }
  }

  #block(): () => void {
    this.#blocking += 1;
    return () => {
      this.#blocking -= 1;
    };
  }

  /** What the server tracks for this connection is not what was read there. */
  #changed(): void {
    this.session.dispatch({ is: 'changed' }); // guard: I2
  }

  readonly #onReady = (): void => {
    this.#owner.remember(this);
    this.#endTransaction();
    if (!this.#isLeft) this.#listener?.('up');
  };

  readonly #onError = (): void => {
    if (!this.client.isReady) this.#listener?.('down');
    // The connection stands, but what it sent could not be read: a push may have been in it.
    else this.#changed(); // guard: I1
  };

  readonly #onEnd = (): void => {
    if (this.#replacement.isUnderWay) this.#listener?.('down');
    else this.#end('closed');
  };

  readonly #onGivenUp = (): void => {
    if (this.#replacement.isUnderWay) this.#listener?.('down');
    else this.#end('lost');
  };

  /** Another one takes its place, so that its client is about to be closed. */
  abandon(): void {
    this.#end('lost');
  }

  /** Perhaps for good, so nobody but the client itself may hold on to it. It may connect again. */
  #end(how: 'closed' | 'lost'): void {
    this.#listener?.('down');
    this.#owner.engine.leaveSession(this.session, how); // guard: I12
    this.#owner.forget(this);
  }
}

const isNamed = (word: string | Buffer | undefined, name: string): boolean =>
  word?.length === name.length && upper(word) === name;

function upper(name: string | Buffer): string {
  return String(name).toUpperCase();
}

const LOWER_CASE = 0x61;

/** `DISCARD`. */
const LONGEST_STATE_COMMAND = 7;

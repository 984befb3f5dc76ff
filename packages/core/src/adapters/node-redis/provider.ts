import { BasicPooledClientSideCache, type createClient } from 'redis';
import { callSafely, channelOf } from '../../channels.ts';
import { ConfigError } from '../../errors.ts';
import { callback, flag, oneOf, optional, readOptions } from '../../options.ts';
import { isServerError } from '../../script.ts';
import type { EvictionCause } from '../../store/store.ts';
import { type TrackingOptions, trackingReaders, trackingRules } from '../../tracking/options.ts';
import { createTrackingCache, type TrackingCache } from '../../tracking-cache.ts';
import { boundReaders, type TrackingCacheOptions } from '../../tracking-cache-options.ts';
import type { ConnectionClient } from './clients.ts';
import { type Answered, type CommandObserver, hookCommands, OBSERVER } from './command-hook.ts';
import { dependsOnKeysAlone } from './commands/cacheable.ts';
import { writtenKeys } from './commands/written-keys.ts';
import { ClientConnection, type ConnectionOwner } from './connection.ts';
import { type Call, Fetching, type FetchingOwner, isAsk } from './fetching.ts';
import { readMany } from './multi-get.ts';
import { pushOrigin } from './push-origin.ts';
import { expectSocket, paceReads } from './read-pacing.ts';
import { freezeReply, handOut, keep } from './replies/index.ts';
import { plainRest, type Signature, signatureOf, variantOf } from './signature.ts';

export interface ClientSideCacheOptions
  extends Omit<TrackingCacheOptions, 'clock' | 'onEvicted'>,
    TrackingOptions {
  /**
   * Answers false for commands that are not to be cached. `command`: its name in capitals; `keys`:
   * as sent. One that throws is reported on `redcache:callback-error` and counts as false.
   */
  readonly cacheable?: (command: string, keys: readonly string[]) => boolean;
  /**
   * `'copy'` (default): what a caller gets is his own, to change as he likes. `'frozen'`: all get the
   * same, deeply frozen, which makes a hit of a large reply much cheaper.
   */
  readonly values?: 'copy' | 'frozen';
  /**
   * After a write through any client that shares this cache has resolved, every later read through
   * any of them sees it or something newer, whatever connections the two used; default true.
   */
  readonly readYourWrites?: boolean;
  /**
   * When the server does not track a connection (an ACL, a provider without it): `'bypass'` (default)
   * reads past the cache and says so once on `redcache:unsupported`; `'throw'` rejects cacheable
   * reads with a `ConfigError`.
   */
  readonly onUnsupported?: 'bypass' | 'throw';
}

/** Recognises our provider whatever copy of the package made it. */
const BRAND: unique symbol = Symbol.for('redcache.client-side-cache') as never;

type Base = InstanceType<typeof BasicPooledClientSideCache>;
type CacheStats = ReturnType<Base['stats']>;
type Client = Call['client'];
type Parser = Call['parser'];

/** node-redis's own channels for caches, which its users may be listening to. */
const requests = channelOf('node-redis:cache:request');
const evictions = channelOf('node-redis:cache:eviction');

/** Our causes in node-redis's words; others it has none for. */
const EVICTION_REASONS: Partial<Record<EvictionCause, 'full' | 'ttl' | 'invalidation'>> = {
  size: 'full',
  bytes: 'full',
  ttl: 'ttl',
  invalidation: 'invalidation',
  flush: 'invalidation',
  // With node-redis's own they leave a little later, by the push that follows.
  'own-write': 'invalidation',
};

/**
 * What node-redis takes as `clientSideCache`: hands every cacheable read to the engine, and the
 * connection's pushes and losses too.
 *
 * It extends node-redis's own provider because node-redis checks with `instanceof` that it was given
 * one, and replaces what is not the pooled kind when a pool is made.
 */
export class ClientSideCache
  extends BasicPooledClientSideCache
  implements CommandObserver, ConnectionOwner, FetchingOwner
{
  readonly engine: TrackingCache;
  readonly tracking: TrackingOptions;
  /** The default mode is the only one in which others than this adapter can rely on every push. */
  readonly isPlain: boolean;
  readonly #cacheable: ClientSideCacheOptions['cacheable'];
  readonly isFrozen: boolean;
  readonly #fencesWrites: boolean;
  readonly #throwsUnsupported: boolean;
  readonly #connections = new Map<object, ClientConnection>();
  /** Calls that were redirected by ASK: what they bring comes from a node that does not own the slot. */
  readonly #asked = new WeakSet<Parser>();
  /** Clients of clusters that only ask for the slots. */
  readonly #askers = new WeakSet<object>();
  /** Every one that was made, for as long as its client lives: it knows the database selected. */
  readonly #known = new WeakMap<object, ClientConnection>();
  /** Clients that say when they make another socket. */
  readonly #reconnecting = new WeakSet<object>();
  #last: ClientConnection | undefined;
  #isCluster = false;
  readonly #pacing = paceReads();
  readonly #onPoolClosed = new Set<() => void>();
  /** What had been counted when the statistics began anew. */
  #countedBefore: CacheStats = super.stats();

  constructor(options: ClientSideCacheOptions = {}) {
    super({ recordStats: false });
    Object.defineProperty(this, BRAND, { value: true });
    Object.defineProperty(this, OBSERVER, { value: this });
    const read = readOptions('clientSideCache', options, {
      ...boundReaders,
      ...trackingReaders,
      cacheable: callback<NonNullable<ClientSideCacheOptions['cacheable']>>(),
      values: optional(oneOf('copy', 'frozen'), 'copy'),
      readYourWrites: optional(flag, true),
      onUnsupported: optional(oneOf('bypass', 'throw'), 'bypass'),
    });
    const rules = trackingRules(read);
    if (rules.noLoop && !read.readYourWrites)
      throw new ConfigError(
        'clientSideCache: noLoop needs readYourWrites: the server does not say when own writes ' +
          'make copies outdated, so they have to be fenced here',
      );
    const { mode, noLoop, maxStaleness, replaceSilent } = options;
    this.tracking = { ...defined({ mode, noLoop, maxStaleness, replaceSilent }) };
    this.isPlain = rules.mode === 'default' && !rules.noLoop;
    this.#cacheable = read.cacheable;
    this.isFrozen = read.values === 'frozen';
    this.#fencesWrites = read.readYourWrites;
    this.#throwsUnsupported = read.onUnsupported === 'throw';
    const { maxEntries, maxBytes, ttl, negativeTtl, ttlJitter, store } = options;
    this.engine = createTrackingCache({
      ...defined({ maxEntries, maxBytes, ttl, negativeTtl, ttlJitter, store }),
      onEvicted: (cause, count) => {
        const reason = EVICTION_REASONS[cause];
        if (reason !== undefined && evictions.hasSubscribers) evictions.publish({ reason, count });
      },
    });
    hookCommands();
  }

  get isCluster(): boolean {
    return this.#isCluster;
  }

  /** The connection of a client that uses this cache. */
  connectionOf(client: ConnectionClient): ClientConnection {
    // Nearly always it is the one of the call before.
    if (this.#last?.client === client) return this.#last;
    const connection =
      this.#connections.get(client) ??
      this.#known.get(client) ??
      new ClientConnection(client, this);
    this.#last = connection;
    return connection;
  }

  remember(connection: ClientConnection): void {
    this.#known.set(connection.client, connection);
    this.#connections.set(connection.client, connection);
  }

  forget(connection: ClientConnection): void {
    this.#connections.delete(connection.client);
    if (this.#last === connection) this.#last = undefined;
  }

  connecting(client: object): void {
    expectSocket();
    if (this.#reconnecting.has(client)) return;
    this.#reconnecting.add(client);
    (client as ConnectionClient).prependListener('reconnecting', expectSocket);
  }

  /** Tracked from the start, so that one that falls silent is noticed before it is first used. */
  connected(client: object): void {
    // By then a client that is made to ask for the slots has asked.
    setImmediate(() => {
      const { isReady } = client as ConnectionClient;
      if (isReady && !this.#askers.has(client)) this.connectionOf(client as ConnectionClient);
    });
  }

  monitoring(client: object): void {
    this.connectionOf(client as ConnectionClient).leave();
  }

  resetting(client: object): Answered {
    return this.connectionOf(client as ConnectionClient).resetting();
  }

  sending(
    client: object,
    args: readonly (string | Buffer)[],
    options: object | undefined,
  ): Answered | undefined {
    // A cluster asks for its slots on connections of their own, which are closed at once.
    if (args[0] === 'CLUSTER' && !this.#connections.has(client)) {
      this.#askers.add(client);
      return undefined;
    }
    const settle = this.connectionOf(client as ConnectionClient).sending(args, options);
    if (!this.#fencesWrites) return settle;
    const written = writtenKeys(args);
    if (written === 'none') return settle;
    return this.#fence(written, settle);
  }

  sendingAll(
    client: object,
    commands: readonly { readonly args: readonly (string | Buffer)[] }[],
  ): Answered | undefined {
    const settle = this.connectionOf(client as ConnectionClient).sendingAll(commands);
    if (!this.#fencesWrites) return settle;
    const keys = new Set<string>();
    for (const { args } of commands) {
      const written = writtenKeys(args);
      if (written === 'all') return this.#fence('all', settle);
      if (written !== 'none') for (const key of written) keys.add(key);
    }
    return keys.size === 0 ? settle : this.#fence([...keys], settle);
  }

  /** I6: at issue, since a read behind the write must not get what was here before it; and at reply. */
  #fence(keys: readonly string[] | 'all', settle: Answered | undefined): Answered {
    const { engine } = this;
    engine.wrote(keys); // guard: I6
    return (outcome) => {
      engine.wrote(keys); // guard: I6
      settle?.(outcome);
    };
  }

  /** A hit is answered at once, without a promise of ours. Anything else: {@link Fetching}. */
  override handleCache(
    client: Client,
    parser: Parser,
    send: Call['send'],
    transformReply: Call['transformReply'],
    typeMapping: Call['typeMapping'],
  ): Promise<unknown> {
    const args = parser.redisArgs;
    const connection = this.connectionOf(client as unknown as ConnectionClient);
    const { database } = connection;
    if (database === undefined || !this.#mayCache(parser))
      return bypass({ client, parser, send, transformReply, typeMapping });
    const variant = variantOf(database, typeMapping, transformReply, parser.preserve);
    const isMany = args[0] === 'MGET' && transformReply === undefined;
    const rest =
      variant === undefined || isMany ? undefined : plainRest(args, parser.keys, variant);
    if (rest !== undefined) {
      const entry = this.engine.lookup(args[1] as string, rest);
      // node-redis awaits what it gets, so a hit costs no promise here.
      if (entry !== undefined) return this.#hit(client, entry.value) as Promise<unknown>;
    }
    // Whatever only a miss needs is made from here on.
    const call: Call = { client, parser, send, transformReply, typeMapping };
    // node-redis says what is wrong with arguments that are none.
    if (variant === undefined || !args.every(isArgument)) return bypass(call);
    if (isMany) return this.#readMany(call, connection, variant);
    const signature = signatureOf(args, parser.keys, variant);
    if (rest === undefined) {
      const entry =
        signature.rest === undefined
          ? this.engine.lookupReply(signature.whole)
          : this.engine.lookup(signature.keys[0] as string, signature.rest);
      if (entry !== undefined) return this.#hit(client, entry.value) as Promise<unknown>;
    }
    return this.#read(call, connection, signature);
  }

  #hit(client: Client, kept: unknown): unknown {
    if (requests.hasSubscribers) requests.publish({ result: 'hit', clientId: client._clientId });
    return handOut(kept);
  }

  #read(call: Call, connection: ClientConnection, signature: Signature): Promise<unknown> {
    const { client, parser } = call;
    if (requests.hasSubscribers) requests.publish({ result: 'miss', clientId: client._clientId });
    if (this.#asked.has(parser)) return bypass(call); // guard: I2
    const { session } = connection;
    if (this.#throwsUnsupported && session.state.is === 'untracked')
      return Promise.reject(untracked(session.state.reason));
    // Nothing would be kept, nor may be shared.
    if (session.source === undefined) return bypass(call);
    const { keys, whole, rest } = signature;
    const joined = this.engine.join(whole);
    if (joined !== undefined)
      return joined.then(handOut, (error) => {
        if (isAsk(error)) this.#asked.add(parser);
        // Whoever led ran out of patience, or lost his connection: this one has his own.
        else if (!isServerError(error)) return this.#read(call, connection, signature);
        throw error;
      });
    const leading = this.engine.lead(keys, whole, session, rest);
    new Fetching(this, call, connection, leading);
    return leading.promise;
  }

  async #readMany(call: Call, connection: ClientConnection, variant: string): Promise<unknown> {
    const { client, parser, send } = call;
    if (this.#asked.has(parser)) return await bypass(call); // guard: I2
    const { state } = connection.session;
    if (this.#throwsUnsupported && state.is === 'untracked') throw untracked(state.reason);
    try {
      return await readMany({
        engine: this.engine,
        connection,
        keys: parser.keys,
        variant,
        keep: (value) => this.keep(value),
        sendAll: send as () => Promise<unknown>,
        onResult: (result) => {
          if (requests.hasSubscribers) requests.publish({ result, clientId: client._clientId });
        },
      });
    } catch (error) {
      if (isAsk(error)) this.#asked.add(parser); // guard: I2
      throw error;
    }
  }

  asked(parser: Parser): void {
    this.#asked.add(parser);
  }

  keep(value: unknown): unknown {
    return this.isFrozen ? freezeReply(value) : keep(value);
  }

  #mayCache(parser: Parser): boolean {
    if (parser.keys.length === 0 || !dependsOnKeysAlone(parser.redisArgs)) return false;
    const cacheable = this.#cacheable;
    if (cacheable === undefined) return true;
    let may = false;
    callSafely('cacheable', () => {
      may = cacheable(String(parser.redisArgs[0]).toUpperCase(), parser.keys.map(String));
    });
    return may;
  }

  /**
   * Called inside every handshake. Tracking is switched on by our session, where a refusal fails no
   * `connect()`. `client.reset()` comes by here too, and the server has then forgotten the tracking.
   */
  override trackingOn(): string[] {
    for (const { session } of this.#connections.values()) void session.check();
    return ['HELLO'];
  }

  override invalidate(key: Buffer | string | null): void {
    this.#pacing.pushed();
    const origin = pushOrigin();
    const session = origin instanceof ClientConnection ? origin.session : undefined;
    this.engine.invalidate(key === null ? 'all' : [String(key)], session);
    // What a listener throws would end the parsing of the chunk, and lose the replies behind the push.
    callSafely('invalidate', () => this.emit('invalidate', key));
  }

  /** As with node-redis's own: its statistics begin anew, but for `clear(false)`. The engine's go on. */
  override clear(resetStats: boolean = true): void {
    this.engine.clear();
    if (resetStats) this.#countedBefore = this.#counted();
  }

  /** Only clusters do: before they ask who owns which slot, and {@link clear} comes with it. */
  override disable(): void {
    this.#isCluster = true;
  }

  override enable(): void {}

  // Each connection is followed by itself, and these do not say whose they are.
  override onError(): void {}
  override onClose(): void {}

  /** Of a pool, a cluster or a sentinel; which one it does not say, and it need not be closed yet. */
  override onPoolClose(): void {
    for (const closed of [...this.#onPoolClosed]) queueMicrotask(closed);
  }

  /** Calls back whenever some pool has been closed. Answers how to stop. */
  onPoolClosed(closed: () => void): () => void {
    this.#onPoolClosed.add(closed);
    return () => this.#onPoolClosed.delete(closed);
  }

  override size(): number {
    return this.engine.stats().entries;
  }

  /** In node-redis's own shape and meaning; `trackingOf(client).stats()` says more. */
  override stats(): CacheStats {
    return this.#counted().minus(this.#countedBefore);
  }

  /** Copies that left because their key changed count as no evictions there. */
  #counted(): CacheStats {
    const { hits, misses, loads, failedLoads, loadMs, evictions: causes } = this.engine.stats();
    const { size, bytes, ttl, flush, disconnect } = causes;
    const empty = super.stats();
    return Object.assign(Object.create(Object.getPrototypeOf(empty)), {
      ...empty,
      hitCount: hits,
      missCount: misses,
      loadSuccessCount: loads - failedLoads,
      loadFailureCount: failedLoads,
      totalLoadTime: loadMs,
      evictionCount: size + bytes + ttl + flush + disconnect,
    }) as CacheStats;
  }
}

const isArgument = (argument: unknown): boolean =>
  typeof argument === 'string' || Buffer.isBuffer(argument);

/** As if there were no cache. */
async function bypass({ parser, send, transformReply, typeMapping }: Call): Promise<unknown> {
  const reply = await send();
  return transformReply ? transformReply(reply, parser.preserve, typeMapping) : reply;
}

function untracked(reason: unknown): ConfigError {
  return new ConfigError('clientSideCache: the server does not track this connection', {
    cause: reason,
  });
}

/** Options that were left out stay left out. */
function defined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/**
 * The drop-in cache for node-redis: give what it answers as `clientSideCache` to `createClient`,
 * `createClientPool`, `createCluster` or `createSentinel` (with RESP 3, node-redis's default). From
 * then on cacheable reads are served from this process until Redis says that they changed.
 *
 * Sends: on each connection that is used what `attach` says; for each read that is not here the
 * command and its keys' remaining times, in one round trip.
 * Throws: `ConfigError` for bad options, or options that cannot be combined.
 */
export function clientSideCache(options?: ClientSideCacheOptions): ClientSideCache {
  return new ClientSideCache(options);
}

/**
 * The engine behind a client made with `clientSideCache: clientSideCache()`.
 *
 * Throws: `ConfigError` saying what to pass where, also when a second installed copy of
 * `@redis/client` made node-redis ignore the cache silently.
 */
export function trackingOf(client: TrackedClient): TrackingCache {
  const found = providerOf(client);
  if (found === undefined)
    throw new ConfigError(
      'this client has no redcache: pass clientSideCache: clientSideCache() from ' +
        "'@redcache/core/node-redis' to createClient, createClientPool (among the pool's own " +
        'options), createCluster or createSentinel. If you do, two copies of @redis/client are ' +
        'installed and node-redis ignored it: see `npm ls @redis/client`',
    );
  return found.engine;
}

/** The provider of ours that a client was made with, if it was. */
export function providerOf(client: TrackedClient): ClientSideCache | undefined {
  const cache = client.clientSideCache as ClientSideCache | undefined;
  return typeof cache === 'object' && cache !== null && BRAND in cache ? cache : undefined;
}

/** Any client of node-redis that shows its cache: a client, pool, cluster or sentinel. */
export type TrackedClient = Pick<ReturnType<typeof createClient>, 'clientSideCache'>;

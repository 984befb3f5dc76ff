import { BasicPooledClientSideCache, type createClient } from 'redis';
import { callSafely } from '../../channels.ts';
import { ConfigError } from '../../errors.ts';
import { type OptionReader, readOptions } from '../../options.ts';
import {
  boundReaders,
  createTrackingCache,
  type Fetched,
  type TrackingCache,
  type TrackingCacheOptions,
} from '../../tracking-cache.ts';
import { dependsOnKeysAlone } from './cacheable.ts';
import { copyReply, replyBytes, saysAbsent } from './reply.ts';

export interface ClientSideCacheOptions extends Omit<TrackingCacheOptions, 'clock'> {
  /**
   * Answers false for commands that are not to be cached. `command`: its name in capitals; `keys`:
   * as sent. One that throws is reported on `redcache:callback-error` and counts as false.
   */
  readonly cacheable?: (command: string, keys: readonly string[]) => boolean;
}

/** Recognises our provider whatever copy of the package made it. */
const BRAND: unique symbol = Symbol.for('redcache.client-side-cache') as never;

type Base = InstanceType<typeof BasicPooledClientSideCache>;
type HandleCache = Parameters<Base['handleCache']>;
type Client = HandleCache[0];
type Parser = HandleCache[1];

const cacheableOption: OptionReader<ClientSideCacheOptions['cacheable']> = (value, name) => {
  if (value !== undefined && typeof value !== 'function')
    throw new ConfigError(`${name} must be a function`);
  return value as ClientSideCacheOptions['cacheable'];
};

/**
 * What node-redis takes as `clientSideCache`: hands every cacheable read to the engine, and the
 * connection's pushes and losses too.
 *
 * It extends node-redis's own provider because node-redis checks with `instanceof` that it was given
 * one, and replaces what is not the pooled kind when a pool is made.
 */
export class ClientSideCache extends BasicPooledClientSideCache {
  readonly engine: TrackingCache;
  readonly #cacheable: ClientSideCacheOptions['cacheable'];

  constructor(options?: ClientSideCacheOptions) {
    super({ recordStats: false });
    Object.defineProperty(this, BRAND, { value: true });
    const { cacheable, ...bounds } = readOptions('clientSideCache', options, {
      ...boundReaders,
      cacheable: cacheableOption,
    });
    this.#cacheable = cacheable;
    this.engine = createTrackingCache(bounds);
  }

  /**
   * Sends: the command itself, then `PTTL` for each of its keys on the same connection, without
   * MULTI. The data command goes first: any write after it pushes, and a redirection flag of a
   * cluster is eaten by whatever comes first.
   */
  override async handleCache(...args: HandleCache): Promise<unknown> {
    const [client, parser, send, transformReply, typeMapping] = args;
    const transform = (reply: Awaited<ReturnType<typeof send>>): unknown =>
      transformReply ? transformReply(reply, parser.preserve, typeMapping) : reply;
    const keys = parser.keys.map(String);
    if (keys.length === 0 || !this.#mayCache(parser, keys)) return transform(await send());
    const fetch = async (): Promise<Fetched<unknown>> => {
      const [reply, ...ttls] = await Promise.all([send(), ...parser.keys.map(pttl(client))]);
      const value = transform(reply);
      return { value, cache: howLong(value, reply, ttls) };
    };
    return copyReply(await this.engine.read(keys, signatureOf(parser), fetch));
  }

  #mayCache(parser: Parser, keys: readonly string[]): boolean {
    if (!dependsOnKeysAlone(parser.redisArgs)) return false;
    const cacheable = this.#cacheable;
    if (cacheable === undefined) return true;
    let may = false;
    callSafely('cacheable', () => {
      may = cacheable(String(parser.redisArgs[0]).toUpperCase(), keys);
    });
    return may;
  }

  /** Called inside every handshake, before any queued command is sent. */
  override trackingOn(): string[] {
    this.engine.session.dispatch({ is: 'connected' });
    return ['CLIENT', 'TRACKING', 'ON'];
  }

  override invalidate(key: Buffer | string | null): void {
    this.engine.invalidate(key === null ? 'all' : [String(key)]);
    // What a listener throws would end the parsing of the chunk, and lose the replies behind the push.
    callSafely('invalidate', () => this.emit('invalidate', key));
  }

  override clear(): void {
    this.engine.clear();
  }

  override onError(): void {
    this.engine.session.dispatch({ is: 'disconnected' });
  }

  override onClose(): void {
    this.engine.session.dispatch({ is: 'disconnected' });
  }

  override onPoolClose(): void {
    this.engine.session.dispatch({ is: 'disconnected' });
  }

  override size(): number {
    return this.engine.stats().entries;
  }

  /** In node-redis's own shape; `trackingOf(client).stats()` says more. */
  override stats(): ReturnType<Base['stats']> {
    const { hits, misses, fills, refusedFills, evictions } = this.engine.stats();
    const evicted = Object.values(evictions).reduce((sum, each) => sum + each, 0);
    const empty = super.stats();
    return Object.assign(Object.create(Object.getPrototypeOf(empty)), {
      ...empty,
      hitCount: hits,
      missCount: misses,
      loadSuccessCount: fills + refusedFills,
      evictionCount: evicted,
    }) as ReturnType<Base['stats']>;
  }
}

/**
 * The drop-in cache for node-redis: give what it answers as `clientSideCache` to `createClient`
 * (with RESP 3, node-redis's default). From then on cacheable reads are served from this process
 * until Redis says that they changed.
 *
 * Sends: `CLIENT TRACKING ON` in each handshake; for each read that is not here the command and
 * `PTTL` for each key, in one round trip.
 * Throws: `ConfigError` for bad options.
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
  const found = tracking(client);
  if (found === undefined)
    throw new ConfigError(
      'this client has no redcache: pass clientSideCache: clientSideCache() from ' +
        "'@redcache/core/node-redis' to createClient. If you do, two copies of @redis/client are " +
        'installed and node-redis ignored it: see `npm ls @redis/client`',
    );
  return found;
}

/** The engine behind a client, if it has one. */
export function tracking(client: TrackedClient): TrackingCache | undefined {
  const cache = client.clientSideCache as ClientSideCache | undefined;
  return typeof cache === 'object' && cache !== null && BRAND in cache ? cache.engine : undefined;
}

/** Any client of node-redis that shows its cache. */
export type TrackedClient = Pick<ReturnType<typeof createClient>, 'clientSideCache'>;

const pttl =
  (client: Client) =>
  (key: string | Buffer): Promise<unknown> =>
    // No timeout: its abort timer costs more than the command, and `send` has the caller's own. No
    // type mapping: the client may want its numbers as text.
    client.sendCommand(['PTTL', key], { timeout: 0, typeMapping: {} }).catch(() => 'unknown');

/**
 * The whole command, so that no two different ones share it: each argument with its length, and
 * bytes told from text.
 */
function signatureOf(parser: Parser): string {
  let signature = '';
  for (const each of parser.redisArgs) {
    const text = typeof each === 'string' ? each : each.toString('latin1');
    signature += `${typeof each === 'string' ? 's' : 'b'}${text.length}:${text}`;
  }
  return signature;
}

/** `-1`: no expiry; `-2`: no such key. Anything but a number: the PTTL failed. */
function howLong(
  value: unknown,
  reply: unknown,
  ttls: readonly unknown[],
): Fetched<unknown>['cache'] {
  let remaining: number | 'none' = 'none';
  let missing = false;
  for (const ttl of ttls) {
    if (typeof ttl !== 'number') return 'uncacheable';
    if (ttl === -2) missing = true;
    else if (ttl >= 0) remaining = remaining === 'none' ? ttl : Math.min(remaining, ttl);
  }
  // The key may have ended between the command and its PTTL: then the reply is already outdated.
  if (missing && !saysAbsent(reply)) return 'uncacheable';
  return { kind: missing ? 'negative' : 'present', remaining, valueBytes: replyBytes(value) };
}

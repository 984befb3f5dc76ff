import type { FakeConnection } from './fake-connection.ts';
import { encode } from './resp.ts';

/** What a command came to: its reply, and the pushes it causes, its own included. */
export interface KeyspaceOutcome {
  readonly reply: Buffer;
  readonly pushes: readonly (readonly [FakeConnection, Buffer])[];
}

interface Stored {
  value: string;
  expiresAtMs: number | undefined;
}

const OK = encode.simple('OK');

/**
 * A few string commands and default-mode tracking as a server does them: reads track, also of
 * absence; a change tells each reader once and forgets it; the writer's own push follows its reply.
 * What reaches a client, and when, is up to its connection.
 */
export class FakeKeyspace {
  readonly #values = new Map<string, Stored>();
  readonly #readers = new Map<string, Set<FakeConnection>>();
  readonly #tracking = new Set<FakeConnection>();
  readonly #nowMs: () => number;

  constructor({ nowMs = () => performance.now() }: { nowMs?: () => number } = {}) {
    this.#nowMs = nowMs;
  }

  /** Runs a command for a client, or for somebody elsewhere; `undefined` if it is not known here. */
  run(words: readonly string[], by: FakeConnection | undefined): KeyspaceOutcome | undefined {
    const [name = '', ...args] = words;
    const [key = ''] = args;
    switch (name.toUpperCase()) {
      case 'CLIENT':
        return this.#client(args, by);
      case 'GET':
        return { reply: this.#read(key, by), pushes: [] };
      case 'MGET':
        return { reply: encode.array(...args.map((each) => this.#read(each, by))), pushes: [] };
      case 'PTTL':
        this.#track(key, by);
        return { reply: encode.integer(this.#remainingMs(key)), pushes: [] };
      case 'SET':
        return this.#set(args);
      case 'DEL':
      case 'UNLINK':
        return this.#delete(args);
      case 'PEXPIRE':
        return this.#expire(key, Number(args[1]));
      case 'FLUSHALL':
      case 'FLUSHDB':
        return this.#flush();
      default:
        return undefined;
    }
  }

  /** The connection is gone, and what it has read with it. */
  forget(connection: FakeConnection): void {
    this.#tracking.delete(connection);
    for (const readers of this.#readers.values()) readers.delete(connection);
  }

  #client(args: readonly string[], by: FakeConnection | undefined): KeyspaceOutcome | undefined {
    const [sub = '', state = ''] = args.map((word) => word.toUpperCase());
    if (by === undefined) return undefined;
    if (sub === 'TRACKINGINFO') return { reply: trackingInfo(this.#tracking.has(by)), pushes: [] };
    if (sub !== 'TRACKING') return undefined;
    if (state === 'ON' && args.length === 2) this.#tracking.add(by);
    else if (state === 'OFF') this.forget(by);
    else return { reply: encode.error('ERR only default tracking here'), pushes: [] };
    return { reply: OK, pushes: [] };
  }

  #set(args: readonly string[]): KeyspaceOutcome {
    const [key = '', value = '', ...options] = args;
    const upper = options.map((option) => option.toUpperCase());
    const after = (option: string): number | undefined =>
      upper.includes(option) ? Number(upper[upper.indexOf(option) + 1]) : undefined;
    const exists = this.#find(key) !== undefined;
    if (upper.includes('NX') ? exists : upper.includes('XX') && !exists)
      return { reply: encode.nil(), pushes: [] };
    const seconds = after('EX');
    const ttlMs = after('PX') ?? (seconds === undefined ? undefined : seconds * 1000);
    if (ttlMs !== undefined && !(ttlMs > 0))
      return { reply: encode.error("ERR invalid expire time in 'set' command"), pushes: [] };
    this.#values.set(key, {
      value,
      expiresAtMs: ttlMs === undefined ? undefined : this.#nowMs() + ttlMs,
    });
    return { reply: OK, pushes: this.#changed(key) };
  }

  #delete(keys: readonly string[]): KeyspaceOutcome {
    const found = keys.filter((key) => this.#find(key) !== undefined);
    for (const key of found) this.#values.delete(key);
    return {
      reply: encode.integer(found.length),
      pushes: found.flatMap((key) => this.#changed(key)),
    };
  }

  #expire(key: string, ttlMs: number): KeyspaceOutcome {
    const stored = this.#find(key);
    if (stored === undefined) return { reply: encode.integer(0), pushes: [] };
    if (ttlMs > 0) stored.expiresAtMs = this.#nowMs() + ttlMs;
    else this.#values.delete(key);
    return { reply: encode.integer(1), pushes: this.#changed(key) };
  }

  #flush(): KeyspaceOutcome {
    this.#values.clear();
    this.#readers.clear();
    return { reply: OK, pushes: [...this.#tracking].map((each) => [each, encode.flush()]) };
  }

  #read(key: string, by: FakeConnection | undefined): Buffer {
    this.#track(key, by);
    const stored = this.#find(key);
    return stored === undefined ? encode.nil() : encode.bulk(stored.value);
  }

  #track(key: string, by: FakeConnection | undefined): void {
    if (by === undefined || !this.#tracking.has(by)) return;
    const readers = this.#readers.get(key) ?? new Set();
    this.#readers.set(key, readers.add(by));
  }

  #changed(key: string): (readonly [FakeConnection, Buffer])[] {
    const readers = this.#readers.get(key) ?? [];
    this.#readers.delete(key);
    return [...readers].map((reader) => [reader, encode.invalidate(key)] as const);
  }

  #remainingMs(key: string): number {
    const stored = this.#find(key);
    if (stored === undefined) return -2;
    return stored.expiresAtMs === undefined ? -1 : Math.ceil(stored.expiresAtMs - this.#nowMs());
  }

  #find(key: string): Stored | undefined {
    const stored = this.#values.get(key);
    if (stored?.expiresAtMs === undefined || stored.expiresAtMs > this.#nowMs()) return stored;
    // Unlike a real server it tells nobody: an expiry push may come a minute late (or by then never).
    this.#values.delete(key);
    return undefined;
  }
}

function trackingInfo(isOn: boolean): Buffer {
  return encode.map(
    [encode.bulk('flags'), encode.array(encode.bulk(isOn ? 'on' : 'off'))],
    [encode.bulk('redirect'), encode.integer(isOn ? 0 : -1)],
    [encode.bulk('prefixes'), encode.array()],
  );
}

import type { Fetched } from '../../flight/fetched.ts';
import { isServerError } from '../../script.ts';
import type { TrackingCache } from '../../tracking-cache.ts';
import { sendUnobserved } from './command-hook.ts';
import type { ClientConnection } from './connection.ts';
import { remainingOf, remainingTimes } from './remaining.ts';
import { handOut, replyBytes } from './replies/index.ts';
import { SendOrder } from './send-order.ts';
import { type Signature, signatureOf } from './signature.ts';

type Key = string | Buffer;

/** An `MGET`, cached key by key. */
export interface ManyReading {
  readonly engine: TrackingCache;
  readonly connection: ClientConnection;
  readonly keys: readonly Key[];
  readonly variant: string;
  /** Makes what is stored of a value. */
  keep(value: unknown): unknown;
  /** Sends the command as its caller gave it, for all keys. */
  sendAll(): Promise<unknown>;
  /** Once for the call: were all keys here? */
  onResult(result: 'hit' | 'miss'): void;
}

/**
 * Answers `MGET` from what is known of each key, by whatever command it was read, and asks for the
 * others. A value is what `GET` answers, so the two share their copies.
 *
 * What is here is looked up again when the others have come: if one of them has changed meanwhile,
 * the values are of two moments, which `MGET` never mixes. Then all are read anew, in one command.
 *
 * Sends: nothing if all are here; else one `MGET` of those that neither are here nor are being
 * fetched, and their remaining times, in one round trip.
 */
export function readMany(reading: ManyReading): Promise<unknown> | unknown[] {
  const { engine, keys, variant } = reading;
  const found: unknown[] = new Array(keys.length);
  const missing: number[] = [];
  const places = keys.map((key) => signatureOf(['GET', key], [key], variant));
  for (const [i, { keys: names, rest }] of places.entries()) {
    const entry = engine.lookup(names[0] as string, rest);
    if (entry === undefined) missing.push(i);
    else found[i] = entry.value;
  }
  reading.onResult(missing.length === 0 ? 'hit' : 'miss');
  if (missing.length === 0) return found.map(handOut);
  return readMissing(reading, found, missing, places);
}

async function readMissing(
  reading: ManyReading,
  found: unknown[],
  missing: readonly number[],
  places: readonly Signature[],
): Promise<unknown> {
  const { engine, connection, keys } = reading;
  let hasFailedHere = false;
  const fetched = new Set<number>();
  const loaded = engine.loadMany(
    missing.map((i) => {
      const { keys: names, whole, rest } = places[i] as Signature;
      return { key: names[0] as string, signature: whole, rest: rest as string };
    }),
    async (led) => {
      const positions = led.map((at) => missing[at] as number);
      for (const position of positions) fetched.add(position);
      try {
        return await fetchMany(
          reading,
          positions.map((position) => keys[position] as Key),
        );
      } catch (error) {
        hasFailedHere = true;
        throw error;
      }
    },
    connection.session,
  );
  try {
    for (const [at, value] of (await Promise.all(loaded)).entries())
      found[missing[at] as number] = value;
  } catch (error) {
    // Whoever led a read that was joined ran out of patience, or lost his connection: this one has its own.
    if (hasFailedHere || isServerError(error)) throw error;
    return await readMissing(reading, found, missing, places);
  }
  const isOfOneMoment = places.every(
    ({ keys: [key], rest }, i) =>
      fetched.has(i) || engine.holds(key as string, rest as string, found[i]),
  );
  return isOfOneMoment ? found.map(handOut) : await reading.sendAll();
}

async function fetchMany(
  reading: ManyReading,
  keys: readonly Key[],
): Promise<readonly Fetched<unknown>[]> {
  const { connection } = reading;
  const order = new SendOrder(connection);
  const sent =
    keys.length === reading.keys.length
      ? reading.sendAll()
      : sendUnobserved(connection.client, ['MGET', ...keys]);
  const asked = remainingTimes(connection, keys);
  const reply = await sent;
  const { isTracked } = order;
  const times = await asked;
  return keys.map((_, i) => {
    const raw = (reply as readonly unknown[])[i];
    const value = reading.keep(raw);
    return { value, cache: isTracked ? howLong(raw, times[i]) : 'uncacheable' };
  });
}

/** `MGET` answers null for a key that holds another type as well: such a one is not kept. */
function howLong(raw: unknown, time: unknown): Fetched<unknown>['cache'] {
  const remaining = remainingOf([time]);
  if (remaining === 'unknown' || remaining.isMissing !== (raw === null)) return 'uncacheable'; // guard: I3
  const kind = remaining.isMissing ? 'negative' : 'present';
  return { kind, remaining: remaining.ms, valueBytes: replyBytes(raw) };
}

import { tagIn } from '../cluster/slot.ts';
import { TOPOLOGY_QUESTIONS, topologyOf } from '../cluster/topology.ts';
import type { TrackingPort } from '../ports.ts';
import { isServerError } from '../script.ts';
import type { TrackingRules } from './options.ts';

/** What came of switching tracking on. `gone`: the connection was lost meanwhile. */
export type HandshakeOutcome =
  | { readonly is: 'verified' }
  | { readonly is: 'unverifiable'; readonly reason: unknown }
  | { readonly is: 'refused'; readonly reason: unknown }
  | { readonly is: 'gone' };

export interface Handshake {
  readonly port: TrackingPort;
  readonly rules: TrackingRules;
  /** Unlike that of any other connection, so that its push can only be ours. */
  readonly probeId: string;
  /** Calls back at each push of the key; answers how to stop. */
  onPushOf(key: string, listener: () => void): () => void;
  /** The last `CLIENT TRACKING ON` was answered: what is read from now on is tracked. */
  onEnabled(): void;
  /**
   * The push is here, which is all that is to be known. It says so at once, so that who was answered
   * in the same chunk, and reads again, is answered from here; the outcome follows.
   */
  onProved(): void;
  /** How the cluster looked, as text to compare with. */
  onTopology(topology: string): void;
}

/** Long enough for a slow answer, short enough that nothing piles up. */
const PROBE_MS = '1000';

/**
 * Switches tracking on and sees to it that pushes arrive, since a proxy that swallows them would
 * leave every copy outdated for ever.
 *
 * Sends: `CLIENT TRACKING ON …`, in broadcast mode behind `CLIENT TRACKING OFF`, then `GET` and
 * `SET … PX 1000` of a key of its own (`redcache:probe:…`) and `CLIENT TRACKINGINFO`, all in one go,
 * so that reads sent right behind are tracked already; `PING` if no push came before the last
 * answer. In a cluster it first asks who the node is and how the cluster looks, since the key must be
 * one of the node's own.
 * Resolves: see {@link HandshakeOutcome}; it never rejects.
 */
export async function shakeHands(handshake: Handshake): Promise<HandshakeOutcome> {
  try {
    return await tryHandshake(handshake);
  } catch (reason) {
    return isServerError(reason) ? { is: 'refused', reason } : { is: 'gone' };
  }
}

async function tryHandshake(handshake: Handshake): Promise<HandshakeOutcome> {
  const { port } = handshake;
  if (port.cluster !== true) {
    const key = `redcache:probe:${handshake.probeId}`;
    const enabled = enable(handshake, key);
    return await prove(handshake, key, enabled);
  }
  const own = Promise.all([port.send(['CLUSTER', 'MYID']), askTopology(port)]);
  // The tag is known only after a round trip, and a prefix of broadcast mode has none.
  const enabled = enable(handshake, `redcache:probe:{`);
  own.catch(() => {});
  await enabled;
  const [id, topology] = await own;
  const [slots] = topology;
  handshake.onTopology(topologyOf(topology));
  const ranges = rangesOf(String(id), slots);
  const tag = ranges.length === 0 ? undefined : tagIn(ranges);
  if (tag === undefined) {
    if (handshake.rules.noLoop) handshake.onEnabled();
    return {
      is: 'unverifiable',
      reason: new Error('the node owns no slots: a replica, or a new one'),
    };
  }
  return await prove(handshake, `redcache:probe:{${tag}}:${handshake.probeId}`, enabled);
}

/** Without the slots there is no key to prove anything with; of the others one may be forbidden. */
function askTopology(port: TrackingPort): Promise<unknown[]> {
  return Promise.all(
    TOPOLOGY_QUESTIONS.map((question, i) => {
      const answer = port.send(question);
      return i === 0 ? answer : answer.catch(onlyServerErrors);
    }),
  );
}

/** Own writes are still pushed back while the probe is under way; see {@link prove}. */
function enable({ port, rules, onEnabled }: Handshake, probe: string): Promise<void> {
  // Prefixes add up, and the server refuses one that it has already from a handshake before.
  if (typeof rules.mode === 'object') port.send(['CLIENT', 'TRACKING', 'OFF']).catch(() => {});
  const enabled = port.send(trackingOn(rules, probe)).then(() => {
    if (!rules.noLoop) onEnabled();
  });
  enabled.catch(() => {});
  return enabled;
}

function trackingOn({ mode }: TrackingRules, probe: string): string[] {
  const on = ['CLIENT', 'TRACKING', 'ON'];
  if (mode === 'default') return on;
  if (mode === 'optin') return [...on, 'OPTIN'];
  // Prefixes must not overlap: where one of them covers the probe already, it needs none of its own.
  const covered = mode.broadcast.some((prefix) => probe.startsWith(prefix));
  const prefixes = covered ? mode.broadcast : [...mode.broadcast, probe];
  return [...on, 'BCAST', ...prefixes.flatMap((prefix) => ['PREFIX', prefix])];
}

async function prove(
  handshake: Handshake,
  key: string,
  enabled: Promise<void>,
): Promise<HandshakeOutcome> {
  const { port, rules } = handshake;
  let seen = false;
  const stop = handshake.onPushOf(key, () => {
    seen = true;
    if (!rules.noLoop) enabled.then(() => handshake.onProved()).catch(() => {});
  });
  try {
    if (rules.mode === 'optin') port.send(['CLIENT', 'CACHING', 'YES']).catch(() => {});
    port.send(['GET', key]).catch(() => {});
    const written = port.send(['SET', key, '1', 'PX', PROBE_MS]);
    written.catch(() => {});
    const rounded = port.send(['CLIENT', 'TRACKINGINFO']).catch(onlyServerErrors);
    rounded.catch(() => {});
    await enabled;
    const refusal = await written.then(() => undefined, onlyServerErrors);
    await rounded;
    // Where own writes are not to be pushed, they are only after the probe has been. Not before that
    // is anything kept: should somebody have switched tracking off meanwhile, this would hide it.
    if (rules.noLoop) {
      await port.send([...trackingOn(rules, key), 'NOLOOP']);
      handshake.onEnabled();
    }
    if (refusal !== undefined) return { is: 'unverifiable', reason: refusal }; // guard: T5
    // In broadcast mode the server pushes at the end of its turn, behind the answers of that turn.
    if (!seen) await port.send(['PING']).catch(onlyServerErrors);
    if (seen) return { is: 'verified' };
    const reason = new Error(
      'pushes do not arrive: something between here and the server drops them',
    );
    return { is: 'refused', reason };
  } finally {
    stop(); // guard: I14
  }
}

/** A server that refuses the command has answered all the same. */
function onlyServerErrors(error: unknown): unknown {
  if (isServerError(error)) return error;
  throw error;
}

/** The slots that the node with this id is the master of. */
function rangesOf(id: string, slots: unknown): (readonly [number, number])[] {
  if (!Array.isArray(slots)) return [];
  return slots
    .filter((range) => String(range?.[2]?.[2]) === id)
    .map((range) => [Number(range[0]), Number(range[1])] as const);
}

/** Whether the answer to `CLIENT TRACKINGINFO` says that the connection is no longer tracked. */
export function saysUntracked(info: unknown): boolean {
  const flags =
    info instanceof Map
      ? info.get('flags')
      : Array.isArray(info)
        ? info[info.indexOf('flags') + 1]
        : (info as { flags?: unknown } | null)?.flags;
  const names = flags instanceof Set ? [...flags] : flags;
  return Array.isArray(names) && names.some((flag) => String(flag) === 'off');
}

import type { Contender, Standing } from '../panel.ts';
import type { Library, Pace, Peer, WaitingPeer } from './locker.ts';

/** One row of a benchmark of locks. */
export interface Contestant extends Contender {
  readonly library: Library;
  readonly pace: Pace;
}

export const NAMES: Readonly<Record<Library, string>> = {
  raw: 'SET NX PX, compare and delete',
  redcache: 'redcache',
  redlock: 'redlock',
  sesamecare: '@sesamecare-oss/redlock',
  'redis-semaphore': 'redis-semaphore',
  'redlock-universal': 'redlock-universal',
  'simple-redis-mutex': 'simple-redis-mutex',
};

const TUNED: Readonly<Record<WaitingPeer, string>> = {
  redlock: 'every 10 ms',
  sesamecare: 'every 10 ms',
  'redis-semaphore': 'every 2 ms',
  'redlock-universal': 'every 10 ms',
};
const WAITING_PEERS = Object.keys(TUNED) as WaitingPeer[];
export const PEERS: readonly Peer[] = [...WAITING_PEERS, 'simple-redis-mutex'];

const STANDINGS: Readonly<Partial<Record<Library, Standing>>> = { raw: 'limit', redcache: 'ours' };
const standingOf = (library: Library): Standing => STANDINGS[library] ?? 'peer';

export const contestantOf = (library: Library): Contestant => ({
  name: NAMES[library],
  standing: standingOf(library),
  library,
  pace: 'default',
});

/** Who can wait; the peers as they come, and asking more often. Ours is the first. */
export const WAITING: readonly [Contestant, ...Contestant[]] = [
  contestantOf('redcache'),
  ...WAITING_PEERS.flatMap((peer): readonly Contestant[] => [
    contestantOf(peer),
    { name: `${NAMES[peer]}, ${TUNED[peer]}`, standing: 'peer', library: peer, pace: 'tuned' },
  ]),
];

/** The first once more, which shows how far it is from itself. */
export const twice = (
  contestants: readonly [Contestant, ...Contestant[]],
): readonly Contestant[] => [...contestants, contestants[0]];

/** What a role that locks is told, before what is its own. */
export const argumentsOf = (
  { library, pace }: Contestant,
  url: string,
  namespace: string,
): readonly string[] => [library, pace, url, namespace];

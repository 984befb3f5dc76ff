import { type Library, type Pace, PEERS, type Peer } from './locker.ts';

/** One row of a benchmark of locks. */
export interface Contestant {
  readonly name: string;
  readonly library: Library;
  readonly pace: Pace;
}

export const NAMES: Readonly<Record<Library, string>> = {
  raw: 'SET NX PX, compare and delete',
  redcache: 'redcache',
  redlock: 'redlock',
  sesamecare: '@sesamecare-oss/redlock',
  'redis-semaphore': 'redis-semaphore',
};

const TUNED: Readonly<Record<Peer, string>> = {
  redlock: 'every 10 ms',
  sesamecare: 'every 10 ms',
  'redis-semaphore': 'every 2 ms',
};

export const contestantOf = (library: Library): Contestant => ({
  name: NAMES[library],
  library,
  pace: 'default',
});

/** Who can wait; the peers as they come, and asking more often. Ours is the first. */
export const WAITING: readonly [Contestant, ...Contestant[]] = [
  contestantOf('redcache'),
  ...PEERS.flatMap((peer): readonly Contestant[] => [
    contestantOf(peer),
    { name: `${NAMES[peer]}, ${TUNED[peer]}`, library: peer, pace: 'tuned' },
  ]),
];

/** What a role that locks is told, before what is its own. */
export const argumentsOf = (
  { library, pace }: Contestant,
  url: string,
  namespace: string,
): readonly string[] => [library, pace, url, namespace];

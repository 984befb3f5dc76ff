import type { Scenario } from './scenario.ts';
import { clientHit } from './scenarios/client-hit.ts';
import { clientMiss } from './scenarios/client-miss.ts';
import { coldMiss } from './scenarios/cold-miss.ts';
import { getMany } from './scenarios/get-many.ts';
import { hit } from './scenarios/hit.ts';
import { invalidation } from './scenarios/invalidation.ts';
import { locksAcross } from './scenarios/locks-across.ts';
import { locksHandOver } from './scenarios/locks-hand-over.ts';
import { locksIdle } from './scenarios/locks-idle.ts';
import { locksInProcess } from './scenarios/locks-in-process.ts';
import { locksUncontended } from './scenarios/locks-uncontended.ts';
import { memory } from './scenarios/memory.ts';
import { modes } from './scenarios/modes.ts';
import { multi } from './scenarios/multi.ts';
import { redisHit } from './scenarios/redis-hit.ts';
import { stampede } from './scenarios/stampede.ts';
import { storm } from './scenarios/storm.ts';
import { trackingTable } from './scenarios/tracking-table.ts';
import { trouble } from './scenarios/trouble.ts';
import { writes } from './scenarios/writes.ts';

/** All of them, in the order in which they are run: of caches, of clients, of both, of locks. */
export const SCENARIOS: readonly Scenario[] = [
  ...[hit, redisHit, coldMiss, stampede, getMany],
  ...[clientHit, clientMiss, multi, modes, writes],
  ...[invalidation, storm, trouble, memory, trackingTable],
  ...[locksUncontended, locksInProcess, locksAcross, locksHandOver, locksIdle],
];

import type { Scenario } from './scenario.ts';
import { client } from './scenarios/client.ts';
import { hit } from './scenarios/hit.ts';
import { invalidation } from './scenarios/invalidation.ts';
import { locksAcross } from './scenarios/locks-across.ts';
import { locksHandOver } from './scenarios/locks-hand-over.ts';
import { locksIdle } from './scenarios/locks-idle.ts';
import { locksInProcess } from './scenarios/locks-in-process.ts';
import { locksUncontended } from './scenarios/locks-uncontended.ts';
import { memory } from './scenarios/memory.ts';
import { miss } from './scenarios/miss.ts';
import { modes } from './scenarios/modes.ts';
import { multi } from './scenarios/multi.ts';
import { storm } from './scenarios/storm.ts';
import { trackingTable } from './scenarios/tracking-table.ts';
import { trouble } from './scenarios/trouble.ts';
import { writes } from './scenarios/writes.ts';

/** All of them, in the order in which they are run. */
export const SCENARIOS: readonly Scenario[] = [
  ...[hit, client, miss, multi, modes, writes],
  ...[invalidation, storm, trouble, memory, trackingTable],
  ...[locksUncontended, locksInProcess, locksAcross, locksHandOver, locksIdle],
];

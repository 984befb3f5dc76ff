import { contendersRole } from './roles/contenders.ts';
import { lockerRole } from './roles/locker.ts';
import { memoryRole } from './roles/memory.ts';
import { readerRole } from './roles/reader.ts';
import { stormRole } from './roles/storm.ts';
import { writerRole } from './roles/writer.ts';

/** What a process of a benchmark can be; each is made from its arguments and then gets tasks. */
export const ROLES: Readonly<Record<RoleName, (...args: string[]) => Promise<Work>>> = {
  contenders: contendersRole,
  locker: lockerRole,
  memory: memoryRole,
  reader: readerRole,
  storm: stormRole,
  writer: writerRole,
};

export type RoleName = 'contenders' | 'locker' | 'memory' | 'reader' | 'storm' | 'writer';

/** Tasks and answers travel as JSON. */
export type Work = (task: unknown) => Promise<unknown>;

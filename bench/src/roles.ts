import { contendersRole } from './roles/contenders.ts';
import { fetcherRole } from './roles/fetcher.ts';
import { hitterRole } from './roles/hitter.ts';
import { lockerRole } from './roles/locker.ts';
import { memoryRole } from './roles/memory.ts';
import { readerRole } from './roles/reader.ts';
import { stampederRole } from './roles/stampeder.ts';
import { stormRole } from './roles/storm.ts';
import { writerRole } from './roles/writer.ts';

/** What a process of a benchmark can be; each is made from its arguments and then gets tasks. */
export const ROLES: Readonly<Record<RoleName, (...args: string[]) => Promise<Work>>> = {
  contenders: contendersRole,
  fetcher: fetcherRole,
  hitter: hitterRole,
  locker: lockerRole,
  memory: memoryRole,
  reader: readerRole,
  stampeder: stampederRole,
  storm: stormRole,
  writer: writerRole,
};

export type RoleName =
  | 'contenders'
  | 'fetcher'
  | 'hitter'
  | 'locker'
  | 'memory'
  | 'reader'
  | 'stampeder'
  | 'storm'
  | 'writer';

/** Tasks and answers travel as JSON. */
export type Work = (task: unknown) => Promise<unknown>;

import type { Panel } from '../panel.ts';
import type { ResultFile } from '../result-file.ts';
import type { Picture } from './draw.ts';

/** One picture of the documentation: which panel of which scenario. */
interface Wanted {
  readonly scenario: string;
  /** The first one that begins so. */
  readonly setting?: string;
  readonly figure?: string;
  readonly title: string;
}

/** By the name of their file. */
export const PICTURES: Readonly<Record<string, Wanted>> = {
  hit: {
    scenario: 'hit',
    setting: 'object',
    figure: 'a call',
    title: 'A value that is in this process already',
  },
  'redis-hit': {
    scenario: 'redis-hit',
    setting: 'object of 20 fields, 50 ',
    figure: 'done',
    title: 'A value that is in Redis, but not in this process',
  },
  stampede: {
    scenario: 'stampede',
    setting: '10 × 100, cold',
    figure: 'loads',
    title: 'How often a value is loaded that 1000 callers in ten processes want',
  },
  'get-many': {
    scenario: 'get-many',
    setting: '100 keys, all in Redis',
    figure: 'latency',
    title: '100 values at once, all of them in Redis',
  },
  'client-hit': { scenario: 'client-hit', title: "A hit of a client's own methods" },
  'client-miss': {
    scenario: 'client-miss',
    figure: 'server CPU',
    title: "A client's own read that is not in this process: CPU of the server",
  },
  invalidation: {
    scenario: 'invalidation',
    figure: 'p50',
    title: 'From a foreign write until the local copy is gone, p50',
  },
  'locks-uncontended': {
    scenario: 'locks-uncontended',
    setting: 'one at a time',
    figure: 'latency',
    title: 'To take and release a lock that nobody else wants',
  },
  'locks-hand-over': {
    scenario: 'locks-hand-over',
    setting: '20',
    figure: 'p50',
    title: 'From release to the next of 20 holders, p50',
  },
  'tracking-memory': {
    scenario: 'tracking-table',
    figure: 'memory for a key',
    title: 'Memory of the server for a key that is tracked',
  },
};

export class NoPictureError extends Error {
  override readonly name = 'NoPictureError';
}

/** Throws: {@link NoPictureError} if the file does not have what is to be drawn. */
export function pictureOf(name: string, file: ResultFile): Picture {
  const wanted = PICTURES[name] as Wanted;
  const panel = file.scenarios
    .find((each) => each.name === wanted.scenario)
    ?.panels.find(
      ({ setting, figure }) =>
        setting.startsWith(wanted.setting ?? '') && figure === (wanted.figure ?? figure),
    );
  if (panel === undefined)
    throw new NoPictureError(`${name}: scenario ${wanted.scenario} has nothing to draw it from`);
  return { title: wanted.title, note: noteOf(panel, file), panel };
}

/** What a reader has to know to repeat it. */
function noteOf({ setting, better }: Panel, { date, machine, versions }: ResultFile): string {
  return [
    ...(setting === '' ? [] : [setting]),
    `${better} is better`,
    `Node ${versions.node}, ${versions.redis}, ${machine.cores} × ${machine.cpu}`,
    date.slice(0, 10),
  ].join(' · ');
}

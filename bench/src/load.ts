import { setImmediate as turn } from 'node:timers/promises';
import { type Contender, type Panel, panelOf } from './panel.ts';
import { median, ratio } from './ratio.ts';
import type { ServerProbe } from './server-probe.ts';
import type { Unit } from './unit.ts';

/** Work that is done many times, some of it at a time. */
export interface Load {
  /** The first quarter is not measured: after a collection V8 begins with a small heap again. */
  readonly calls: number;
  readonly concurrency: number;
  /** `place`: 0 for the first call, then 1 …; no two calls have the same one. */
  readonly call: (place: number) => Promise<unknown>;
}

/** What one call of a load cost. */
export interface LoadCost {
  readonly callsPerSecond: number;
  /** Of this process, garbage collection included. */
  readonly clientUs: number;
  /** Of the server's process, its sockets included. */
  readonly serverUs: number;
  /** From call to answer, in the middle. */
  readonly latencyUs: number;
}

export async function measureLoad(load: Load, probe: ServerProbe): Promise<LoadCost> {
  globalThis.gc?.();
  // Timers of commands that are over are taken back in a turn of their own after the collection.
  await turn();
  const latenciesMs = new Float64Array(load.calls);
  let next = 0;
  const worker = async (last: number): Promise<void> => {
    while (next < last) {
      const place = next;
      next += 1;
      const beginMs = performance.now();
      await load.call(place);
      latenciesMs[place] = performance.now() - beginMs;
    }
  };
  const work = async (last: number): Promise<void> => {
    await Promise.all(Array.from({ length: load.concurrency }, () => worker(last)));
  };
  await work(Math.floor(load.calls / 4));
  const first = next;
  const measured = load.calls - first;
  const serverBeginUs = await probe.cpuUs();
  const clientBegin = process.cpuUsage();
  const beginMs = performance.now();
  await work(load.calls);
  const elapsedMs = performance.now() - beginMs;
  const client = process.cpuUsage(clientBegin);
  const serverUs = (await probe.cpuUs()) - serverBeginUs;
  return {
    callsPerSecond: (1000 * measured) / elapsedMs,
    clientUs: (client.user + client.system) / measured,
    serverUs: serverUs / measured,
    latencyUs: 1000 * median([...latenciesMs.subarray(first)]),
  };
}

/** How many times as much one costs as the other: the median of the rounds' ratios. */
export function costRatio(
  figure: keyof LoadCost,
  rounds: readonly LoadCost[],
  base: readonly LoadCost[],
): number {
  const figures = (costs: readonly LoadCost[]): number[] => costs.map((cost) => cost[figure]);
  return ratio(figures(rounds), figures(base));
}

/** What loads cost under one setting, a panel for each figure; as for `panelOf`. */
export function costPanels(
  setting: string,
  contenders: readonly Contender[],
  costs: readonly (readonly LoadCost[])[],
): readonly Panel[] {
  return COST_FIGURES.map(([name, figure, unit, better]) =>
    panelOf({ setting, figure, unit, better }, contenders, costs, (cost) => cost[name]),
  );
}

const COST_FIGURES = [
  ['callsPerSecond', 'done', '/s', 'more'],
  ['latencyUs', 'latency', 'µs', 'less'],
  ['clientUs', 'client CPU', 'µs', 'less'],
  ['serverUs', 'server CPU', 'µs', 'less'],
] as const satisfies readonly (readonly [keyof LoadCost, string, Unit, Panel['better']])[];

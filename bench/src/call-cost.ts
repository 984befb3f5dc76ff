import { getHeapStatistics } from 'node:v8';
import { measure } from 'mitata';
import { type Contender, type Panel, panelOf } from './panel.ts';

/** What one call took, and how much memory it allocated. */
export interface CallCost {
  readonly ns: number;
  /** None: garbage was collected meanwhile, which says nothing of what was allocated. */
  readonly bytes: number | undefined;
}

/** Runs something that makes so many calls again and again. */
export async function measureCalls(
  run: () => unknown,
  callsPerRun: number,
  forMs: number,
): Promise<CallCost & { readonly calls: number }> {
  globalThis.gc?.();
  // A run is long enough to be timed by itself: no batches of the library's own.
  const { p50, heap, samples } = await measure(run, {
    min_cpu_time: forMs * 1e6,
    batch_threshold: 0,
    heap: () => getHeapStatistics().used_heap_size,
  });
  const bytes = (heap?.avg ?? Number.NaN) / callsPerRun;
  return {
    ns: p50 / callsPerRun,
    bytes: Number.isFinite(bytes) ? bytes : undefined,
    calls: samples.length * callsPerRun,
  };
}

/** As for `panelOf`. Of whoever's garbage was collected in one of the rounds there is no row. */
export function callPanels(
  setting: string,
  contenders: readonly Contender[],
  costs: readonly (readonly CallCost[])[],
): readonly [times: Panel, ...garbage: Panel[]] {
  const head = { setting, better: 'less' } as const;
  const times = panelOf(
    { ...head, figure: 'a call', unit: 'ns' },
    contenders,
    costs,
    ({ ns }) => ns,
  );
  const isKnown = (place: number): boolean =>
    costs[place]?.every(({ bytes }) => bytes !== undefined) ?? true;
  // Without the first there is nothing to compare with.
  if (!isKnown(0) || !isKnown(contenders.length)) return [times];
  const known = contenders.filter((_, place) => isKnown(place));
  const allocated = panelOf(
    { ...head, figure: 'allocated', unit: 'bytes' },
    known,
    costs.filter((_, place) => isKnown(place)),
    ({ bytes }) => bytes as number,
  );
  return [times, allocated];
}

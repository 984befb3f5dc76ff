import { median } from './ratio.ts';
import type { ResultFile } from './result-file.ts';
import {
  BROADCAST_MODE,
  DEFAULT_MODE,
  MEMORY_FOR_A_KEY,
  TRACKING_TABLE,
} from './scenarios/tracking-table.ts';

/** What tracking takes of a server's memory, in bytes. */
export interface Capacity {
  readonly processes: number;
  readonly keys: number;
  /** In default mode, if each key is read by one of the processes, and by all of them. */
  readonly byOne: number;
  readonly byAll: number;
  readonly broadcast: number;
}

const PROCESSES = [10, 100, 1000] as const;
const KEYS = [100_000, 1_000_000, 10_000_000] as const;

/** From the measured constants; none if they were not measured. */
export function capacityOf(file: ResultFile): readonly Capacity[] | undefined {
  const rows = file.scenarios
    .find(({ name }) => name === TRACKING_TABLE)
    ?.panels.find(({ figure }) => figure === MEMORY_FOR_A_KEY)?.rows;
  if (rows === undefined) return undefined;
  const points = (mode: string): readonly Point[] =>
    rows
      .filter(({ name }) => name === mode)
      .map(({ at, rounds }) => ({ x: at as number, y: median(rounds) }));
  const [tracked, broadcast] = [fitted(points(DEFAULT_MODE)), fitted(points(BROADCAST_MODE))];
  return PROCESSES.flatMap((processes) =>
    KEYS.map((keys) => ({
      processes,
      keys,
      byOne: keys * tracked(1),
      byAll: keys * tracked(processes),
      broadcast: keys * broadcast(processes),
    })),
  );
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The straight line that is nearest to the points, by least squares; never below nothing. */
export function fitted(points: readonly Point[]): (x: number) => number {
  const mean = (of: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const slope =
    mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
  return (at) => Math.max(0, y + slope * (at - x));
}

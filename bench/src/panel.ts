import type { Unit } from './unit.ts';

/** Whose figures a row has. `limit`: what nothing can be better than, or what has to be done at least. */
export type Standing = 'ours' | 'peer' | 'limit';

/** One of those that are compared. */
export interface Contender {
  readonly name: string;
  readonly standing: Standing;
}

export interface PanelRow extends Contender {
  /** Its place along the axis of a panel that has one. */
  readonly at?: number | undefined;
  /** One figure for each round. */
  readonly rounds: readonly number[];
}

/** What is compared: one figure, under one setting, of several contenders. */
export interface PanelHead {
  /** Under which all rows were measured, such as `50 at once`. Panels of one setting are one table. */
  readonly setting: string;
  /** Such as `latency`. */
  readonly figure: string;
  readonly unit: Unit;
  readonly better: 'less' | 'more';
  /** What the places of the rows count, such as `keys`; none: the rows have no places. */
  readonly along?: string | undefined;
}

export interface Panel extends PanelHead {
  /** The first is the baseline; along an axis, the first of each place. */
  readonly rows: readonly PanelRow[];
  /**
   * The first row measured once more in each round, in the same way: how far the two are apart is
   * the noise, and what differs less is a tie. None: it was not measured twice.
   */
  readonly again?: readonly number[] | undefined;
}

/**
 * A panel of what `inTurn` answered: the figures of each contender and, if there is one more than
 * there are contenders, those of the first one again.
 */
export function panelOf<F>(
  head: PanelHead,
  contenders: readonly Contender[],
  figures: readonly (readonly F[])[],
  pick: (figure: F) => number,
): Panel {
  const picked = figures.map((rounds, place) =>
    rounds.map((each) => {
      const figure = pick(each);
      if (Number.isFinite(figure)) return figure;
      throw new Error(`${head.figure} of ${contenders[place]?.name} is ${figure}`);
    }),
  );
  return {
    ...head,
    rows: contenders.map(({ name, standing }, place) => ({
      name,
      standing,
      rounds: picked[place] as readonly number[],
    })),
    again: picked[contenders.length],
  };
}

/** The row that `row` is compared with: the first of its place. */
export function baseOf({ rows }: Panel, row: PanelRow): PanelRow {
  return rows.find((each) => each.at === row.at) as PanelRow;
}

/** Throws: if the panel has no such row. */
export function rowOf({ rows, figure }: Panel, name: string): PanelRow {
  const row = rows.find((each) => each.name === name);
  if (row === undefined) throw new Error(`${figure}: there is no row ${name}`);
  return row;
}

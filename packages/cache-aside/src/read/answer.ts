import type { Copy } from './copy.ts';

/** Where a value came from. */
export type Source = 'local' | 'redis' | 'loader';

/**
 * What a read of a key comes to. `copy`: left out for what was not stored. `failure`: why it is one that
 * had aged, and not loaded anew.
 */
export interface Answer {
  readonly value: unknown;
  readonly source: Source;
  readonly copy?: Copy;
  readonly failure?: unknown;
}

export const NOTHING: Answer = { value: undefined, source: 'redis' };

import type { Answer, Source } from './read/answer.ts';

/** What a look into this process answers. A known absence is a hit whose value is `undefined`. */
export type Peeked<V> =
  | { readonly hit: true; readonly value: V | undefined }
  | { readonly hit: false };

/** A value, and what is known about it. */
export interface Found<V> {
  /** `undefined` for a key that is absent. */
  readonly value: V | undefined;
  readonly source: Source;
  /** Since it was written, in milliseconds. */
  readonly ageMs: number;
  /** For how long it is fresh yet; 0 for one that has aged, or was not stored. */
  readonly remainingMs: number;
}

/** `value`: what its caller gets of it. */
export function foundIn<V>(
  { source, copy }: Answer,
  value: V | undefined,
  nowMs: number,
): Found<V> {
  return {
    value,
    source,
    ageMs: copy?.ageMs(nowMs) ?? 0,
    remainingMs: copy === undefined ? 0 : Math.max(0, copy.freshUntilMs - nowMs),
  };
}

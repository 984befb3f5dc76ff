/**
 * How redcache writes into a key: a header line, then the encoded value. Only the header tells what
 * it is, so that no value can be mistaken for anything else, whatever its bytes (I15).
 *
 * ```
 * rc1 v <tailMs> <loadMs>\n<encoded value>     a value
 * rc1 n <tailMs> <loadMs>\n                    known to be absent
 * rc1 l <holder>\n                             being loaded under the lease of <holder>
 * ```
 *
 * `tailMs`: how long the key outlives its freshness, so freshness left = PTTL − tailMs. `loadMs`: how
 * long the loader took. Durations only: no clock of one machine means anything on another. The digit
 * is the version of the format; a reader that does not know it treats the key as absent.
 */
export type Stored =
  | { readonly is: 'value'; readonly encoded: string; readonly loadMs: number }
  | { readonly is: 'absent'; readonly loadMs: number }
  | { readonly is: 'loading'; readonly holder: string }
  /** Not written by redcache, or by a version that writes differently. */
  | { readonly is: 'unreadable' };

const HEADER = /^rc1 (?:([vn]) (\d+) (\d+)|l ([^\n]+))\n/;

/** Nothing of ours is stale yet while it stands: there is no grace. */
const TAIL_MS = 0;

export function valueEnvelope(encoded: string, loadMs: number): string {
  return `rc1 v ${TAIL_MS} ${Math.round(loadMs)}\n${encoded}`;
}

export function absentEnvelope(loadMs: number): string {
  return `rc1 n ${TAIL_MS} ${Math.round(loadMs)}\n`;
}

export function placeholder(holder: string): string {
  return `rc1 l ${holder}\n`;
}

export function readEnvelope(text: string): Stored {
  const found = HEADER.exec(text);
  if (found === null) return { is: 'unreadable' };
  const [header, kind, , loadMs, holder] = found;
  if (holder !== undefined) return { is: 'loading', holder };
  if (kind === 'n') return { is: 'absent', loadMs: Number(loadMs) };
  return { is: 'value', encoded: text.slice(header.length), loadMs: Number(loadMs) };
}

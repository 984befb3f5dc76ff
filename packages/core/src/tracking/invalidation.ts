/** What the server told this connection: these keys changed, or anything may have changed. */
export type Invalidation =
  | { readonly kind: 'keys'; readonly keys: readonly string[] }
  | { readonly kind: 'flush' };

/**
 * Decodes a RESP3 push frame. Answers `undefined` for a frame that is no invalidation.
 *
 * `['invalidate', [key, …]]` names keys; `['invalidate', null]` is a flush. Keys may be strings or
 * Buffers; both are compared as UTF-8 text. Two binary keys may become the same text, which can
 * only drop too much.
 */
export function decodePush(frame: readonly unknown[]): Invalidation | undefined {
  const [kind, keys] = frame;
  if (String(kind) !== 'invalidate') return undefined;
  if (keys === null || keys === undefined) return { kind: 'flush' };
  if (!Array.isArray(keys)) return undefined;
  return { kind: 'keys', keys: keys.map(String) };
}

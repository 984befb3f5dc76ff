/** Ours are in a namespace of ours; `error.type` and `network.io.direction` are the conventions' own. */
export const ATTRIBUTES = {
  name: 'redcache.cache.name',
  result: 'redcache.cache.result',
  loadCause: 'redcache.cache.load.cause',
  loadKeyCount: 'redcache.cache.load.key_count',
  loadKeys: 'redcache.cache.load.keys',
  refreshCause: 'redcache.cache.refresh.cause',
  waitEnd: 'redcache.cache.wait.end',
  errorType: 'error.type',
  ioDirection: 'network.io.direction',
} as const;

/** What `error.type` says of an error: few different words, and never its message. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  const { code, name } = error as Error & { readonly code?: unknown };
  return typeof code === 'string' ? code : name;
}

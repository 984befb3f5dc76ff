import type { Attributes } from '@opentelemetry/api';

/** Ours are in a namespace of ours; `error.type` and `network.io.direction` are the conventions' own. */
export const ATTRIBUTES = {
  name: 'redcache.cache.name',
  family: 'redcache.cache.family',
  result: 'redcache.cache.result',
  loadCause: 'redcache.cache.load.cause',
  loadKeyCount: 'redcache.cache.load.key_count',
  loadKeys: 'redcache.cache.load.keys',
  refreshCause: 'redcache.cache.refresh.cause',
  waitEnd: 'redcache.cache.wait.end',
  errorType: 'error.type',
  ioDirection: 'network.io.direction',
} as const;

/** Which cache it is, and which of its families: there are as many as the program defines. */
export function identity(name: string, family: string | undefined): Attributes {
  const own = { [ATTRIBUTES.name]: name };
  return family === undefined ? own : { ...own, [ATTRIBUTES.family]: family };
}

/** What `error.type` says of an error: few different words, and never its message. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  const { code, name } = error as Error & { readonly code?: unknown };
  return typeof code === 'string' ? code : name;
}

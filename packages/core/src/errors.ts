/**
 * Every error redcache throws on purpose. Match on `code`; `isRedcacheError` also recognises errors
 * of a second installed copy of the package, which `instanceof` does not.
 */
const BRAND: unique symbol = Symbol.for('redcache.error') as never;

export type ErrorCode =
  | 'REDCACHE_CONFIG'
  | 'REDCACHE_ACQUIRE_TIMEOUT'
  | 'REDCACHE_LOCK_LOST'
  | 'REDCACHE_TOO_MANY_WAITING'
  | 'REDCACHE_LOAD_TIMEOUT'
  | 'REDCACHE_QUORUM'
  | 'REDCACHE_BATCH'
  | 'REDCACHE_OUTCOME_UNKNOWN'
  | 'REDCACHE_UNAVAILABLE'
  | 'REDCACHE_CODEC'
  | 'REDCACHE_SCHEMA'
  | 'REDCACHE_CLOSED';

export interface ErrorDetails {
  /** The key the call was about, where there is exactly one. */
  readonly key?: string | undefined;
  readonly cause?: unknown;
}

export class RedcacheError extends Error {
  override readonly name: string = 'RedcacheError';
  readonly code: ErrorCode;
  readonly key: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.key = details.key;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** A bad option, argument or set-up. Thrown before anything is sent. */
export class ConfigError extends RedcacheError {
  override readonly name = 'ConfigError';

  constructor(message: string, details?: ErrorDetails) {
    super('REDCACHE_CONFIG', message, details);
  }
}

/** Redis could not be asked, or did not answer in time; nothing was changed there by this call. */
export class UnavailableError extends RedcacheError {
  override readonly name = 'UnavailableError';

  constructor(message: string, details?: ErrorDetails) {
    super('REDCACHE_UNAVAILABLE', message, details);
  }
}

/** A command that changes something was sent and never answered: it may or may not have run. */
export class OutcomeUnknownError extends RedcacheError {
  override readonly name = 'OutcomeUnknownError';

  constructor(message: string, details?: ErrorDetails) {
    super('REDCACHE_OUTCOME_UNKNOWN', message, details);
  }
}

/** The object was closed before or during the call. */
export class ClosedError extends RedcacheError {
  override readonly name = 'ClosedError';

  constructor(message: string, details?: ErrorDetails) {
    super('REDCACHE_CLOSED', message, details);
  }
}

export function isRedcacheError(error: unknown): error is RedcacheError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/** How an error names a bad value. An object may throw when it is made a string, so it is not. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

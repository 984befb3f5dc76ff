import { isRedcacheError, type RedcacheError } from '@redcache/core';

/** It was sent, and nobody knows whether it ran. */
export function isUnknown(error: unknown): error is RedcacheError {
  return isRedcacheError(error) && error.code === 'REDCACHE_OUTCOME_UNKNOWN';
}

/** Redis was not asked, refused for the moment or did not answer: to ask again may help. */
export function isPassing(error: unknown): boolean {
  return isUnknown(error) || (isRedcacheError(error) && error.code === 'REDCACHE_UNAVAILABLE');
}

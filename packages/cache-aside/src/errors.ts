import { type ErrorDetails, RedcacheError } from '@redcache/core';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { WarmProgress } from './warm/progress.ts';

/** A value that cannot be stored; says at which path the offender stands. */
export class CodecError extends RedcacheError {
  override readonly name = 'CodecError';

  constructor(message: string, details?: ErrorDetails) {
    super('REDCACHE_CODEC', message, details);
  }
}

/** A loaded value that is not as its schema says. */
export class SchemaError extends RedcacheError {
  override readonly name = 'SchemaError';
  readonly issues: readonly StandardSchemaV1.Issue[];

  constructor(message: string, issues: readonly StandardSchemaV1.Issue[], details?: ErrorDetails) {
    super('REDCACHE_SCHEMA', message, details);
    this.issues = issues;
  }
}

/**
 * The loader, or a schema that judges what it answered, did not settle within `timeout.hard`; or so many
 * ran while Redis was away that it was not called by then.
 */
export class LoadTimeoutError extends RedcacheError {
  override readonly name = 'LoadTimeoutError';

  constructor(message: string, details?: ErrorDetails) {
    super('REDCACHE_LOAD_TIMEOUT', message, details);
  }
}

/** Some keys of one call failed, others did not. */
export class BatchError extends RedcacheError {
  override readonly name = 'BatchError';
  /** In the order in which they were given. */
  readonly succeeded: readonly string[];
  readonly failed: readonly string[];
  readonly #errors: ReadonlyMap<string, unknown>;

  constructor(message: string, succeeded: readonly string[], errors: ReadonlyMap<string, unknown>) {
    super('REDCACHE_BATCH', message, { cause: errors.values().next().value });
    this.succeeded = succeeded;
    this.failed = [...errors.keys()];
    this.#errors = errors;
  }

  /** What went wrong with this key; `undefined` for one that succeeded. */
  errorFor(key: string): unknown {
    return this.#errors.get(key);
  }
}

/**
 * Some keys could not be warmed; all others were, unless it was to stop at the first error. `failed`
 * names a thousand of them at most, and `succeeded` none: `progress` says how many there are.
 */
export class WarmError extends BatchError {
  readonly progress: WarmProgress;

  constructor(progress: WarmProgress, errors: ReadonlyMap<string, unknown>) {
    super(`warm: ${progress.failed} of ${progress.done} keys failed`, [], errors);
    this.progress = progress;
  }
}

import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Awaitable } from './compression.ts';
import { SchemaError } from './errors.ts';

/** Any schema that follows Standard Schema: of Zod, Valibot, ArkType and others. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;

/** What a schema takes, and what it makes of it. */
export type SchemaInput<S extends Schema> = StandardSchemaV1.InferInput<S>;
export type SchemaOutput<S extends Schema> = StandardSchemaV1.InferOutput<S>;

export type Validated<V> =
  | { readonly ok: true; readonly value: V }
  | { readonly ok: false; readonly error: SchemaError };

/**
 * What a schema makes of a value, which may be another value. Answers at once unless the schema
 * does not.
 *
 * Throws or rejects: what the schema itself throws, which is no judgement of the value.
 */
export function validate<Input, Output>(
  schema: Schema<Input, Output>,
  value: unknown,
  key: string,
): Awaitable<Validated<Output>> {
  const result = schema['~standard'].validate(value);
  // A promise of another realm or library is one as well.
  return 'then' in result && typeof result.then === 'function'
    ? Promise.resolve(result).then((settled) => judged(settled, key))
    : judged(result as StandardSchemaV1.Result<Output>, key);
}

function judged<V>(result: StandardSchemaV1.Result<V>, key: string): Validated<V> {
  if (result.issues === undefined) return { ok: true, value: result.value };
  return {
    ok: false,
    error: new SchemaError(messageFor(result.issues, key), result.issues, { key }),
  };
}

/** Names the first few: a list of ten thousand items may have as many issues. */
const ISSUES_NAMED = 3;

function messageFor(issues: readonly StandardSchemaV1.Issue[], key: string): string {
  const named = issues.slice(0, ISSUES_NAMED).map(({ message, path }) => {
    const steps = path?.map((step) => String(typeof step === 'object' ? step.key : step));
    return steps?.length ? `${steps.join('.')}: ${message}` : message;
  });
  if (issues.length > ISSUES_NAMED) named.push(`and ${issues.length - ISSUES_NAMED} more`);
  return `the value of '${key}' is not as its schema says: ${named.join('; ')}`;
}

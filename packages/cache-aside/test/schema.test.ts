import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { SchemaError } from '../src/errors.ts';
import { type Schema, validate } from '../src/schema.ts';

const User = v.object({ name: v.string(), age: v.optional(v.number(), 18) });

describe('validate', () => {
  test('answers at once what the schema makes of the value', () => {
    expect(validate(User, { name: 'Ada', extra: true }, 'k')).toEqual({
      ok: true,
      value: { name: 'Ada', age: 18 },
    });
  });

  test('answers what is wrong as an error with the issues, their paths in its message', () => {
    const judged = validate(v.array(User), [{ name: 'Ada' }, { name: 7 }], 'user:1');
    const { error } = judged as { error: SchemaError };
    expect(judged).toMatchObject({ ok: false });
    expect(error).toBeInstanceOf(SchemaError);
    expect(error).toMatchObject({ code: 'REDCACHE_SCHEMA', key: 'user:1' });
    expect(error.message).toMatch(/^the value of 'user:1' is not as its schema says: 1\.name: /);
    expect(error.issues).toEqual([expect.objectContaining({ message: expect.any(String) })]);
  });

  test('names the first few issues and counts the others', () => {
    const judged = validate(v.array(v.string()), [1, 2, 3, 4, 5], 'k');
    const { error } = judged as { error: SchemaError };
    expect(error.issues).toHaveLength(5);
    expect(error.message).toMatch(/0: .*; 1: .*; 2: .*; and 2 more$/);
  });

  test('waits for a schema that answers later', async () => {
    const Late = v.pipeAsync(
      v.string(),
      v.checkAsync(async (name) => name !== 'Eve', 'not her'),
    );
    const judging = validate(Late, 'Ada', 'k');
    expect(judging).toBeInstanceOf(Promise);
    expect(await judging).toEqual({ ok: true, value: 'Ada' });
    expect(await validate(Late, 'Eve', 'k')).toMatchObject({
      ok: false,
      error: { issues: [{ message: 'not her' }] },
    });
  });

  test('waits for anything that can be waited for', async () => {
    const then = (resolve: (result: StandardSchemaV1.Result<string>) => void): void =>
      resolve({ value: 'later' });
    expect(
      await validate(
        by(() => ({ then }) as never),
        'now',
        'k',
      ),
    ).toEqual({
      ok: true,
      value: 'later',
    });
  });

  test('an issue without a path is about the whole', () => {
    const judged = validate(
      by(() => ({ issues: [{ message: 'no' }, { message: 'nor', path: [{ key: 'a' }, 0] }] })),
      1,
      'k',
    );
    expect(judged).toMatchObject({
      error: { message: "the value of 'k' is not as its schema says: no; a.0: nor" },
    });
  });

  test('what the schema throws is not taken for an issue', () => {
    const bug = new Error('a bug');
    const throws = by(() => {
      throw bug;
    });
    expect(() => validate(throws, 1, 'k')).toThrow(bug);
  });
});

function by(judge: StandardSchemaV1.Props<unknown, string>['validate']): Schema<unknown, string> {
  return { '~standard': { version: 1, vendor: 'test', validate: judge } };
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { absentEnvelope, placeholder, valueEnvelope } from '../src/envelope.ts';
import { deepFreeze } from '../src/freeze.ts';
import { ValueFormat } from '../src/value.ts';

const deeplyFrozen = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (Object.isFrozen(value) && Object.values(value).every(deeplyFrozen));

test('deepFreeze freezes every level and answers the same object', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(deepFreeze(value)).toBe(value);
      expect(deeplyFrozen(value)).toBe(true);
    }),
  );
});

describe('a value on its way to Redis', () => {
  test('is answered as every other process will read it', () => {
    const encoded = new ValueFormat(true).encode({ at: new Date(0) }, 'k', 5);
    expect(encoded).toMatchObject({ kind: 'present', value: { at: '1970-01-01T00:00:00.000Z' } });
    expect(new ValueFormat(true).decode(encoded.envelope)).toMatchObject({
      is: 'value',
      value: encoded.value,
      bytes: encoded.bytes,
    });
  });

  test("is a copy: the loader's own object stays as it was", () => {
    const own = { list: [1] };
    const { value } = new ValueFormat(true).encode(own, 'k', 0);
    expect(value).not.toBe(own);
    expect(Object.isFrozen(own)).toBe(false);
    expect(deeplyFrozen(value)).toBe(true);
  });

  test('undefined is an absence; null, empty text, 0 and false are values', () => {
    const format = new ValueFormat(true);
    expect(format.encode(undefined, 'k', 0)).toMatchObject({ kind: 'negative', value: undefined });
    for (const value of [null, '', 0, false])
      expect(format.encode(value, 'k', 0)).toMatchObject({ kind: 'present', value });
  });

  test('bytes are those of the encoded text, not its characters', () => {
    expect(new ValueFormat(true).encode('é€', 'k', 0).bytes).toBe(2 + 2 + 3);
  });
});

describe('a text that came from Redis', () => {
  const format = new ValueFormat(true);

  test('is a value, an absence or a load under way', () => {
    expect(format.decode(valueEnvelope('[1]', 0))).toEqual({ is: 'value', value: [1], bytes: 3 });
    expect(format.decode(absentEnvelope(0))).toMatchObject({ is: 'absent' });
    expect(format.decode(placeholder('h'))).toMatchObject({ is: 'loading' });
  });

  test('is unreadable when it is not ours, or its value is no JSON', () => {
    expect(format.decode('plain')).toMatchObject({ is: 'unreadable' });
    expect(format.decode(valueEnvelope('{broken', 0))).toMatchObject({
      is: 'unreadable',
      reason: expect.any(SyntaxError),
    });
  });
});

describe('what callers get', () => {
  test('true: one frozen copy for all', () => {
    const format = new ValueFormat(true);
    const { value } = format.encode({ a: {} }, 'k', 0);
    expect(format.handOut(value)).toBe(value);
    expect(deeplyFrozen(value)).toBe(true);
  });

  test("'clone': a copy of his own for each, free to change", () => {
    const format = new ValueFormat('clone');
    const { value } = format.encode({ a: { n: 1 } }, 'k', 0);
    const mine = format.handOut(value) as { a: { n: number } };
    mine.a.n = 2;
    expect(format.handOut(value)).toEqual({ a: { n: 1 } });
  });

  test('false: one shared copy, as it is', () => {
    const format = new ValueFormat(false);
    const { value } = format.encode({ a: {} }, 'k', 0);
    expect(format.handOut(value)).toBe(value);
    expect(Object.isFrozen(value)).toBe(false);
  });
});

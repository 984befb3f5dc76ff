import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { absentEnvelope, placeholder, readEnvelope, valueEnvelope } from '../src/envelope.ts';

const loadMs = fc.integer({ min: 0, max: 10_000_000 });

describe('what is written is read back (I15)', () => {
  test('any text of a value, with its load time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), loadMs, (encoded, ms) => {
        expect(readEnvelope(valueEnvelope(encoded, ms))).toEqual({
          is: 'value',
          encoded,
          loadMs: ms,
        });
      }),
    );
  });

  test('a value that is itself an envelope, a placeholder or one of a later version', () => {
    const inner = [
      placeholder('0190-holder'),
      absentEnvelope(3),
      valueEnvelope('{"a":1}', 3),
      'rc2 v 0 0\n{}',
      'rc1 v 0 0',
      '\n',
      '',
    ];
    for (const encoded of inner)
      expect(readEnvelope(valueEnvelope(encoded, 0))).toEqual({ is: 'value', encoded, loadMs: 0 });
  });

  test('an absence, and a load under way with its holder', () => {
    expect(readEnvelope(absentEnvelope(12))).toEqual({ is: 'absent', loadMs: 12 });
    expect(readEnvelope(placeholder('me'))).toEqual({ is: 'loading', holder: 'me' });
  });

  test('a load time with a fraction is rounded, since the header holds whole milliseconds', () => {
    expect(readEnvelope(valueEnvelope('1', 1.6))).toMatchObject({ is: 'value', loadMs: 2 });
  });
});

describe('what is not ours is unreadable', () => {
  test.each([
    ['an empty text', ''],
    ['plain JSON', '{"name":"Ada"}'],
    ['a later version', 'rc2 v 0 0\n1'],
    ['a header without its end', 'rc1 v 0 0'],
    ['a header that is not at the beginning', ' rc1 v 0 0\n1'],
    ['a header on the second line', '\nrc1 v 0 0\n1'],
    ['a negative duration', 'rc1 v 0 -1\n1'],
    ['a fraction', 'rc1 v 0 1.5\n1'],
    ['a missing duration', 'rc1 v 0\n1'],
    ['an unknown kind', 'rc1 x 0 0\n1'],
    ['a placeholder without holder', 'rc1 l \n'],
    ['capitals', 'RC1 v 0 0\n1'],
  ])('%s', (_, text) => {
    expect(readEnvelope(text)).toEqual({ is: 'unreadable' });
  });

  test('no text of somebody else is taken for an absence or a load', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.startsWith('rc1 '));
        expect(readEnvelope(text)).toEqual({ is: 'unreadable' });
      }),
    );
  });
});

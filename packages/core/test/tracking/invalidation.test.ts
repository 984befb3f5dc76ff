import { expect, test } from 'vitest';
import { decodePush } from '../../src/tracking/invalidation.ts';

test('a frame names keys, as text or as Buffers', () => {
  expect(decodePush(['invalidate', ['a', 'b']])).toEqual({ kind: 'keys', keys: ['a', 'b'] });
  expect(decodePush([Buffer.from('invalidate'), [Buffer.from('ä')]])).toEqual({
    kind: 'keys',
    keys: ['ä'],
  });
});

test('a frame without keys is a flush', () => {
  expect(decodePush(['invalidate', null])).toEqual({ kind: 'flush' });
  expect(decodePush(['invalidate'])).toEqual({ kind: 'flush' });
});

test.for([[['message', 'channel', 'text']], [['invalidate', 'no list']], [[]]])(
  '%j is no invalidation',
  ([frame]) => {
    expect(decodePush(frame as unknown[])).toBeUndefined();
  },
);

import { ConfigError } from '@redcache/core';
import { describe, expect, test } from 'vitest';
import { readEnvelope } from '../../src/envelope.ts';
import { DEFAULT_POLICY } from '../../src/policy.ts';
import { ValueFormat } from '../../src/value.ts';
import { type Kept, type Outgoing, outgoing } from '../../src/write/outgoing.ts';

const format = new ValueFormat({ freeze: true });
const policy = { ...DEFAULT_POLICY, ttlMs: 1_000, negativeTtlMs: 10, graceMs: 500 };
const ready = (value: unknown, kept: Partial<Kept> = {}): Outgoing => {
  const all = { policy, tags: undefined, ttlMs: undefined, ...kept };
  return outgoing('set', format, 'k', value, 7, all) as Outgoing;
};

describe('what is written', () => {
  test('outlives its freshness by its tail, and carries its epoch and tags', () => {
    const { envelope, keptMs, member, value } = ready({ a: 1 }, { tags: ['t', 't', 'u'] });
    expect([keptMs, member, value]).toEqual([1_500, { epoch: 7, tags: ['t', 'u'] }, { a: 1 }]);
    expect(readEnvelope(envelope)).toMatchObject({
      is: 'value',
      header: { ttlMs: 1_000, tailMs: 500, epoch: 7, tags: ['t', 'u'] },
    });
  });

  test('is copied at once: what its owner does to it later is not written', () => {
    const value = { a: 1 };
    const { envelope } = ready(value);
    value.a = 2;
    expect(envelope).toContain('{"a":1}');
  });

  test('is an absence without tail and tags', () => {
    const { envelope, keptMs, member } = ready(undefined, { tags: () => expect.fail() });
    expect([keptMs, member.tags]).toEqual([10, []]);
    expect(readEnvelope(envelope)).toMatchObject({ is: 'absent' });
    expect(ready(undefined, { ttlMs: 77 }).keptMs).toBe(77);
  });

  test('has the tags that a function of its owner answers, if they are any', () => {
    expect(ready('x', { tags: ((v: string) => [`of ${v}`]) as never }).member.tags).toEqual([
      'of x',
    ]);
    expect(() => ready('x', { tags: (() => 'no list') as never })).toThrow(ConfigError);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  absentEnvelope,
  atEpoch,
  type Facts,
  type Header,
  headerOf,
  placeholder,
  readEnvelope,
  type Stored,
  valueHead,
  writeMark,
} from '../src/envelope.ts';

const ms = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const facts: fc.Arbitrary<Facts> = fc.record(
  {
    ttlMs: ms,
    tailMs: ms,
    loadMs: ms,
    epoch: fc.option(ms, { nil: undefined }),
    tags: fc.array(fc.string({ unit: 'grapheme' })),
  },
  { requiredKeys: ['ttlMs', 'tailMs', 'loadMs'] },
);
const header: fc.Arbitrary<Header> = facts.map(headerOf);
const compressed = fc.option(
  fc.record({
    algorithm: fc.constantFrom('brotli', 'gzip', 'zstd'),
    rawBytes: fc.integer({ min: 1, max: 2 ** 40 }),
  }),
  { nil: undefined },
);

/** Both ways of reading, which have to agree. */
function readBoth(text: string): Stored {
  const read = readEnvelope(text);
  expect(readEnvelope(Buffer.from(text))).toEqual(read);
  return read;
}

describe('what is written is read back (I15)', () => {
  test('any text of a value, with all that is said of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), header, compressed, (body, said, packed) => {
        const head = valueHead(said, 'json', packed);
        const read = readBoth(head + body);
        const bodyAt = head.length;
        expect(read).toEqual({
          is: 'value',
          codec: 'json',
          compressed: packed,
          header: said,
          bodyAt,
        });
      }),
    );
  });

  test('any bytes of a value', () => {
    fc.assert(
      fc.property(fc.uint8Array(), header, (body, said) => {
        const head = valueHead(said, 'msgpack');
        const stored = Buffer.concat([Buffer.from(head), body]);
        const read = readEnvelope(stored);
        expect(read).toMatchObject({ is: 'value', codec: 'msgpack', header: said });
        const { bodyAt } = read as Stored & { is: 'value' };
        expect(stored.subarray(bodyAt).equals(body)).toBe(true);
      }),
    );
  });

  test('a value that is itself an envelope, a placeholder or one of a later version', () => {
    const said = headerOf({ ttlMs: 1, tailMs: 2, loadMs: 3 });
    const inner = [
      placeholder('0190-holder'),
      absentEnvelope(said),
      `${valueHead(said, 'json')}{"a":1}`,
      'rc2 v 0 0\n{}',
      'rc1 v 0 0',
      '\n',
      '',
    ];
    const head = valueHead(said, 'json');
    for (const body of inner)
      expect(readBoth(head + body)).toMatchObject({ is: 'value', bodyAt: head.length });
  });

  test('an absence with all that is said of it, and a load under way with its holder', () => {
    fc.assert(
      fc.property(header, (said) => {
        expect(readBoth(absentEnvelope(said))).toEqual({ is: 'absent', header: said });
      }),
    );
    expect(readBoth(placeholder('me'))).toEqual({ is: 'loading', holder: 'me' });
    expect(readBoth(writeMark())).toEqual({ is: 'writing' });
    expect(writeMark()).not.toBe(writeMark());
  });

  test('as many tags as a value may have; one more is refused when it is written', () => {
    const tags = (n: number): Facts => ({
      ttlMs: 1,
      tailMs: 0,
      loadMs: 0,
      tags: Array.from({ length: n }, (_, i) => `tag:${i}`.padEnd(13, '.')), // 15 bytes, as written
    });
    const most = Math.floor((32 * 1024 + 1) / 16);
    const said = headerOf(tags(most));
    expect(readBoth(absentEnvelope(said))).toEqual({ is: 'absent', header: said });
    expect(() => absentEnvelope(headerOf(tags(most + 1)))).toThrow(
      expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
    );
  });

  test('a tag with half a surrogate pair is refused when it is written', () => {
    const said = headerOf({ ttlMs: 1, tailMs: 0, loadMs: 0, tags: ['\ud800'] });
    expect(() => valueHead(said, 'json')).toThrow(
      expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
    );
  });

  test('durations with a fraction are rounded, since the header holds whole milliseconds', () => {
    const said = headerOf({ ttlMs: 0.4, tailMs: 2.5, loadMs: 1.6 });
    expect(said).toMatchObject({ ttlMs: 0, tailMs: 3, loadMs: 2 });
  });

  test('each has an id of its own', () => {
    const ids = Array.from(
      { length: 1_000 },
      () => headerOf({ ttlMs: 1, tailMs: 0, loadMs: 0 }).id,
    );
    expect(new Set(ids).size).toBe(1_000);
  });
});

describe('what another program wrote is told from what another version wrote', () => {
  test.each([
    '',
    '{"name":"Ada"}',
    'rc1',
    'rc1\n',
    ' rc1 v 0',
    '\nrc1 v',
    'RC1 v',
    'rc v',
    'rcx v',
  ])('%j is foreign', (text) => expect(readBoth(text)).toEqual({ is: 'foreign' }));

  test.each([
    ['a later version', 'rc2 v 0 0\n1', 'another version'],
    ['a much later version', 'rc12 anything', 'another version'],
    ['a header without its end', 'rc1 v id json 1 0 0', 'no end'],
    ['a header that ends amid a word', 'rc1 v id js', 'no end'],
    ['nothing but its beginning', 'rc1 ', 'no end'],
    ['a beginning that is not ASCII', 'rc1 é', 'kind'],
    ['tags without their end', 'rc1 n id 1 0 0 ta,%C3', 'no end'],
    ['a value of the first days', 'rc1 v 0 0\n1', 'malformed'],
    ['a negative duration', 'rc1 v id json 1 0 -1\n1', 'malformed'],
    ['a fraction', 'rc1 v id json 1 0 1.5\n1', 'malformed'],
    ['a missing duration', 'rc1 v id json 1 0\n1', 'malformed'],
    ['a number that is not exact', 'rc1 v id json 1 0 9007199254740992\n1', 'malformed'],
    ['a number without end', `rc1 v id json 1 0 ${'1'.repeat(99)}\n1`, 'malformed'],
    ['an empty word', 'rc1 v  json 1 0 0\n1', 'malformed'],
    ['a word without end', `rc1 v ${'x'.repeat(99)} json 1 0 0\n1`, 'malformed'],
    ['a word that is not ASCII', 'rc1 v é json 1 0 0\n1', 'malformed'],
    ['a tag that is not ASCII', 'rc1 n id 1 0 0 té\n', 'malformed'],
    ['a broken escape', 'rc1 n id 1 0 0 t%zz\n', 'malformed'],
    ['an escape of no character', 'rc1 n id 1 0 0 t%C3\n', 'malformed'],
    ['a compression without its size', 'rc1 v id json 1 0 0 zgzip\n1', 'malformed'],
    ['an unknown kind', 'rc1 x id json 1 0 0\n1', 'kind'],
    ['an unknown field', 'rc1 v id json 1 0 0 q7\n1', 'field'],
    ['a field twice', 'rc1 v id json 1 0 0 e1 e2\n1', 'field'],
    ['a placeholder without holder', 'rc1 l \n', 'malformed'],
    ['the mark of a writer without id', 'rc1 w \n', 'malformed'],
    ['a placeholder with more than its holder', 'rc1 l me too\n', 'malformed'],
  ])('%s is unreadable, and says why', (_, text, reason) => {
    expect(readBoth(text)).toEqual({
      is: 'unreadable',
      reason: expect.stringContaining(reason),
    });
  });

  test('a header is read no further than any of ours reaches', () => {
    const endless = `rc1 n id 1 0 0 t${'x'.repeat(1 << 20)}\n`;
    expect(readEnvelope(endless)).toMatchObject({ is: 'unreadable' });
    expect(readEnvelope(Buffer.from(endless))).toMatchObject({ is: 'unreadable' });
  });
});

describe('never throws', () => {
  /** Parts of headers in any order are more telling than random bytes, which are nearly always foreign. */
  const part = fc.constantFrom(
    ...[
      'rc1 ',
      'rc1 v ',
      'rc1 n ',
      'rc1 l ',
      'rc1 w ',
      'id ',
      'json ',
      '1 ',
      '0 0\n',
      '0 ',
      '12345678901234567 ',
    ],
    ...[
      ' e',
      ' t',
      ' z',
      'zgzip:5',
      'e7',
      'ta,b%20c',
      '%',
      '%C3',
      ',',
      ' ',
      '\n',
      '\0',
      'é',
      '😀',
      'x',
    ],
  );
  const nearly = fc.array(part, { maxLength: 14 }).map((parts) => parts.join(''));

  test('any text is read, foreign or unreadable, and its bytes alike', () => {
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string({ unit: 'grapheme' })), (text) => {
        expect(['value', 'absent', 'loading', 'writing', 'foreign', 'unreadable']).toContain(
          readBoth(text).is,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('so are any bytes', () => {
    const tail = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(nearly, tail, (head, bytes) => {
        const stored = Buffer.concat([Buffer.from(head), bytes]);
        expect(() => readEnvelope(stored)).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  test('no text of somebody else is taken for ours', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!/^rc\d+ /.test(text));
        expect(readBoth(text)).toEqual({ is: 'foreign' });
      }),
    );
  });

  test('what is cut off anywhere is never read as something shorter', () => {
    fc.assert(
      fc.property(
        header,
        compressed,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (said, packed, at) => {
          const head = valueHead(said, 'json', packed);
          const cut = head.slice(0, Math.floor(at * (head.length - 1)));
          expect(['foreign', 'unreadable']).toContain(readBoth(cut).is);
        },
      ),
    );
  });
});

test.each([
  { ttlMs: 1, tailMs: 0, loadMs: 0, epoch: 0 },
  { ttlMs: 1, tailMs: 0, loadMs: 0, epoch: 0, tags: ['a e0', 'e0'] },
])('an envelope that was made of epoch 0 is given its own: %o', (facts) => {
  const header = headerOf(facts);
  const compressed = { algorithm: 'gzip', rawBytes: 10 };
  for (const head of [valueHead(header, 'json'), valueHead(header, 'e0', compressed)])
    for (const body of ['', '"a"', ' e0 e0\n e0', 'é'])
      for (const made of [head + body, Buffer.from(head + body)]) {
        const dated = atEpoch(made, 1_795_000_000_000_001);
        expect(Buffer.isBuffer(dated)).toBe(Buffer.isBuffer(made));
        const found = readEnvelope(dated);
        if (found.is !== 'value') throw new Error(`it is ${found.is}`);
        expect(found.header).toEqual({ ...header, epoch: 1_795_000_000_000_001 });
        expect(String(dated).slice(found.bodyAt)).toBe(body);
      }
  const absent = readEnvelope(atEpoch(absentEnvelope(header), 7));
  expect(absent).toMatchObject({ is: 'absent', header: { epoch: 7 } });
});

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { bytes } from '../src/codecs/bytes.ts';
import type { Codec } from '../src/codecs/codec.ts';
import { msgpack } from '../src/codecs/msgpack.ts';
import { text } from '../src/codecs/text.ts';
import {
  absentEnvelope,
  FOREIGN_HEADER,
  headerOf,
  placeholder,
  valueHead,
} from '../src/envelope.ts';
import { type Decoded, type Encoded, type FormatOptions, ValueFormat } from '../src/value.ts';
import { storedJson } from './support/stored.ts';

const FACTS = { ttlMs: 60_000, tailMs: 5_000, loadMs: 12, epoch: 7, tags: ['a', 'b c'] };
const READ_AS_TEXT = { is: 'unreadable', reason: 'its bytes were read as text', asBytes: true };
const formatOf = (options: Partial<FormatOptions> = {}): ValueFormat =>
  new ValueFormat({ freeze: true, ...options });

/** As they come back from Redis, where everything is bytes. */
const received = ({ envelope }: Encoded): Buffer => Buffer.from(envelope as string);

function encodeNow(format: ValueFormat, value: unknown, key = 'k'): Encoded {
  const encoded = format.encode(value, key, FACTS);
  expect(encoded).not.toBeInstanceOf(Promise);
  return encoded as Encoded;
}

function decodeNow(format: ValueFormat, stored: string | Buffer): Decoded {
  const decoded = format.decode(stored, 'k');
  expect(decoded).not.toBeInstanceOf(Promise);
  return decoded as Decoded;
}

const deeplyFrozen = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (Object.isFrozen(value) && Object.values(value).every(deeplyFrozen));

describe('a value on its way to Redis', () => {
  test('is answered as every other process will read it, with all that is said of it', () => {
    const encoded = encodeNow(formatOf(), { at: new Date(0) });
    expect(encoded).toMatchObject({
      kind: 'present',
      value: { at: '1970-01-01T00:00:00.000Z' },
      header: FACTS,
    });
    const { value, header, bytes: size } = encoded;
    for (const stored of [encoded.envelope, received(encoded)])
      expect(decodeNow(formatOf(), stored)).toEqual({ is: 'value', value, header, bytes: size });
  });

  test("is a copy: the loader's own object stays as it was", () => {
    const own = { list: [1] };
    const { value } = encodeNow(formatOf(), own);
    expect(value).not.toBe(own);
    expect(Object.isFrozen(own)).toBe(false);
    expect(deeplyFrozen(value)).toBe(true);
  });

  test('undefined is an absence with what is said of it; others are values', () => {
    const encoded = encodeNow(formatOf(), undefined);
    expect(encoded).toMatchObject({ kind: 'negative', value: undefined, bytes: 0 });
    const { header } = encoded;
    expect(header).toMatchObject(FACTS);
    for (const stored of [encoded.envelope, received(encoded)])
      expect(decodeNow(formatOf(), stored)).toEqual({ is: 'absent', header });
    for (const value of [null, '', 0, false, []])
      expect(encodeNow(formatOf(), value)).toMatchObject({ kind: 'present', value });
  });

  test('bytes are those of the encoded text, not its characters', () => {
    expect(encodeNow(formatOf(), 'é€').bytes).toBe(2 + 2 + 3);
  });

  test('what a codec cannot hold, or does not give back, is a CodecError', () => {
    const broken = (parts: Partial<Codec>): ValueFormat =>
      formatOf({ codec: { ...text, name: 'broken', ...parts } as Codec });
    const encode = (format: ValueFormat, value: unknown) => () => format.encode(value, 'k', FACTS);
    const cause = new Error('a bug');
    const fail = (): never => {
      throw cause;
    };
    const failures: [() => unknown, object][] = [
      [encode(formatOf(), 1n), { message: expect.stringContaining('a BigInt at $') }],
      [
        encode(formatOf({ codec: text }), 'half \ud800'),
        { message: expect.stringContaining('half') },
      ],
      [encode(broken({ encode: fail }), 'x'), { cause }],
      [encode(broken({ decode: fail }), 'x'), { cause }],
      [encode(broken({ decode: () => undefined }), 'x'), {}],
      [encode(broken({ encode: () => Buffer.from('x') } as never), 'x'), {}],
      [encode(broken({ binary: true }), 'x'), {}],
    ];
    for (const [act, like] of failures)
      expect(act).toThrow(expect.objectContaining({ code: 'REDCACHE_CODEC', key: 'k', ...like }));
  });
});

describe('comes back equal, whatever it is (I15)', () => {
  const compress = { aboveBytes: 20, algorithm: 'brotli' } as const;

  test.each([undefined, compress])('any text, with compression %j', async (compressed) => {
    const format = formatOf({ codec: text, compress: compressed });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 60 }), async (value) => {
        const encoded = await format.encode(value, 'k', FACTS);
        expect(encoded.value).toBe(value);
        expect(await formatOf({ codec: text }).decode(received(encoded), 'k')).toMatchObject({
          is: 'value',
          value,
        });
      }),
    );
  });

  test.each([undefined, compress])('any bytes, with compression %j', async (compressed) => {
    const format = formatOf({ codec: bytes, compress: compressed });
    const repeated = fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.integer({ min: 1, max: 9 }));
    await fc.assert(
      fc.asyncProperty(repeated, async ([part, times]) => {
        const value = Buffer.concat(Array.from({ length: times }, () => part));
        const encoded = await format.encode(value, 'k', FACTS);
        expect(encoded.value).toEqual(value);
        expect(await formatOf({ codec: bytes }).decode(received(encoded), 'k')).toMatchObject({
          is: 'value',
          value,
          bytes: value.length,
        });
      }),
    );
  });

  test('what looks like anything of ours', () => {
    const format = formatOf({ codec: text });
    const header = headerOf(FACTS);
    for (const value of [placeholder('x'), absentEnvelope(header), valueHead(header, 'text')])
      expect(decodeNow(format, encodeNow(format, value).envelope)).toMatchObject({ value });
  });

  test.each([
    ['json', undefined],
    ['msgpack', msgpack],
  ])('5 MB of %s, compressed and not', async (_, codec) => {
    const value = Array.from({ length: 5_000 }, (_, i) => ({ i, text: `${i} `.repeat(200) }));
    for (const compressed of [undefined, { aboveBytes: 1_000, algorithm: 'gzip' } as const]) {
      const encoded = await formatOf({ codec, compress: compressed }).encode(value, 'k', FACTS);
      const decoded = (await formatOf({ codec }).decode(received(encoded), 'k')) as {
        value: unknown;
      };
      expect(decoded.value).toEqual(value);
    }
  });
});

describe('compression', () => {
  const compress = { aboveBytes: 100, algorithm: 'gzip' } as const;
  const format = formatOf({ compress });
  const long = 'Ada '.repeat(1_000);
  const huge = 'Ada '.repeat(100_000);

  test('begins above its size', () => {
    expect(typeof encodeNow(format, 'x'.repeat(98)).envelope).toBe('string'); // 100 with its quotes
    expect(Buffer.isBuffer(encodeNow(format, 'x'.repeat(99)).envelope)).toBe(true);
  });

  test('says in the header what it is, so that any reader can read it', () => {
    const encoded = encodeNow(format, long);
    expect(received(encoded).toString('latin1')).toMatch(/ zgzip:4002 e7 ta,b%20c\n/);
    expect(encoded.bytes).toBe(4_002);
    expect(decodeNow(formatOf(), received(encoded))).toEqual({
      is: 'value',
      value: long,
      bytes: 4_002,
      header: encoded.header,
    });
  });

  test('is left out where it does not help', async () => {
    const binary = formatOf({ codec: bytes, compress });
    for (const size of [1_000, 100_000]) {
      const random = randomBytes(size);
      const encoded = await binary.encode(random, 'k', FACTS);
      expect(received(encoded).toString('latin1')).not.toContain(' zgzip');
      expect(await binary.decode(received(encoded), 'k')).toMatchObject({ value: random });
    }
  });

  test('of a large value is answered later, and so is reading it', async () => {
    const encoding = format.encode(huge, 'k', FACTS);
    expect(encoding).toBeInstanceOf(Promise);
    const encoded = await encoding;
    expect(encoded.value).toBe(huge);
    const decoding = formatOf().decode(received(encoded), 'k');
    expect(decoding).toBeInstanceOf(Promise);
    expect(await decoding).toMatchObject({ is: 'value', value: huge });
  });

  test('is of the bytes as they were, though their owner changes them meanwhile', async () => {
    const binary = formatOf({ codec: bytes, compress });
    const own = Buffer.alloc(500_000, 'abc');
    const before = Buffer.from(own);
    const encoding = binary.encode(own, 'k', FACTS);
    own.fill(0);
    const encoded = await encoding;
    expect(before.equals(encoded.value as Buffer)).toBe(true);
    const decoded = (await binary.decode(received(encoded), 'k')) as { value: Buffer };
    expect(before.equals(decoded.value)).toBe(true);
  });

  test('of what is broken, or was read as text, is unreadable', async () => {
    for (const value of [long, huge]) {
      const stored = received(await format.encode(value, 'k', FACTS));
      expect(await format.decode(stored.subarray(0, -9), 'k')).toMatchObject({
        is: 'unreadable',
        reason: expect.any(Error),
      });
      expect(decodeNow(format, stored.toString())).toMatchObject(READ_AS_TEXT);
    }
  });
});

describe('what came from Redis', () => {
  const format = formatOf();

  test('has to be bytes for a binary codec and for one who compresses', () => {
    const compress = { aboveBytes: 1, algorithm: 'gzip' } as const;
    expect(formatOf().readsBytes).toBe(false);
    expect(formatOf({ codec: text }).readsBytes).toBe(false);
    expect(formatOf({ codec: bytes }).readsBytes).toBe(true);
    expect(formatOf({ compress }).readsBytes).toBe(true);
  });

  test('is a value, an absence or a load under way', () => {
    expect(decodeNow(format, storedJson('[1]'))).toMatchObject({
      is: 'value',
      value: [1],
      bytes: 3,
    });
    const header = headerOf(FACTS);
    expect(decodeNow(format, absentEnvelope(header))).toEqual({ is: 'absent', header });
    expect(decodeNow(format, placeholder('h'))).toEqual({ is: 'loading', holder: 'h' });
  });

  test('is unreadable when it is not ours, of another codec, or no JSON', () => {
    expect(decodeNow(format, 'plain')).toEqual({
      is: 'unreadable',
      reason: 'another program wrote it',
    });
    expect(decodeNow(format, encodeNow(formatOf({ codec: text }), '1').envelope)).toEqual({
      is: 'unreadable',
      reason: "codec 'text' wrote it, which is not the one in use",
    });
    expect(decodeNow(format, storedJson('{broken'))).toMatchObject({
      is: 'unreadable',
      reason: expect.any(SyntaxError),
    });
    const binary = formatOf({ codec: bytes });
    const asText = received(encodeNow(binary, Buffer.from('x'))).toString();
    expect(decodeNow(binary, asText)).toEqual(READ_AS_TEXT);
  });

  test.each([
    ['json', undefined],
    ['text', text],
    ['bytes', bytes],
    ['msgpack', msgpack],
  ])('never throws for %s, whatever stands there', async (name, codec) => {
    const header = headerOf(FACTS);
    const head = fc.constantFrom(
      '',
      'rc1 ',
      valueHead(header, name),
      valueHead(header, name, { algorithm: 'gzip', rawBytes: 10 }),
      valueHead(header, name, { algorithm: 'gzip', rawBytes: 10_000_000 }),
    );
    for (const foreign of ['absent', 'raw'] as const) {
      const reader = formatOf({ codec, foreign });
      await fc.assert(
        fc.asyncProperty(head, fc.uint8Array(), async (start, rest) => {
          const stored = Buffer.concat([Buffer.from(start), rest]);
          for (const each of [stored, stored.toString()])
            expect(['value', 'unreadable']).toContain((await reader.decode(each, 'k')).is);
        }),
      );
    }
  });
});

describe("another program's value, with 'raw'", () => {
  test('is what the codec reads in all of its bytes, with nothing known of it', () => {
    const header = FOREIGN_HEADER;
    const json = formatOf({ foreign: 'raw' });
    for (const stored of ['{"a":1}', Buffer.from('{"a":1}')])
      expect(decodeNow(json, stored)).toEqual({ is: 'value', value: { a: 1 }, bytes: 7, header });
    const raw = formatOf({ foreign: 'raw', codec: bytes });
    const any = Buffer.from([0xff, 0, 0x80]);
    expect(decodeNow(raw, any)).toEqual({ is: 'value', value: any, bytes: 3, header });
    const plain = formatOf({ foreign: 'raw', codec: text });
    expect(decodeNow(plain, Buffer.from('rc é'))).toMatchObject({ value: 'rc é' });
  });

  test('is unreadable when the codec cannot read it, or it is no text for one that reads text', () => {
    expect(decodeNow(formatOf({ foreign: 'raw' }), 'plain')).toMatchObject({ is: 'unreadable' });
    const plain = formatOf({ foreign: 'raw', codec: text });
    expect(decodeNow(plain, Buffer.from([0xff]))).toMatchObject({ is: 'unreadable' });
  });

  test('is not what another version of ours wrote', () => {
    const plain = formatOf({ foreign: 'raw', codec: text });
    expect(decodeNow(plain, 'rc2 v 0 0\n1')).toMatchObject({ is: 'unreadable' });
  });
});

describe('what callers get', () => {
  test('true: one frozen copy for all', () => {
    const format = formatOf();
    const { value } = encodeNow(format, { a: {} });
    expect(format.handOut(value)).toBe(value);
    expect(deeplyFrozen(value)).toBe(true);
  });

  test('true, of what cannot be frozen: a copy of his own for each', () => {
    const format = formatOf({ codec: msgpack });
    const { value } = encodeNow(format, { at: new Date(0), raw: Buffer.from('a'), rest: { n: 1 } });
    const mine = format.handOut(value) as { at: Date; raw: Buffer; rest: object };
    mine.at.setTime(5);
    mine.raw.fill(0);
    expect(format.handOut(value)).toEqual({
      at: new Date(0),
      raw: Buffer.from('a'),
      rest: { n: 1 },
    });
    expect(Object.isFrozen(mine.rest)).toBe(true);
  });

  test('Buffers: a private copy for each, unless freeze is false', () => {
    for (const freeze of [true, 'clone'] as const) {
      const format = formatOf({ codec: bytes, freeze });
      const { value } = encodeNow(format, Buffer.from('abc'));
      (format.handOut(value) as Buffer).fill(0);
      expect(format.handOut(value)).toEqual(Buffer.from('abc'));
    }
    const shared = formatOf({ codec: bytes, freeze: false });
    const { value } = encodeNow(shared, Buffer.from('abc'));
    expect(shared.handOut(value)).toBe(value);
  });

  test("'clone': a copy of his own for each, free to change", () => {
    const format = formatOf({ freeze: 'clone' });
    const { value } = encodeNow(format, { a: { n: 1 } });
    const mine = format.handOut(value) as { a: { n: number } };
    mine.a.n = 2;
    expect(format.handOut(value)).toEqual({ a: { n: 1 } });
  });

  test('false: one shared copy, as it is', () => {
    const format = formatOf({ freeze: false });
    const { value } = encodeNow(format, { a: {} });
    expect(format.handOut(value)).toBe(value);
    expect(Object.isFrozen(value)).toBe(false);
  });

  test('what is kept is not what is sent: nobody changes it in the queue of the connection', () => {
    const format = formatOf({ codec: bytes, freeze: false });
    const own = Buffer.from('abc');
    const encoded = encodeNow(format, own);
    own.fill(0);
    (encoded.value as Buffer).fill(0);
    expect(received(encoded).toString('latin1')).toMatch(/\nabc$/);
  });
});

describe('with a schema', () => {
  const At = v.object({
    at: v.pipe(
      v.string(),
      v.isoTimestamp(),
      v.transform((s) => new Date(s)),
    ),
  });
  const stored = { at: '1970-01-01T00:00:00.000Z' };

  test('Redis holds what was loaded, callers get what the schema makes of it', () => {
    const format = formatOf({ schema: At });
    const encoded = encodeNow(format, stored);
    expect(encoded.value).toEqual({ at: new Date(0) });
    expect(received(encoded).toString()).toContain(JSON.stringify(stored));
    expect(decodeNow(format, received(encoded))).toMatchObject({ value: { at: new Date(0) } });
    (format.handOut(encoded.value) as { at: Date }).at.setTime(5);
    expect(format.handOut(encoded.value)).toEqual({ at: new Date(0) });
  });

  test('an absence is not asked about', () => {
    expect(encodeNow(formatOf({ schema: At }), undefined)).toMatchObject({ kind: 'negative' });
  });

  test('a loaded value that it refuses is an error with the issues', () => {
    expect(() => formatOf({ schema: At }).encode({ at: 'soon' }, 'k', FACTS)).toThrow(
      expect.objectContaining({
        code: 'REDCACHE_SCHEMA',
        key: 'k',
        issues: [expect.objectContaining({ message: expect.any(String) })],
      }),
    );
  });

  test('a stored value that it refuses is unreadable', () => {
    expect(decodeNow(formatOf({ schema: At }), storedJson('{"at":7}'))).toMatchObject({
      is: 'unreadable',
      reason: { code: 'REDCACHE_SCHEMA' },
    });
  });

  test('that answers later, both ways', async () => {
    const Late = v.pipeAsync(
      v.string(),
      v.checkAsync(async (name) => name !== 'Eve'),
    );
    const format = formatOf({ schema: Late });
    const encoded = await format.encode('Ada', 'k', FACTS);
    expect(await format.decode(received(encoded), 'k')).toMatchObject({ value: 'Ada' });
    await expect(format.encode('Eve', 'k', FACTS)).rejects.toMatchObject({
      code: 'REDCACHE_SCHEMA',
    });
    expect(await format.decode(storedJson('"Eve"'), 'k')).toMatchObject({
      is: 'unreadable',
      reason: { code: 'REDCACHE_SCHEMA' },
    });
  });

  test('that throws or rejects: its error when loaded, unreadable when read', async () => {
    const bug = new Error('a bug');
    const judges = [
      () => {
        throw bug;
      },
      () => Promise.reject(bug),
    ];
    for (const judge of judges) {
      const schema = { '~standard': { version: 1, vendor: 'test', validate: judge } } as const;
      const format = formatOf({ schema });
      const encode = async (): Promise<unknown> => format.encode('x', 'k', FACTS);
      await expect(encode()).rejects.toBe(bug);
      expect(await format.decode(storedJson('"x"'), 'k')).toEqual({
        is: 'unreadable',
        reason: bug,
      });
    }
  });
});

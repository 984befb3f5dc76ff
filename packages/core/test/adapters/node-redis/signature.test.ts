import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plainRest, signatureOf, variantOf } from '../../../src/adapters/node-redis/signature.ts';

type Arg = string | Buffer;

/** A read as node-redis hands it to its cache. */
interface Call {
  readonly args: readonly Arg[];
  readonly keys: readonly Arg[];
  readonly database: number;
  readonly typeMapping: Record<number, unknown> | undefined;
  readonly transform: unknown;
  readonly preserve: unknown;
}

const plain: Call = {
  args: ['GET', 'k'],
  keys: ['k'],
  database: 0,
  typeMapping: undefined,
  transform: undefined,
  preserve: undefined,
};

/** Where its reply is filed, and by what it is joined; nothing if it is not to be kept. */
function placeOf(call: Call): { place: readonly string[]; joined: string } | undefined {
  const variant = variantOf(call.database, call.typeMapping, call.transform, call.preserve);
  if (variant === undefined) return undefined;
  const { keys, whole, rest } = signatureOf(call.args, call.keys, variant);
  const place = rest === undefined ? ['reply', whole] : ['key', keys[0] as string, rest];
  return { place, joined: whole };
}

const isShared = (a: Call, b: Call): boolean => {
  const [one, other] = [placeOf(a), placeOf(b)];
  if (one === undefined || other === undefined) return false;
  return JSON.stringify(one.place) === JSON.stringify(other.place) || one.joined === other.joined;
};

const upper = (reply: unknown): unknown => reply;
const lower = (reply: unknown): unknown => reply;

/** What else than the bytes a call is: all that makes another reply of the same command. */
function likeness({ args, keys, database, typeMapping, transform, preserve }: Call): string {
  const types = Object.entries(typeMapping ?? {}).filter(([, type]) => typeof type === 'function');
  const named = types.map(([reply, type]) => [reply, (type as { name: string }).name]).sort();
  const asText = (each: Arg): unknown => (typeof each === 'string' ? each : [...each.values()]);
  const chosen = transform === upper ? 'upper' : transform === lower ? 'lower' : 'none';
  return JSON.stringify([
    args.map(asText),
    keys.map(asText),
    database,
    named,
    chosen,
    preserve === undefined ? 'none' : [preserve],
  ]);
}

const anyArg: fc.Arbitrary<Arg> = fc.oneof(
  fc.constantFrom('k', '', 's1:k', 'b1:k', 's3:GETs1:k', '1:', ':', 's', 'b', 'd1|', '12', 't1|'),
  fc.string({ unit: fc.constantFrom('s', 'b', '1', '2', ':', 'k', '|'), maxLength: 6 }),
  fc.string({ unit: 'binary', maxLength: 3 }),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('k', 's1:k', 'ÿ').map((text) => Buffer.from(text)),
);

const anyCall: fc.Arbitrary<Call> = fc
  .record({
    name: fc.constantFrom('GET', 'get', 'MGET', 'HGETALL', 'JSON.GET'),
    rest: fc.array(anyArg, { minLength: 1, maxLength: 3 }),
    database: fc.nat(2),
    typeMapping: fc.option(
      fc.dictionary(fc.constantFrom('36', '43', '58'), fc.constantFrom(Buffer, String, Map)),
      { nil: undefined },
    ),
    transform: fc.constantFrom(undefined, upper, lower),
    preserve: fc.constantFrom(undefined, 'a', ['a'], ['a', 'b'], ['a","b'], [], ''),
  })
  .map(({ name, rest, ...others }) => ({
    args: [name, ...rest],
    // Which of them are keys, a command knows by its arguments.
    keys: rest.slice(0, 1 + (rest.reduce((sum, each) => sum + each.length, 0) % 3)),
    ...others,
  }));

/** One call, and another that differs from it in one thing at most. */
const anyPair = fc
  .tuple(
    anyCall,
    anyCall,
    fc.constantFrom<keyof Call | 'all'>(
      'args',
      'database',
      'typeMapping',
      'transform',
      'preserve',
      'all',
    ),
  )
  .map(([a, other, changed]): [Call, Call] => {
    if (changed === 'all') return [a, other];
    const { args, keys } = other;
    return [a, { ...a, ...(changed === 'args' ? { args, keys } : { [changed]: other[changed] }) }];
  });

test('two reads share a copy, or are joined, exactly if nothing tells them apart', () => {
  fc.assert(
    fc.property(anyPair, ([a, b]) => {
      expect(isShared(a, b)).toBe(likeness(a) === likeness(b));
      expect(isShared(a, structuredCloned(a))).toBe(true);
    }),
    { numRuns: 3_000 },
  );
});

/** The same call, of other objects. */
function structuredCloned({ args, keys, typeMapping, preserve, ...rest }: Call): Call {
  const copy = (each: Arg): Arg => (typeof each === 'string' ? each : Buffer.from(each));
  return {
    ...rest,
    args: args.map(copy),
    keys: keys.map(copy),
    typeMapping: typeMapping === undefined ? undefined : { ...typeMapping },
    preserve: Array.isArray(preserve) ? [...preserve] : preserve,
  };
}

describe('told apart', () => {
  const pairs: [string, Partial<Call>, Partial<Call>][] = [
    ['where one argument ends', { args: ['GET', 'ab', 'c'] }, { args: ['GET', 'a', 'bc'] }],
    [
      'an argument that looks like two',
      { args: ['GET', 'k', 'as1:b'] },
      { args: ['GET', 'k', 'a', 'b'] },
    ],
    ['text and bytes', { args: ['GET', 'k'] }, { args: ['GET', Buffer.from('k')] }],
    [
      'bytes that are no text',
      { args: ['GET', Buffer.from([0xff])], keys: [Buffer.from([0xff])] },
      { args: ['GET', Buffer.from([0xfe])], keys: [Buffer.from([0xfe])] },
    ],
    [
      'bytes that are the UTF-8 of others read as Latin-1',
      { args: ['GET', Buffer.from('ÿ')] },
      { args: ['GET', Buffer.from([0xff])] },
    ],
    ['databases', { database: 1 }, {}],
    ['databases 1 and 10', { database: 1 }, { database: 10 }],
    ['a type mapping', { typeMapping: { 36: Buffer } }, {}],
    [
      'type mappings to other types',
      { typeMapping: { 36: Buffer } },
      { typeMapping: { 36: String } },
    ],
    [
      'type mappings of other replies',
      { typeMapping: { 36: Buffer } },
      { typeMapping: { 43: Buffer } },
    ],
    ['transformations of the same text', { transform: upper }, { transform: lower }],
    ['a transformation', { transform: upper }, {}],
    ['what was laid aside', { preserve: ['a'] }, { preserve: ['b'] }],
    [
      'what was laid aside, two words that look like one',
      { preserve: ['a', 'b'] },
      { preserve: ['a","b'] },
    ],
  ];
  test.for(pairs)('%s', ([, a, b]) => {
    expect(isShared({ ...plain, ...a }, { ...plain, ...b })).toBe(false);
  });
});

describe('shared', () => {
  const pairs: [string, Partial<Call>, Partial<Call>][] = [
    ['a mapping that maps nothing and none', { typeMapping: {} }, {}],
    ['a mapping to undefined and none', { typeMapping: { 36: undefined } }, {}],
    [
      'mappings of the same types in another order',
      {
        typeMapping: Object.fromEntries([
          ['43', Map],
          ['36', Buffer],
        ]),
      },
      { typeMapping: { 36: Buffer, 43: Map } },
    ],
  ];
  test.for(pairs)('%s', ([, a, b]) => {
    expect(isShared({ ...plain, ...a }, { ...plain, ...b })).toBe(true);
  });
});

test.for([5, {}, [1], ['a', null], Buffer.from('x'), null])(
  'with %j laid aside nothing is kept, since it may be anything',
  (preserve) => {
    expect(placeOf({ ...plain, preserve })).toBeUndefined();
  },
);

describe('the commonest shape, a name and one key in text', () => {
  test('is filed by its name alone', () => {
    expect(plainRest(['GET', 'k'], ['k'], '')).toBe('GET');
    expect(signatureOf(['GET', 'k'], ['k'], '')).toMatchObject({ keys: ['k'], rest: 'GET' });
    const variant = variantOf(3, undefined, undefined, undefined) as string;
    expect(plainRest(['GET', 'k'], ['k'], variant)).toBe(`${variant}GET`);
  });

  test.for<[string, readonly Arg[], readonly Arg[]]>([
    ['more arguments', ['HGET', 'k', 'f'], ['k']],
    ['no key', ['GET', 'k'], []],
    ['more keys', ['MGET', 'a', 'b'], ['a', 'b']],
    ['a key of bytes', ['GET', Buffer.from('k')], [Buffer.from('k')]],
    ['a name of bytes', [Buffer.from('GET'), 'k'], ['k']],
  ])('is not %s', ([, args, keys]) => {
    expect(plainRest(args, keys, '')).toBeUndefined();
  });

  test('one key with more arguments is filed under the key, several are not', () => {
    expect(signatureOf(['HGET', 'k', 'f'], ['k'], '').rest).toBeTypeOf('string');
    expect(signatureOf(['MGET', 'a', 'b'], ['a', 'b'], '').rest).toBeUndefined();
  });

  test('keys are named as a push names them', () => {
    expect(signatureOf(['MGET', 'ä', Buffer.from('ä')], ['ä', Buffer.from('ä')], '').keys).toEqual([
      'ä',
      'ä',
    ]);
  });
});

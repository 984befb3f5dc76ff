import fc from 'fast-check';

/** As node-redis has it for a type mapping that asks for it. */
export class FormattedText extends String {
  format: string;

  constructor(format: string, text: string) {
    super(text);
    this.format = format;
  }
}

/** As node-redis has it among replies. */
export class ReplyError extends Error {}

/** What a reviver may make of a part of a JSON document. */
export class Money {
  amount: unknown;

  constructor(amount: unknown) {
    this.amount = amount;
  }
}

const field = fc.oneof(
  { weight: 4, arbitrary: fc.string() },
  { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', 'length') },
  { weight: 1, arbitrary: fc.nat().map(String) },
);

const record = (value: fc.Arbitrary<unknown>): fc.Arbitrary<object> =>
  fc
    .tuple(fc.array(fc.tuple(field, value)), fc.constantFrom('plain', 'plain', 'bare'))
    .map(([fields, kind]) => {
      // As entries, so that a field may be called __proto__.
      const made = Object.fromEntries(fields);
      return kind === 'plain' ? made : Object.setPrototypeOf(made, null);
    });

const leaf = fc.oneof(
  fc.string(),
  fc.double(),
  fc.bigInt(),
  fc.constantFrom(null, true, false, undefined),
);

/** All that can be frozen. */
export const freezableReply: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('reply')),
    record(tie('reply')),
  ),
})).reply;

/** All that a reply may be made of, nested. */
export const anyReply: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie('reply')),
    record(tie('reply')),
    fc.array(fc.tuple(tie('reply'), tie('reply'))).map((entries) => new Map(entries)),
    fc.array(tie('reply')).map((items) => new Set(items)),
    fc.string().map((text) => new FormattedText('txt', text)),
    fc.string().map((message) => new ReplyError(message)),
    fc.date().map((date) => new Date(date)),
    tie('reply').map((amount) => new Money(amount)),
  ),
})).reply;

/** Every object in it that can be changed, bytes included. */
export function partsOf(value: unknown, parts: Set<object> = new Set()): Set<object> {
  if (typeof value !== 'object' || value === null) return parts;
  parts.add(value);
  if (Buffer.isBuffer(value)) return parts;
  const inner =
    value instanceof Map
      ? [...value].flat()
      : value instanceof Set
        ? [...value]
        : Object.values(value);
  for (const part of inner) partsOf(part, parts);
  return parts;
}

const names = new WeakMap<object, string>();

/** Objects are compared by what is in them, prototypes have to be the same. */
function nameOf(prototype: object | null): string {
  if (prototype === null) return 'none';
  const name = names.get(prototype) ?? `${prototype.constructor?.name} ${Math.random()}`;
  names.set(prototype, name);
  return name;
}

/**
 * All that can be seen of a reply: types, prototypes and the order of fields included, which
 * `toStrictEqual` does not tell apart.
 */
export function portrait(value: unknown): unknown {
  if (typeof value !== 'object' || value === null)
    return Object.is(value, -0) ? '-0' : [typeof value, String(value)];
  const prototype = nameOf(Object.getPrototypeOf(value));
  const own = Reflect.ownKeys(value).map((name) => {
    const { value: held, ...traits } = Object.getOwnPropertyDescriptor(value, name) ?? {};
    return [name, portrait(held), traits];
  });
  const inside =
    value instanceof Map
      ? [...value].map(([key, each]) => [portrait(key), portrait(each)])
      : value instanceof Set
        ? [...value].map(portrait)
        : value instanceof Date || value instanceof String
          ? String(value.valueOf())
          : undefined;
  return { type: Object.prototype.toString.call(value), prototype, own, inside };
}

import { isDeepStrictEqual, types } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { handOut, keep } from '../../../../src/adapters/node-redis/replies/index.ts';
import { anyReply, FormattedText, Money, partsOf, portrait, ReplyError } from './any-reply.ts';

const copyOf = (reply: unknown): unknown => handOut(keep(reply));
const numbered = (count: number, name = 'field'): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}${i}`, `value${i}`]));

/** Changes everything in it that can be changed. */
function spoil(reply: unknown): void {
  for (const part of partsOf(reply)) {
    if (Buffer.isBuffer(part)) part.fill(part.length === 0 ? 0 : ~(part[0] ?? 0));
    else if (part instanceof Map || part instanceof Set) part.clear();
    else if (part instanceof Date) part.setTime(1);
    else if (Array.isArray(part)) part.splice(0, part.length, 'spoilt');
    else {
      for (const name of Object.keys(part))
        if (Object.getOwnPropertyDescriptor(part, name)?.configurable)
          Reflect.deleteProperty(part, name);
      Object.assign(part, { spoilt: true });
    }
  }
}

describe('any reply', () => {
  test('is handed out looking in all respects like itself', () => {
    fc.assert(
      fc.property(anyReply, (reply) => {
        expect(portrait(copyOf(reply))).toEqual(portrait(reply));
        expect(isDeepStrictEqual(copyOf(reply), reply)).toBe(true);
      }),
    );
  });

  test('shares nothing that can be changed with what is handed out, nor do two of these', () => {
    fc.assert(
      fc.property(anyReply, (reply) => {
        const kept = keep(reply);
        const each = [reply, handOut(kept), handOut(kept)].map((value) => partsOf(value));
        const all = new Set(each.flatMap((parts) => [...parts]));
        expect(all.size).toBe(each.reduce((sum, parts) => sum + parts.size, 0));
      }),
    );
  });

  test('is handed out as it was, whatever its receivers did to it and to the original', () => {
    fc.assert(
      fc.property(anyReply, (reply) => {
        const before = portrait(reply);
        const kept = keep(reply);
        spoil(reply);
        spoil(handOut(kept));
        expect(portrait(handOut(kept))).toEqual(before);
      }),
    );
  });
});

test.for(['text', '', 0, -0, Number.NaN, 12n, true, false, null, undefined])(
  'an immutable reply, %s, is stored and handed out as itself',
  (reply) => {
    expect(keep(reply)).toBe(reply);
    expect(handOut(reply)).toBe(reply);
  },
);

describe('an object', () => {
  test.for([0, 1, 20, 64, 65, 1000, 1100])('of %i fields is copied', (count) => {
    const reply = numbered(count);
    const kept = keep(reply);
    expect(portrait(handOut(kept))).toEqual(portrait(reply));
    expect(handOut(kept)).not.toBe(handOut(kept));
  });

  test('is copied although there are more shapes than are told apart', () => {
    const replies = Array.from({ length: 600 }, (_, i) => numbered(5, `of${i}-`));
    const kept = replies.map(keep);
    expect(kept.map(handOut)).toStrictEqual(replies);
  });

  test('has copies of its own of what is in its fields', () => {
    const reply = { text: 't', list: ['a'], deep: { bytes: Buffer.from('b') } };
    const kept = keep(reply);
    const first = handOut(kept) as typeof reply;
    first.list.push('spoilt');
    first.deep.bytes[0] = 0;
    expect(handOut(kept)).toStrictEqual(reply);
    expect(Object.keys(first)).toEqual(['text', 'list', 'deep']);
  });

  test.for([
    ['with a text in it', '{"a":1,"__proto__":"text"}'],
    ['with an object in it', '{"a":1,"__proto__":{"admin":true}}'],
  ] as const)('keeps a field called __proto__ a field, %s', ([, json]) => {
    const copied = copyOf(JSON.parse(json)) as { admin?: boolean };
    expect(JSON.stringify(copied)).toBe(json);
    expect(Object.getPrototypeOf(copied)).toBe(Object.prototype);
    expect(copied.admin).toBeUndefined();
  });

  test('without a prototype has none', () => {
    const reply = Object.assign(Object.create(null), { field: 'value' });
    expect(Object.getPrototypeOf(copyOf(reply))).toBeNull();
    expect(copyOf(reply)).toStrictEqual(reply);
  });

  test('of a class is one of that class', () => {
    const copied = copyOf([new Money(1n)]) as [Money];
    expect(copied[0]).toBeInstanceOf(Money);
    expect(copied[0].amount).toBe(1n);
  });

  test('whose prototype has a setter for one of its fields has the field', () => {
    const guarded = {
      set name(_: string) {
        throw new Error('was called');
      },
    };
    const reply = Object.defineProperty(Object.create(guarded), 'name', {
      configurable: true,
      enumerable: true,
      writable: true,
      value: 'n',
    });
    expect(Object.entries(copyOf(reply) as object)).toEqual([['name', 'n']]);
  });
});

describe('bytes', () => {
  test('are a Buffer, and neither a view of the chunk they came in nor of the pool', () => {
    const chunk = Buffer.from('..bytes..');
    const kept = keep(chunk.subarray(2, 7));
    chunk.fill(0);
    const copied = handOut(kept) as Buffer;
    expect(Buffer.isBuffer(copied)).toBe(true);
    expect(copied.toString()).toBe('bytes');
    copied.fill(0);
    expect(String(handOut(kept))).toBe('bytes');
  });

  test('may be in lists, objects, maps and sets', () => {
    const bytes = Buffer.from('b');
    for (const reply of [[bytes], { bytes }, new Map([['k', bytes]]), new Set([bytes])]) {
      expect(copyOf(reply)).toStrictEqual(reply);
      expect(partsOf(copyOf(reply)).has(bytes)).toBe(false);
    }
  });
});

describe('what is more than its fields', () => {
  test('an error among replies stays an error of its class, with its message and stack', () => {
    const error = Object.assign(new ReplyError('WRONGTYPE'), { replies: ['a'] });
    const [copied] = copyOf([error]) as [typeof error];
    expect(copied).toBeInstanceOf(ReplyError);
    expect(types.isNativeError(copied)).toBe(true);
    expect([copied.message, copied.stack]).toEqual([error.message, error.stack]);
    expect(copied.replies).toEqual(['a']);
    expect(copied.replies).not.toBe(error.replies);
  });

  test('a text with a format keeps both', () => {
    const copied = copyOf(new FormattedText('mkd', '# a')) as FormattedText;
    expect(copied).toBeInstanceOf(FormattedText);
    expect([copied.valueOf(), copied.format, copied.length]).toEqual(['# a', 'mkd', 3]);
  });

  test.for([new Date(5), /a/g, new Uint8Array([1, 2]), new Float32Array([0.5])])(
    '%o is copied',
    (reply) => {
      expect(copyOf(reply)).toStrictEqual(reply);
      expect(copyOf(reply)).not.toBe(reply);
    },
  );
});

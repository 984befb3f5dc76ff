import type { Kept } from './kept.ts';
import { type Shape, shapeOf } from './shapes.ts';

type Fields = Record<string, unknown>;

/** Beyond this, V8 builds an object field by field slower than one without a shape. */
const maxTemplateFields = 64;

/** As many fields V8 adds by computed names before it makes a dictionary. */
const maxComputedFields = 12;

/**
 * V8 13 (Node 24) copies in `Object.assign` a whole object of whatever shape at once. Before that
 * only object spread does, for up to four shapes at a place; for more, both go field by field.
 */
const cloneTemplate: (template: Fields) => Fields =
  Number.parseInt(process.versions.v8, 10) >= 13
    ? (template) => Object.assign({}, template)
    : (template) => ({ ...template });

/** The kept form of an object; `keep` keeps what is in its fields. */
export function keepRecord(reply: Fields, keep: (value: unknown) => unknown): Kept {
  const fields = Object.keys(reply);
  const values = Object.values(reply);
  const parts: [string, Kept][] = [];
  for (let position = 0; position < values.length; position++) {
    const kept = keep(values[position]);
    if (typeof kept !== 'object' || kept === null) continue;
    parts.push([fields[position] as string, kept as Kept]);
    values[position] = null;
  }
  const flat = keepFlat(fields, values, Object.getPrototypeOf(reply));
  return parts.length === 0 ? flat : new RecordTree(flat, parts);
}

function keepFlat(fields: string[], values: unknown[], prototype: object | null): FlatRecord {
  const shape = mayBeTemplate(fields, prototype) ? shapeOf(fields) : undefined;
  return shape === undefined
    ? new LooseRecord(fields, values, prototype)
    : new TemplateRecord(shape, values);
}

function mayBeTemplate(fields: readonly string[], prototype: object | null): boolean {
  if (prototype !== Object.prototype || fields.length > maxTemplateFields) return false;
  // `Object.assign` would make it the prototype.
  if (fields.includes('__proto__')) return false;
  // Fields that are numbers come first. V8 keeps them apart, and copies them one by one.
  const [first = ''] = fields;
  return !(first.charCodeAt(0) <= codeOf9 && /^\d+$/.test(first));
}

const codeOf9 = 57;

interface FlatRecord extends Kept {
  copy(): Fields;
}

/** An object of a shape that V8 knows: a copy is little more than a copy of its memory. */
class TemplateRecord implements FlatRecord {
  /** Held for as long as the template is, because it is counted by that. */
  readonly shape: Shape;
  readonly #template: Fields;

  constructor(shape: Shape, values: readonly unknown[]) {
    this.shape = shape;
    const filled: Fields = {};
    const { fields } = shape;
    for (let position = 0; position < fields.length; position++)
      filled[fields[position] as string] = values[position];
    // V8 has made a dictionary of an object that was given many fields by computed names. Spread
    // gives it a shape again.
    this.#template = fields.length <= maxComputedFields ? filled : { ...filled };
  }

  copy(): Fields {
    return cloneTemplate(this.#template);
  }
}

/**
 * Any other object: of many fields, of fields that hardly another object has, without a prototype or
 * with one of its own.
 */
class LooseRecord implements FlatRecord {
  readonly #fields: readonly string[];
  readonly #values: readonly unknown[];
  readonly #prototype: object | null;

  constructor(fields: readonly string[], values: readonly unknown[], prototype: object | null) {
    this.#fields = fields;
    this.#values = values;
    this.#prototype = prototype;
  }

  copy(): Fields {
    const fields = this.#fields;
    const values = this.#values;
    // Without a prototype it is a dictionary from its first field on, so no shapes are made, and
    // `__proto__` is a field like another.
    const copied: Fields = Object.create(null);
    for (let position = 0; position < fields.length; position++)
      copied[fields[position] as string] = values[position];
    return this.#prototype === null ? copied : Object.setPrototypeOf(copied, this.#prototype);
  }
}

/** An object with mutable values in some fields: the flat copy has `null` where they belong. */
class RecordTree implements Kept {
  readonly #flat: FlatRecord;
  readonly #parts: readonly (readonly [field: string, part: Kept])[];

  constructor(flat: FlatRecord, parts: readonly (readonly [string, Kept])[]) {
    this.#flat = flat;
    this.#parts = parts;
  }

  copy(): Fields {
    const copied = this.#flat.copy();
    // The field is there already, so even for `__proto__` this assigns to the field.
    for (const [field, part] of this.#parts) copied[field] = part.copy();
    return copied;
  }
}

import { types } from 'node:util';
import type { Kept } from './kept.ts';

type Copy = (value: unknown) => unknown;

/**
 * An object that is more than its fields: a string with a format, an error among replies, and what a
 * reviver of JSON can make of a document, such as a date.
 */
export class ForeignObject implements Kept {
  readonly #object: object;
  readonly #copyField: Copy;

  constructor(reply: object, copyField: Copy) {
    this.#copyField = copyField;
    this.#object = copyOf(reply, copyField);
  }

  static isOne(value: object): boolean {
    return (
      types.isBoxedPrimitive(value) ||
      types.isNativeError(value) ||
      types.isDate(value) ||
      types.isRegExp(value) ||
      types.isAnyArrayBuffer(value) ||
      ArrayBuffer.isView(value)
    );
  }

  copy(): object {
    return copyOf(this.#object, this.#copyField);
  }
}

/** `structuredClone` copies what is not in fields, but makes plain objects of subclasses. */
function copyOf(object: object, copyField: Copy): object {
  const copied: object = structuredClone(withoutFields(object));
  Object.setPrototypeOf(copied, Object.getPrototypeOf(object));
  for (const [name, field] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
    if (Object.getOwnPropertyDescriptor(copied, name)?.configurable === false) continue;
    if (ArrayBuffer.isView(object) && /^\d+$/.test(name)) continue;
    if ('value' in field) field.value = copyField(field.value);
    Object.defineProperty(copied, name, field);
  }
  // Since Node 21 it is read and written by accessors, which go by the object they are called on.
  if (types.isNativeError(object) && Object.hasOwn(object, 'stack'))
    Reflect.set(copied, 'stack', object.stack);
  return copied;
}

/** An error's fields may hold what `structuredClone` refuses; they are copied afterwards anyway. */
const withoutFields = (object: object): object =>
  types.isNativeError(object) ? new Error() : object;

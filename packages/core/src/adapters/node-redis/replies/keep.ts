import { types } from 'node:util';
import { ForeignObject } from './foreign-object.ts';
import type { Kept } from './kept.ts';
import { keepRecord } from './record.ts';

/**
 * What to store for a reply, so that {@link handOut} can copy it without looking into it again.
 * Takes a private copy: the reply itself goes to the first caller, who may change it.
 *
 * Replies are trees of arrays, objects, maps, sets and Buffers over immutable leaves. An immutable
 * reply is stored as itself.
 */
export function keep(reply: unknown): unknown {
  if (typeof reply !== 'object' || reply === null) return reply;
  if (Array.isArray(reply)) return keepArray(reply);
  // node-redis makes the bytes of a field called `__proto__` the prototype of its object, which then
  // passes for a Buffer and is none.
  if (types.isUint8Array(reply) && Buffer.isBuffer(reply)) return new KeptBytes(reply);
  if (reply instanceof Map) return keepMap(reply);
  if (reply instanceof Set) return keepSet(reply);
  if (ForeignObject.isOne(reply)) return new ForeignObject(reply, (field) => handOut(keep(field)));
  return keepRecord(reply as Record<string, unknown>, keep);
}

/** A reply that its receiver may change, from what {@link keep} or `freezeReply` answered for it. */
export function handOut(kept: unknown): unknown {
  return typeof kept === 'object' && kept !== null ? (kept as Kept).copy() : kept;
}

/** A mutable part of `parent`, or undefined for what may be shared. */
const asKept = (part: unknown): Kept | undefined =>
  typeof part === 'object' && part !== null ? (part as Kept) : undefined;

class KeptBytes implements Kept {
  readonly #bytes: Buffer;

  constructor(reply: Buffer) {
    // Neither a view of the chunk it was read from nor a piece of Node's pool: an entry of a few
    // bytes would keep all of that in memory.
    this.#bytes = Buffer.allocUnsafeSlow(reply.length);
    this.#bytes.set(reply);
  }

  copy(): Buffer {
    return Buffer.from(this.#bytes);
  }
}

function keepArray(reply: readonly unknown[]): Kept {
  const items = reply.map(keep);
  const flat = new FlatArray(items);
  const parts = partsOf(items);
  return parts.length === 0 ? flat : new ArrayTree(items, parts);
}

class FlatArray implements Kept {
  readonly #items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.#items = items;
  }

  copy(): unknown[] {
    return this.#items.slice();
  }
}

/** Positions of what has to be copied, each with what copies it. */
type Parts = readonly (readonly [position: number, part: Kept])[];

function partsOf(items: readonly unknown[]): Parts {
  const parts: [number, Kept][] = [];
  for (const [position, item] of items.entries()) {
    const part = asKept(item);
    if (part !== undefined) parts.push([position, part]);
  }
  return parts;
}

class ArrayTree implements Kept {
  readonly #items: readonly unknown[];
  readonly #parts: Parts;

  constructor(items: readonly unknown[], parts: Parts) {
    this.#items = items;
    this.#parts = parts;
  }

  copy(): unknown[] {
    const copied = this.#items.slice();
    for (const [position, part] of this.#parts) copied[position] = part.copy();
    return copied;
  }
}

function keepMap(reply: ReadonlyMap<unknown, unknown>): Kept {
  const kept = [...reply].map(([key, value]) => [keep(key), keep(value)] as const);
  const flat = kept.every(([key, value]) => !asKept(key) && !asKept(value));
  return flat ? new FlatMap(new Map(kept)) : new MapTree(kept);
}

class FlatMap implements Kept {
  readonly #entries: ReadonlyMap<unknown, unknown>;

  constructor(entries: ReadonlyMap<unknown, unknown>) {
    this.#entries = entries;
  }

  copy(): Map<unknown, unknown> {
    return new Map(this.#entries);
  }
}

class MapTree implements Kept {
  readonly #entries: readonly (readonly [unknown, unknown])[];

  constructor(entries: readonly (readonly [unknown, unknown])[]) {
    this.#entries = entries;
  }

  copy(): Map<unknown, unknown> {
    const copied = new Map<unknown, unknown>();
    for (const [key, value] of this.#entries) copied.set(handOut(key), handOut(value));
    return copied;
  }
}

function keepSet(reply: ReadonlySet<unknown>): Kept {
  const items = [...reply].map(keep);
  return items.some(asKept) ? new SetTree(items) : new FlatSet(new Set(items));
}

class FlatSet implements Kept {
  readonly #items: ReadonlySet<unknown>;

  constructor(items: ReadonlySet<unknown>) {
    this.#items = items;
  }

  copy(): Set<unknown> {
    return new Set(this.#items);
  }
}

class SetTree implements Kept {
  readonly #items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.#items = items;
  }

  copy(): Set<unknown> {
    return new Set(this.#items.map(handOut));
  }
}

/**
 * A copy of a reply that its receiver may change. Replies are trees of arrays, plain objects, maps,
 * sets and Buffers over immutable leaves; `structuredClone` would turn a Buffer into a Uint8Array
 * and drop prototypes.
 */
export function copyReply<T>(reply: T): T {
  return copy(reply) as T;
}

const OWN_FIELD = { configurable: true, enumerable: true, writable: true } as const;

function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copy);
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (value instanceof Map)
    return new Map([...value].map(([key, each]) => [copy(key), copy(each)] as const));
  if (value instanceof Set) return new Set([...value].map(copy));
  // A verbatim string is a String object with a format; neither can be changed.
  if (value instanceof String) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return structuredClone(value);
  const copied = Object.create(prototype) as Record<string, unknown>;
  for (const [key, each] of Object.entries(value)) {
    // JSON may hold a field of this name, which an assignment would make the prototype.
    if (key === '__proto__')
      Object.defineProperty(copied, key, { ...OWN_FIELD, value: copy(each) });
    else copied[key] = copy(each);
  }
  return copied;
}

/** Bytes that a reply takes, as the store counts them: its strings and Buffers, 8 for other leaves. */
export function replyBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 8;
  if (Buffer.isBuffer(value)) return value.byteLength;
  if (value instanceof String) return Buffer.byteLength(value.valueOf());
  let bytes = 8;
  const parts: Iterable<unknown> =
    value instanceof Map || value instanceof Set || Array.isArray(value)
      ? value
      : Object.entries(value);
  for (const each of parts) bytes += replyBytes(each);
  return bytes;
}

/** Whether this is how commands answer for a key that does not exist. */
export function saysAbsent(reply: unknown): boolean {
  if (reply === null || reply === undefined || reply === 0 || reply === '') return true;
  // LPOS, TYPE, BITPOS and the like answer so for an empty key.
  if (reply === -1 || reply === -2 || reply === 'none') return true;
  if (typeof reply !== 'object') return false;
  if (Array.isArray(reply)) return reply.every(saysAbsent);
  if (reply instanceof Map || reply instanceof Set) return reply.size === 0;
  return Object.keys(reply).length === 0;
}

/** Bytes that a reply takes, as the store counts them: its strings and Buffers, 8 for other leaves. */
export function replyBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 8;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (value instanceof String) return Buffer.byteLength(value.valueOf());
  let bytes = 8;
  if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) bytes += replyBytes(item);
  } else if (value instanceof Map) {
    for (const [key, item] of value) bytes += 8 + replyBytes(key) + replyBytes(item);
  } else {
    for (const [field, item] of Object.entries(value))
      bytes += 8 + Buffer.byteLength(field) + replyBytes(item);
  }
  return bytes;
}

/** The keys of one lock in Redis. */
export interface LockKeys {
  readonly lock: string;
  /** Where the last fencing token stands: always in the slot of the lock. */
  readonly fence: string;
}

/**
 * The keys of the lock that its users call `key`.
 *
 * A cluster puts a key where the text between its first '{' and the next '}' says, if there is any,
 * else where the whole key says. The fence key begins with a tag that leads to the same slot: the
 * lock's own, else the whole lock key, and where that can't stand between braces a number found for
 * the slot. It begins with a brace, so it is no lock's key unless the prefix does too.
 */
export function lockKeys(prefix: string, key: string): LockKeys {
  const lock = `${prefix}${key}`;
  const tag = hashTag(lock);
  if (tag !== undefined) return { lock, fence: `{${tag}}:fence:${lock}` };
  if (!lock.includes('}')) return { lock, fence: `{${lock}}:fence` };
  return { lock, fence: `{${tagForSlot(slotOf(lock))}}:fence:${lock}` };
}

/** The part of a key that decides on its slot, if it is not the whole key. */
function hashTag(key: string): string | undefined {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : undefined;
}

const SLOTS = 16_384;

/** The slot of a key in a Redis cluster. */
export function slotOf(key: string): number {
  return crc16(Buffer.from(hashTag(key) ?? key)) % SLOTS;
}

/** Tags found so far, by slot: as many as there are slots at most. */
const tags = new Map<number, string>();

/** A short text whose slot is the given one. About as many are tried as there are slots. */
function tagForSlot(slot: number): string {
  const known = tags.get(slot);
  if (known !== undefined) return known;
  for (let i = 0; ; i += 1) {
    const tag = i.toString(36);
    if (slotOf(tag) !== slot) continue;
    tags.set(slot, tag);
    return tag;
  }
}

/** CRC-16/XMODEM, which Redis uses for slots. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes)
    crc = ((crc << 8) & 0xffff) ^ (CRC16_TABLE[(crc >> 8) ^ byte] as number);
  return crc;
}

const CRC16_TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

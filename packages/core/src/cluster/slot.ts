/** Slots that a Redis cluster shares out among its masters. */
export const SLOTS = 16_384;

/** Slots from the first to the second, both included. */
export type SlotRange = readonly [from: number, to: number];

/**
 * The slot of a key: the CRC-16 of what stands between its first `{` and the next `}`, of the whole
 * key where nothing does.
 */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return crc16(close > open + 1 ? key.slice(open + 1, close) : key) % SLOTS;
}

/** A short text of letters and digits in one of the ranges; `undefined` if they hold no slot. */
export function tagIn(ranges: readonly SlotRange[]): string | undefined {
  const holdsSlot = ([from, to]: SlotRange): boolean =>
    Math.ceil(Math.max(from, 0)) <= Math.floor(Math.min(to, SLOTS - 1));
  if (!ranges.some(holdsSlot)) return undefined;
  // Ends: counting up meets every slot (a test counts up to there).
  for (let i = 0; ; i += 1) {
    const tag = i.toString(36);
    const slot = crc16(tag) % SLOTS;
    if (ranges.some(([from, to]) => from <= slot && slot <= to)) return tag;
  }
}

/**
 * A short text of letters and digits whose slot it is.
 *
 * Throws: `RangeError` for what is no slot.
 */
export function tagFor(slot: number): string {
  const tag = tagIn([[slot, slot]]);
  if (tag === undefined) throw new RangeError(`no slot of a cluster: ${slot}`);
  return tag;
}

/** CRC-16/XMODEM of the text as UTF-8. */
function crc16(text: string): number {
  let crc = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return crc16OfBytes(Buffer.from(text));
    crc = next(crc, code);
  }
  return crc;
}

function crc16OfBytes(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = next(crc, byte);
  return crc;
}

const next = (crc: number, byte: number): number =>
  ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] as number);

const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

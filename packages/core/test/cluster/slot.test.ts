import { expect, test } from 'vitest';
import { SLOTS, slotOf, tagFor, tagIn } from '../../src/cluster/slot.ts';

/** The definition, bit by bit. */
function plainCrc16(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

test('counts as CRC-16/XMODEM does', () => {
  // 0x31c3 is the check value of that CRC; the key is in a slot below 2^14.
  expect(slotOf('123456789')).toBe(0x31c3 % SLOTS);
});

test('takes what stands between the first brace and the next closing one', () => {
  expect(slotOf('a{tag}b{other}')).toBe(slotOf('tag'));
  expect(slotOf('{{tag}}')).toBe(slotOf('{tag'));
  expect(slotOf('}{tag}')).toBe(slotOf('tag'));
});

test('takes the whole key where the braces are empty or not closed', () => {
  const whole = ['{}tag', '{}{tag}', '{tag', 'tag}', '}{', '{', '', 'é{}', '{ключ'];
  expect(whole.map(slotOf)).toEqual(whole.map((key) => plainCrc16(key) % SLOTS));
});

test('counting up meets every slot, and early', () => {
  const met = new Set<number>();
  let i = 0;
  for (; met.size < SLOTS && i < 1_000_000; i += 1) met.add(slotOf(i.toString(36)));
  expect(met.size).toBe(SLOTS);
  expect((i - 1).toString(36).length).toBeLessThanOrEqual(4);
});

test('the tag of a slot leads there', () => {
  for (const slot of [0, 1, 5460, 5461, 8191, 10923, 16383]) {
    const tag = tagFor(slot);
    expect(tag).toMatch(/^[a-z0-9]{1,4}$/);
    expect(slotOf(`redcache:probe:{${tag}}`)).toBe(slot);
  }
});

test('what is no slot has no tag', () => {
  for (const slot of [-1, SLOTS, 1.5, Number.NaN]) expect(() => tagFor(slot)).toThrow(RangeError);
});

test('finds a tag in the ranges of a node', () => {
  for (const ranges of [
    [[0, 5460]],
    [
      [16383, 16383],
      [7, 9],
    ],
    [[-5, 0]],
    [[16383, 99999]],
  ] as const) {
    const slot = slotOf(tagIn(ranges) ?? '');
    expect(ranges.some(([from, to]) => from <= slot && slot <= to)).toBe(true);
  }
});

test('a node without slots has no tag', () => {
  expect(tagIn([])).toBeUndefined();
  expect(tagIn([[5, 4]])).toBeUndefined();
  expect(tagIn([[16384, 20000]])).toBeUndefined();
});

import type { ManualClock } from '@redcache/core/testing';
import type { History } from './history.ts';
import { type Half, Node, type Slots } from './node.ts';

const SLOTS = 16_384;
const HALVES: readonly (readonly [from: number, to: number])[] = [
  [0, SLOTS / 2 - 1],
  [SLOTS / 2, SLOTS - 1],
];

/** The servers of one model and who of them owns which slots. A single one owns all, for good. */
export class Servers implements Slots {
  readonly nodes: readonly Node[];
  readonly isCluster: boolean;
  readonly #owners: [Node, Node];
  #epoch = 1;

  constructor(count: number, clock: ManualClock, history: History) {
    this.isCluster = count > 1;
    this.nodes = Array.from({ length: count }, (_, i) => new Node(`n${i}`, clock, history, this));
    const [first, second = first] = this.nodes as [Node, ...Node[]];
    // Of three, one begins with all slots: a node that loses some keeps others, and is used still.
    this.#owners = [first, count === 3 ? first : second];
  }

  owner(half: Half): Node {
    return this.#owners[half];
  }

  ownerOf(key: string): Node {
    return this.#owners[this.halfOf(key)];
  }

  get epoch(): number {
    return this.#epoch;
  }

  get table(): unknown {
    return HALVES.map(([from, to], half) => [
      from,
      to,
      ['127.0.0.1', 7000, this.#owners[half as Half].id],
    ]);
  }

  halfOf(key: string): Half {
    return slotOf(key) < SLOTS / 2 ? 0 : 1;
  }

  /** `keys`: with what they hold, or as a replica takes over, of which nobody is told. */
  move(half: Half, to: Node, how: 'migrate' | 'fail-over'): void {
    const from = this.#owners[half];
    if (!this.isCluster || from === to) return;
    this.#epoch += 1;
    if (how === 'migrate') from.migrate(half, to);
    else from.handOver(half, to);
    this.#owners[half] = to;
  }
}

/** CRC-16/XMODEM of what stands in braces, as the specification of clusters has it. */
function slotOf(key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1)
      crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc % SLOTS;
}

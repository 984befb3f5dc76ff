import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * What a process notes for whoever judges it afterwards, a line an entry. What is written stays
 * written, also if the process is killed right after; times and tokens may be bigints.
 */
export class Journal<E extends object> {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  write(entry: E): void {
    writeSync(this.#file, `${JSON.stringify(entry, bigintToText)}\n`);
  }
}

/** All entries, oldest first; none if the process never began. A line cut short by its end is left out. */
export function readJournal<E extends object>(path: string): E[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line, textToBigint) as E);
}

const bigintToText = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}n` : value;

const textToBigint = (_: string, value: unknown): unknown =>
  typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;

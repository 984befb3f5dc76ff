/** What Lua counts with. Text is one character for each byte, as in Lua itself. */
export type LuaValue = undefined | boolean | number | string | LuaTable | LuaFunction;
export type LuaFunction = (...args: LuaValue[]) => LuaValue[];

/** A table, whose keys 1, 2, … make a list. */
export class LuaTable {
  readonly #held = new Map<LuaValue, LuaValue>();

  static list(values: readonly LuaValue[]): LuaTable {
    const table = new LuaTable();
    for (const [i, value] of values.entries()) table.set(i + 1, value);
    return table;
  }

  static of(fields: Readonly<Record<string, LuaValue>>): LuaTable {
    const table = new LuaTable();
    for (const [name, value] of Object.entries(fields)) table.set(name, value);
    return table;
  }

  get(key: LuaValue): LuaValue {
    return this.#held.get(key);
  }

  set(key: LuaValue, value: LuaValue): void {
    if (value === undefined) this.#held.delete(key);
    else this.#held.set(key, value);
  }

  get length(): number {
    let length = 0;
    while (this.#held.has(length + 1)) length += 1;
    return length;
  }

  /** As far as nothing is left out. */
  toList(): LuaValue[] {
    return Array.from({ length: this.length }, (_, i) => this.#held.get(i + 1));
  }

  entries(): [LuaValue, LuaValue][] {
    return [...this.#held];
  }
}

/** An error that a script may catch. `value`: what it then has. */
export class LuaError extends Error {
  readonly value: LuaValue;

  constructor(value: LuaValue) {
    super(typeof value === 'string' ? value : 'a script failed');
    this.value = value;
  }
}

export function isTrue(value: LuaValue): boolean {
  return value !== undefined && value !== false;
}

export function typeOf(value: LuaValue): string {
  if (value === undefined) return 'nil';
  return value instanceof LuaTable ? 'table' : typeof value;
}

/** What `tonumber` answers. */
export function numberOf(value: LuaValue): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !/^\s*[+-]?(\d+\.?\d*(e[+-]?\d+)?|0x[\da-f]+)\s*$/i.test(value))
    return undefined;
  return Number(value);
}

/** What `tostring` answers. */
export function textOf(value: LuaValue): string {
  if (typeof value === 'number') return textOfNumber(value);
  if (value === undefined) return 'nil';
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  return typeOf(value);
}

/** As C's `%.14g`, by which Lua writes numbers: fourteen digits, and what is longer in powers of ten. */
function textOfNumber(value: number): string {
  const shown = Number(value.toPrecision(14));
  if (!Number.isFinite(shown) || shown === 0 || Math.abs(shown) < 1e14) return String(shown);
  return shown.toExponential().replace(/e\+(\d)$/, 'e+0$1');
}

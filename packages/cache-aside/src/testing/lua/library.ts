import { patternOf } from './pattern.ts';
import {
  isTrue,
  LuaError,
  type LuaFunction,
  LuaTable,
  type LuaValue,
  numberOf,
  textOf,
  typeOf,
} from './values.ts';

/** What scripts find there beside `redis`, `KEYS` and `ARGV`; no more than scripts of ours use. */
export function library(): readonly [string, LuaValue][] {
  return [
    ['tonumber', (value) => [numberOf(value)]],
    ['tostring', (value) => [textOf(value)]],
    ['type', (value) => [typeOf(value)]],
    ['pcall', protectedCall],
    ['error', fail],
    ['unpack', (list) => tableOf(list).toList()],
    ['ipairs', inOrder],
    ['pairs', (table) => [stepping(tableOf(table).entries()), table, undefined]],
    ['string', LuaTable.of({ sub, find, match, format, len, rep })],
    ['math', LuaTable.of({ floor: math(Math.floor), max: math(Math.max), min: math(Math.min) })],
    ['table', LuaTable.of({ insert, concat })],
  ];
}

const protectedCall: LuaFunction = (act, ...args) => {
  try {
    return [true, ...(act as LuaFunction)(...args)];
  } catch (error) {
    if (error instanceof LuaError) return [false, error.value];
    throw error;
  }
};

const fail: LuaFunction = (value) => {
  throw new LuaError(value);
};

const inOrder: LuaFunction = (list) => {
  const step: LuaFunction = (table, before) => {
    const place = Number(before) + 1;
    const value = tableOf(table).get(place);
    return value === undefined ? [undefined] : [place, value];
  };
  return [step, list, 0];
};

function stepping(entries: readonly [LuaValue, LuaValue][]): LuaFunction {
  let place = 0;
  return () => {
    const entry = entries[place];
    place += 1;
    return entry ?? [undefined];
  };
}

const sub: LuaFunction = (text, from, to) => {
  const of = textOf(text);
  const first = placeIn(of, Number(from));
  const last = to === undefined ? of.length : placeIn(of, Number(to));
  return [of.slice(Math.max(1, first) - 1, Math.max(0, last))];
};

/** Negative places count from the end. */
function placeIn(text: string, place: number): number {
  return place < 0 ? text.length + place + 1 : place;
}

const find: LuaFunction = (text, pattern, from, isPlain) => {
  const [of, sought, begin] = [textOf(text), textOf(pattern), Number(from ?? 1) - 1];
  if (isTrue(isPlain)) {
    const at = of.indexOf(sought, begin);
    return at < 0 ? [undefined] : [at + 1, at + sought.length];
  }
  const found = execute(sought, of, begin);
  return found === null
    ? [undefined]
    : [found.index + 1, found.index + found[0].length, ...found.slice(1)];
};

const match: LuaFunction = (text, pattern, from) => {
  const found = execute(textOf(pattern), textOf(text), Number(from ?? 1) - 1);
  if (found === null) return [undefined];
  return found.length > 1 ? found.slice(1) : [found[0]];
};

function execute(pattern: string, text: string, from: number): RegExpExecArray | null {
  const sought = patternOf(pattern);
  sought.lastIndex = from;
  return sought.exec(text);
}

const format: LuaFunction = (pattern, ...args) => {
  const rest = args.values();
  const shown = textOf(pattern).replace(/%(?:\.(\d+))?([sdif%])/g, (_, digits, kind: string) => {
    if (kind === '%') return '%';
    const value = rest.next().value as LuaValue;
    if (kind === 's') return textOf(value);
    const number = numberOf(value);
    if (number === undefined) throw new LuaError('a number was to be formatted');
    return number.toFixed(kind === 'f' ? Number(digits ?? 6) : 0);
  });
  return [shown];
};

const len: LuaFunction = (text) => [textOf(text).length];
const rep: LuaFunction = (text, count) => [textOf(text).repeat(Number(count))];

function math(act: (...numbers: number[]) => number): LuaFunction {
  return (...args) => [act(...args.map(Number))];
}

const insert: LuaFunction = (list, value) => {
  const table = tableOf(list);
  table.set(table.length + 1, value);
  return [];
};

const concat: LuaFunction = (list, between) => [
  tableOf(list)
    .toList()
    .map(textOf)
    .join(textOf(between ?? '')),
];

function tableOf(value: LuaValue): LuaTable {
  if (value instanceof LuaTable) return value;
  throw new LuaError(`a table was expected, not ${typeOf(value)}`);
}

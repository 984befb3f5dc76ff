import { LuaError } from './values.ts';

const CLASSES: Readonly<Record<string, string>> = {
  a: 'A-Za-z',
  c: '\\x00-\\x1f\\x7f',
  d: '0-9',
  l: 'a-z',
  p: '!-\\/:-@\\[-`{-~',
  s: ' \\t-\\r',
  u: 'A-Z',
  w: 'A-Za-z0-9',
  x: 'A-Fa-f0-9',
};

const known = new Map<string, RegExp>();

/** A pattern of Lua as a regular expression, sticky where it is bound to the beginning. */
export function patternOf(pattern: string): RegExp {
  let made = known.get(pattern);
  if (made === undefined) {
    made = translated(pattern);
    known.set(pattern, made);
  }
  return made;
}

function translated(pattern: string): RegExp {
  const isBound = pattern.startsWith('^');
  let source = '';
  let at = isBound ? 1 : 0;
  while (at < pattern.length) {
    const char = pattern.charAt(at);
    if (char === '(' || char === ')') {
      source += char;
      at += 1;
      continue;
    }
    if (char === '$' && at === pattern.length - 1) {
      source += '$';
      break;
    }
    const [one, next] = char === '[' ? setAt(pattern, at) : single(pattern, at);
    const repeat = /[*+?-]/.test(pattern.charAt(next)) ? pattern.charAt(next) : '';
    source += one + (repeat === '-' ? '*?' : repeat);
    at = next + repeat.length;
  }
  return new RegExp(source, isBound ? 'sy' : 'sg');
}

function single(pattern: string, at: number): [source: string, next: number] {
  const char = pattern.charAt(at);
  if (char === '.') return ['.', at + 1];
  if (char !== '%') return [quoted(char), at + 1];
  const letter = pattern.charAt(at + 1);
  if (letter === 'b' || letter === 'f')
    throw new LuaError(`patterns with %${letter} are not known`);
  return [classOf(letter) ?? quoted(letter), at + 2];
}

function setAt(pattern: string, from: number): [source: string, next: number] {
  let at = from + 1;
  let source = '[';
  if (pattern.charAt(at) === '^') {
    source += '^';
    at += 1;
  }
  const first = at;
  for (; at < pattern.length; at += 1) {
    const char = pattern.charAt(at);
    if (char === ']' && at > first) return [`${source}]`, at + 1];
    if (char === '%') {
      at += 1;
      const letter = pattern.charAt(at);
      source += CLASSES[letter] ?? quoted(letter);
    } else source += char === '-' ? '-' : quoted(char);
  }
  throw new LuaError('malformed pattern');
}

function classOf(letter: string): string | undefined {
  const of = CLASSES[letter.toLowerCase()];
  if (of === undefined) return undefined;
  return letter === letter.toLowerCase() ? `[${of}]` : `[^${of}]`;
}

function quoted(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
}

import { LuaError } from './values.ts';

export type Token =
  | { readonly is: 'name' | 'symbol' | 'text'; readonly text: string }
  | { readonly is: 'number'; readonly value: number }
  | { readonly is: 'end' };

const BLANK = /(?:\s+|--\[\[[\s\S]*?\]\]|--[^\n]*)+/y;
const NAME = /[A-Za-z_]\w*/y;
const NUMBER = /0x[\da-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?/y;
const TEXT = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y;
const SYMBOL = /\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.]/y;

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' };

/** Takes a script apart, into words. Throws: `LuaError`. */
export function tokensOf(lua: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const text = pattern.exec(lua)?.[0];
    at += text?.length ?? 0;
    return text;
  };
  for (;;) {
    take(BLANK);
    if (at >= lua.length) return [...tokens, { is: 'end' }];
    const name = take(NAME);
    if (name !== undefined) {
      tokens.push({ is: 'name', text: name });
      continue;
    }
    const number = take(NUMBER);
    if (number !== undefined) {
      tokens.push({ is: 'number', value: Number(number) });
      continue;
    }
    const text = take(TEXT);
    if (text !== undefined) {
      const inner = text.slice(1, -1);
      const unescaped = inner.replace(/\\([\s\S])/g, (_, each: string) => ESCAPES[each] ?? each);
      tokens.push({ is: 'text', text: unescaped });
      continue;
    }
    const symbol = take(SYMBOL);
    if (symbol === undefined) throw new LuaError(`unexpected '${lua.slice(at, at + 10)}'`);
    tokens.push({ is: 'symbol', text: symbol });
  }
}

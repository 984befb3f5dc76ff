import { type Token, tokensOf } from './lexer.ts';
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

/** The variables of a block, and around it those of the blocks that it stands in. */
class Scope {
  readonly #own = new Map<string, LuaValue>();
  readonly #around: Scope | ReadonlyMap<string, LuaValue>;

  constructor(around: Scope | ReadonlyMap<string, LuaValue>) {
    this.#around = around;
  }

  declare(name: string, value: LuaValue): void {
    this.#own.set(name, value);
  }

  get(name: string): LuaValue {
    return this.#own.has(name) ? this.#own.get(name) : this.#around.get(name);
  }

  /** Redis lets no script have globals of its own. */
  set(name: string, value: LuaValue): void {
    if (this.#own.has(name)) this.#own.set(name, value);
    else if (this.#around instanceof Scope) this.#around.set(name, value);
    else throw new LuaError(`Script attempted to create global variable '${name}'`);
  }
}

/** `all`: of what may be several values. `assign`: of what may stand on the left of `=`. */
interface Expression {
  one(scope: Scope): LuaValue;
  all?(scope: Scope): LuaValue[];
  assign?(scope: Scope, value: LuaValue): void;
}

const BREAK = Symbol('break');
/** What a statement ends its block with: values to return, a `break`, or nothing. */
type Ending = LuaValue[] | typeof BREAK | undefined;
type Statement = (scope: Scope) => Ending;

const REST = '...';
const ENDS_BLOCK = new Set(['end', 'else', 'elseif', 'until']);
const KEYWORDS = new Set([
  ...[
    'and',
    'break',
    'do',
    'else',
    'elseif',
    'end',
    'false',
    'for',
    'function',
    'if',
    'in',
    'local',
  ],
  ...['nil', 'not', 'or', 'repeat', 'return', 'then', 'true', 'until', 'while'],
]);

/** How tightly operators bind, to the left and to the right. */
const BINDING: Readonly<Record<string, readonly [left: number, right: number]>> = {
  or: [1, 2],
  and: [3, 4],
  '<': [5, 6],
  '>': [5, 6],
  '<=': [5, 6],
  '>=': [5, 6],
  '~=': [5, 6],
  '==': [5, 6],
  '..': [8, 7],
  '+': [9, 10],
  '-': [9, 10],
  '*': [11, 12],
  '/': [11, 12],
  '%': [11, 12],
};
const UNARY_BINDING = 13;

/**
 * Makes a function of a script: as much of Lua 5.1 as scripts of redcache are written in, so that a test
 * without a server runs the same scripts as a server does. `globals`: what it finds.
 *
 * Throws: `LuaError` for what it does not understand, when it is compiled.
 */
export function compile(lua: string): (globals: ReadonlyMap<string, LuaValue>) => LuaValue[] {
  const block = new Parser(tokensOf(lua)).script();
  return (globals) => {
    const ending = block(new Scope(globals));
    return Array.isArray(ending) ? ending : [];
  };
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  script(): Statement {
    const block = this.#block();
    if (this.#next.is !== 'end') throw this.#unexpected();
    return block;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  /** The next word, if it is a name, keyword or symbol. */
  get #word(): string | undefined {
    const token = this.#next;
    return token.is === 'name' || token.is === 'symbol' ? token.text : undefined;
  }

  #accept(word: string): boolean {
    if (this.#word !== word) return false;
    this.#at += 1;
    return true;
  }

  #expect(word: string): void {
    if (!this.#accept(word)) throw this.#unexpected();
  }

  #name(): string {
    const token = this.#next;
    if (token.is !== 'name' || KEYWORDS.has(token.text)) throw this.#unexpected();
    this.#at += 1;
    return token.text;
  }

  #names(): string[] {
    const names = [this.#name()];
    while (this.#accept(',')) names.push(this.#name());
    return names;
  }

  #unexpected(): LuaError {
    const token = this.#next;
    const shown =
      token.is === 'end' ? 'the end' : String('text' in token ? token.text : token.value);
    return new LuaError(`unexpected ${shown}`);
  }

  /** In a scope of its own, which whoever runs it makes. */
  #block(): Statement {
    const statements: Statement[] = [];
    while (this.#next.is !== 'end' && !ENDS_BLOCK.has(this.#word ?? ''))
      if (!this.#accept(';')) statements.push(this.#statement());
    return (scope) => {
      for (const statement of statements) {
        const ending = statement(scope);
        if (ending !== undefined) return ending;
      }
      return undefined;
    };
  }

  #statement(): Statement {
    if (this.#accept('local'))
      return this.#accept('function') ? this.#localFunction() : this.#local();
    if (this.#accept('if')) return this.#if();
    if (this.#accept('while')) return this.#while();
    if (this.#accept('for')) return this.#for();
    if (this.#accept('do')) {
      const block = this.#block();
      this.#expect('end');
      return (scope) => block(new Scope(scope));
    }
    if (this.#accept('break')) return () => BREAK;
    if (this.#accept('return')) {
      const isEmpty =
        this.#next.is === 'end' || ENDS_BLOCK.has(this.#word ?? '') || this.#word === ';';
      const values = isEmpty ? () => [] : this.#list();
      this.#accept(';');
      return (scope) => values(scope);
    }
    return this.#callOrAssignment();
  }

  #local(): Statement {
    const names = this.#names();
    const values = this.#accept('=') ? this.#list() : () => [];
    return (scope) => {
      const given = values(scope);
      for (const [i, name] of names.entries()) scope.declare(name, given[i]);
      return undefined;
    };
  }

  #localFunction(): Statement {
    const name = this.#name();
    const made = this.#function();
    return (scope) => {
      // Declared before, so that it can call itself.
      scope.declare(name, undefined);
      scope.declare(name, made.one(scope));
      return undefined;
    };
  }

  #if(): Statement {
    const condition = this.#expression();
    this.#expect('then');
    const then = this.#block();
    let otherwise: Statement | undefined;
    if (this.#accept('elseif')) otherwise = this.#if();
    else {
      if (this.#accept('else')) otherwise = this.#block();
      this.#expect('end');
    }
    return (scope) => {
      const branch = isTrue(condition.one(scope)) ? then : otherwise;
      return branch?.(new Scope(scope));
    };
  }

  #while(): Statement {
    const condition = this.#expression();
    this.#expect('do');
    const body = this.#block();
    this.#expect('end');
    return (scope) => {
      while (isTrue(condition.one(scope))) {
        const ending = body(new Scope(scope));
        if (ending === BREAK) break;
        if (ending !== undefined) return ending;
      }
      return undefined;
    };
  }

  #for(): Statement {
    const names = this.#names();
    const counts = names.length === 1 && this.#accept('=');
    if (!counts) this.#expect('in');
    const values = this.#list();
    this.#expect('do');
    const body = this.#block();
    this.#expect('end');
    return (scope) => {
      for (const round of counts ? counting(values(scope)) : iterating(values(scope))) {
        const inner = new Scope(scope);
        for (const [i, name] of names.entries()) inner.declare(name, round[i]);
        const ending = body(inner);
        if (ending === BREAK) break;
        if (ending !== undefined) return ending;
      }
      return undefined;
    };
  }

  #callOrAssignment(): Statement {
    const first = this.#postfix();
    if (this.#word !== '=' && this.#word !== ',') {
      const { all } = first;
      if (all === undefined) throw this.#unexpected();
      return (scope) => void all(scope);
    }
    const targets = [first];
    while (this.#accept(',')) targets.push(this.#postfix());
    this.#expect('=');
    const values = this.#list();
    return (scope) => {
      const given = values(scope);
      for (const [i, target] of targets.entries()) target.assign?.(scope, given[i]);
      return undefined;
    };
  }

  /** Several values: the last expression may be many. */
  #list(): (scope: Scope) => LuaValue[] {
    const expressions = [this.#expression()];
    while (this.#accept(',')) expressions.push(this.#expression());
    return (scope) => valuesOf(expressions, scope);
  }

  #expression(atLeast = 0): Expression {
    let left = this.#unary();
    for (;;) {
      const operator = this.#word ?? '';
      const binding = BINDING[operator];
      if (binding === undefined || binding[0] < atLeast) return left;
      this.#at += 1;
      left = binary(operator, left, this.#expression(binding[1]));
    }
  }

  #unary(): Expression {
    for (const operator of ['not', '-', '#'])
      if (this.#accept(operator)) return unary(operator, this.#expression(UNARY_BINDING));
    return this.#primary();
  }

  #primary(): Expression {
    const token = this.#next;
    if (token.is === 'number' || token.is === 'text') {
      this.#at += 1;
      const value = token.is === 'number' ? token.value : token.text;
      return { one: () => value };
    }
    if (this.#accept('nil')) return { one: () => undefined };
    if (this.#accept('true')) return { one: () => true };
    if (this.#accept('false')) return { one: () => false };
    if (this.#accept('function')) return this.#function();
    if (this.#accept('{')) return this.#table();
    if (this.#accept(REST)) {
      const all = (scope: Scope): LuaValue[] => (scope.get(REST) as LuaTable).toList();
      return { one: (scope) => all(scope)[0], all };
    }
    return this.#postfix();
  }

  /** A name or what stands in parentheses, and what is looked up in it or called. */
  #postfix(): Expression {
    let of: Expression;
    if (this.#accept('(')) {
      const inner = this.#expression();
      this.#expect(')');
      of = { one: (scope) => inner.one(scope) };
    } else of = variable(this.#name());
    for (;;) {
      if (this.#accept('.')) {
        const name = this.#name();
        of = field(of, { one: () => name });
      } else if (this.#accept('[')) {
        of = field(of, this.#expression());
        this.#expect(']');
      } else if (this.#accept('(')) {
        const args = this.#word === ')' ? () => [] : this.#list();
        this.#expect(')');
        of = call(of, args);
      } else return of;
    }
  }

  #function(): Expression {
    const names: string[] = [];
    let hasRest = false;
    this.#expect('(');
    while (this.#word !== ')') {
      if (this.#accept(REST)) hasRest = true;
      else names.push(this.#name());
      if (!this.#accept(',')) break;
    }
    this.#expect(')');
    const body = this.#block();
    this.#expect('end');
    const one = (scope: Scope): LuaFunction => {
      return (...args) => {
        const inner = new Scope(scope);
        for (const [i, name] of names.entries()) inner.declare(name, args[i]);
        if (hasRest) inner.declare(REST, LuaTable.list(args.slice(names.length)));
        const ending = body(inner);
        return Array.isArray(ending) ? ending : [];
      };
    };
    return { one };
  }

  #table(): Expression {
    const listed: Expression[] = [];
    const named: [string, Expression][] = [];
    while (!this.#accept('}')) {
      const after = this.#tokens[this.#at + 1];
      if (this.#next.is === 'name' && after?.is === 'symbol' && after.text === '=') {
        const name = this.#name();
        this.#expect('=');
        named.push([name, this.#expression()]);
      } else listed.push(this.#expression());
      if (!this.#accept(',') && !this.#accept(';') && this.#word !== '}') throw this.#unexpected();
    }
    return {
      one: (scope) => {
        const table = LuaTable.list(valuesOf(listed, scope));
        for (const [name, value] of named) table.set(name, value.one(scope));
        return table;
      },
    };
  }
}

function valuesOf(expressions: readonly Expression[], scope: Scope): LuaValue[] {
  const last = expressions.at(-1);
  if (last?.all === undefined) return expressions.map((each) => each.one(scope));
  return [...expressions.slice(0, -1).map((each) => each.one(scope)), ...last.all(scope)];
}

function variable(name: string): Expression {
  return {
    one: (scope) => scope.get(name),
    assign: (scope, value) => scope.set(name, value),
  };
}

function field(of: Expression, key: Expression): Expression {
  const table = (scope: Scope): LuaTable => {
    const value = of.one(scope);
    if (value instanceof LuaTable) return value;
    throw new LuaError(`attempt to index a ${typeOf(value)} value`);
  };
  return {
    one: (scope) => table(scope).get(key.one(scope)),
    assign: (scope, value) => table(scope).set(key.one(scope), value),
  };
}

function call(of: Expression, args: (scope: Scope) => LuaValue[]): Expression {
  const all = (scope: Scope): LuaValue[] => {
    const act = of.one(scope);
    if (typeof act !== 'function') throw new LuaError(`attempt to call a ${typeOf(act)} value`);
    return act(...args(scope));
  };
  return { one: (scope) => all(scope)[0], all };
}

function unary(operator: string, of: Expression): Expression {
  switch (operator) {
    case 'not':
      return { one: (scope) => !isTrue(of.one(scope)) };
    case '-':
      return { one: (scope) => -number(of.one(scope)) };
    default:
      return { one: (scope) => lengthOf(of.one(scope)) };
  }
}

function binary(operator: string, left: Expression, right: Expression): Expression {
  if (operator === 'and')
    return {
      one: (scope) => {
        const value = left.one(scope);
        return isTrue(value) ? right.one(scope) : value;
      },
    };
  if (operator === 'or')
    return {
      one: (scope) => {
        const value = left.one(scope);
        return isTrue(value) ? value : right.one(scope);
      },
    };
  const act = OPERATORS[operator] as (left: LuaValue, right: LuaValue) => LuaValue;
  return { one: (scope) => act(left.one(scope), right.one(scope)) };
}

const OPERATORS: Readonly<Record<string, (left: LuaValue, right: LuaValue) => LuaValue>> = {
  '==': (left, right) => left === right,
  '~=': (left, right) => left !== right,
  '<': (left, right) => isLess(left, right),
  '>': (left, right) => isLess(right, left),
  '<=': (left, right) => !isLess(right, left),
  '>=': (left, right) => !isLess(left, right),
  '..': (left, right) => joinable(left) + joinable(right),
  '+': (left, right) => number(left) + number(right),
  '-': (left, right) => number(left) - number(right),
  '*': (left, right) => number(left) * number(right),
  '/': (left, right) => number(left) / number(right),
  '%': (left, right) => {
    const [of, by] = [number(left), number(right)];
    return of - Math.floor(of / by) * by;
  },
};

function isLess(left: LuaValue, right: LuaValue): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left < right;
  if (typeof left === 'string' && typeof right === 'string') return left < right;
  throw new LuaError(`attempt to compare ${typeOf(left)} with ${typeOf(right)}`);
}

function number(value: LuaValue): number {
  const found = numberOf(value);
  if (found === undefined)
    throw new LuaError(`attempt to perform arithmetic on a ${typeOf(value)} value`);
  return found;
}

function joinable(value: LuaValue): string {
  if (typeof value === 'string' || typeof value === 'number') return textOf(value);
  throw new LuaError(`attempt to concatenate a ${typeOf(value)} value`);
}

function lengthOf(value: LuaValue): number {
  if (typeof value === 'string' || value instanceof LuaTable) return value.length;
  throw new LuaError(`attempt to get length of a ${typeOf(value)} value`);
}

function* counting([from, to, by]: readonly LuaValue[]): Generator<LuaValue[]> {
  const step = by === undefined ? 1 : number(by);
  const end = number(to);
  for (let at = number(from); step > 0 ? at <= end : at >= end; at += step) yield [at];
}

function* iterating([step, state, first]: readonly LuaValue[]): Generator<LuaValue[]> {
  if (typeof step !== 'function') throw new LuaError(`attempt to call a ${typeOf(step)} value`);
  for (let before = first; ; ) {
    const round = step(state, before);
    if (round[0] === undefined) return;
    before = round[0];
    yield round;
  }
}

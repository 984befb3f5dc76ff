import { createHash } from 'node:crypto';
import { CommandError, type Reply, Status } from './commands.ts';
import { compile } from './lua/compile.ts';
import { library } from './lua/library.ts';
import { LuaError, type LuaFunction, LuaTable, type LuaValue } from './lua/values.ts';

type Call = (words: readonly string[]) => Reply;
type Run = ReturnType<typeof compile>;

const LIBRARY = library();
const compiled = new Map<string, Run>();

/** The scripts that a server was sent, by what they are called. */
export class Scripts {
  readonly #known = new Map<string, Run>();

  /** `EVAL`. `call`: does what the script has done. */
  run(lua: string, keys: readonly string[], args: readonly string[], call: Call): Reply {
    const sha1 = sha1Of(lua);
    let script = compiled.get(sha1);
    try {
      script ??= compile(lua);
    } catch (error) {
      throw new CommandError(`ERR Error compiling script: ${(error as Error).message}`);
    }
    compiled.set(sha1, script);
    this.#known.set(sha1, script);
    return run(script, keys, args, call);
  }

  /** `EVALSHA`. */
  runKnown(sha1: string, keys: readonly string[], args: readonly string[], call: Call): Reply {
    const script = this.#known.get(sha1);
    if (script === undefined) throw new CommandError('NOSCRIPT No matching script.');
    return run(script, keys, args, call);
  }
}

function run(script: Run, keys: readonly string[], args: readonly string[], call: Call): Reply {
  const globals = new Map(LIBRARY)
    .set('KEYS', LuaTable.list(keys))
    .set('ARGV', LuaTable.list(args))
    .set('redis', redisFor(call));
  try {
    return replyOf(script(globals)[0]);
  } catch (error) {
    if (error instanceof LuaError) throw new CommandError(messageOf(error));
    throw error;
  }
}

function redisFor(call: Call): LuaTable {
  const ask: LuaFunction = (...words) => {
    try {
      return [luaOf(call(words.map(wordOf)))];
    } catch (error) {
      if (error instanceof CommandError) throw new LuaError(LuaTable.of({ err: error.message }));
      throw error;
    }
  };
  const pcall: LuaFunction = (...words) => {
    try {
      return ask(...words);
    } catch (error) {
      if (error instanceof LuaError) return [error.value];
      throw error;
    }
  };
  const error_reply: LuaFunction = (message) => [LuaTable.of({ err: message })];
  const sha1hex: LuaFunction = (text) => [sha1Of(wordOf(text))];
  return LuaTable.of({ call: ask, pcall, error_reply, sha1hex });
}

function sha1Of(text: string): string {
  return createHash('sha1').update(text, 'latin1').digest('hex');
}

function wordOf(value: LuaValue): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new LuaError('Lua redis lib command arguments must be strings or integers');
}

function luaOf(reply: Reply): LuaValue {
  if (reply === null) return false;
  if (reply instanceof Status) return LuaTable.of({ ok: reply.text });
  return Array.isArray(reply) ? LuaTable.list(reply.map(luaOf)) : (reply as string | number);
}

/** As a server makes a reply of what a script answers: numbers lose what is behind the point. */
function replyOf(value: LuaValue): Reply {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'string') return value;
  if (value === true) return 1;
  if (!(value instanceof LuaTable)) return null;
  const [err, ok] = [value.get('err'), value.get('ok')];
  if (typeof err === 'string') throw new CommandError(err);
  return typeof ok === 'string' ? new Status(ok) : value.toList().map(replyOf);
}

function messageOf({ value, message }: LuaError): string {
  const err = value instanceof LuaTable ? value.get('err') : undefined;
  return typeof err === 'string' ? err : `ERR ${message}`;
}

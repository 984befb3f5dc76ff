type Argument = string | Buffer;

/** What a command is filed by. */
export interface Signature {
  /** The keys as text, as a push would name them. */
  readonly keys: readonly string[];
  /** Unlike that of any other command, whatever its arguments are. */
  readonly whole: string;
  /** The command without its key, if it has exactly one. */
  readonly rest: string | undefined;
}

/**
 * The commonest shape, a name and one key in text, without making anything of it: then the name is
 * all that is left of the command. `undefined` for every other shape.
 */
export function plainRest(
  args: readonly Argument[],
  keys: readonly Argument[],
  variant: string,
): string | undefined {
  if (args.length !== 2 || keys.length !== 1) return undefined;
  const [name, key] = args;
  if (typeof name !== 'string' || typeof key !== 'string') return undefined;
  return variant === '' ? name : variant + name;
}

/**
 * Every argument with its length, so that no two commands are the same text; bytes told from text.
 * The commonest shape is written shorter, and begins as no other does.
 */
export function signatureOf(
  args: readonly Argument[],
  keys: readonly Argument[],
  variant: string,
): Signature {
  const plain = plainRest(args, keys, variant);
  if (plain !== undefined) {
    const key = args[1] as string;
    return { keys: [key], whole: prefixOf(plain) + key, rest: plain };
  }
  let whole = variant;
  for (const each of args) {
    const text = typeof each === 'string' ? each : each.toString('latin1');
    whole += `${typeof each === 'string' ? 's' : 'b'}${text.length}:${text}`;
  }
  const rest = keys.length === 1 ? whole : undefined;
  return { keys: keys.map(String), whole, rest };
}

/** The last one, since one command mostly follows another of the same name. */
const prefix = { plain: '', text: 'p0:' };

function prefixOf(plain: string): string {
  if (plain !== prefix.plain) {
    prefix.plain = plain;
    prefix.text = `p${plain.length}:${plain}`;
  }
  return prefix.text;
}

/**
 * What tells apart the same command of clients that want it otherwise: in another database, with
 * another type mapping, or by another transformation. `''` for the plain case; `undefined` if it
 * cannot be told, so that nothing may be kept.
 */
export function variantOf(
  database: number,
  typeMapping: object | undefined,
  transformReply: unknown,
  preserve: unknown,
): string | undefined {
  if (
    database === 0 &&
    typeMapping === undefined &&
    transformReply === undefined &&
    preserve === undefined
  )
    return '';
  const preserved = preserveText(preserve);
  if (preserved === undefined) return undefined;
  const transform = typeof transformReply === 'function' ? `t${idOf(transformReply)}` : '';
  const text = `${mappingText(typeMapping)}${transform}${preserved}`;
  return database === 0 && text === '' ? '' : `d${database}${text}|`;
}

const ids = new WeakMap<object, number>();
let lastId = 0;

/** A number for each function, since two may have the same name. */
function idOf(thing: object): number {
  let id = ids.get(thing);
  if (id === undefined) {
    lastId += 1;
    id = lastId;
    ids.set(thing, id);
  }
  return id;
}

const mappings = new WeakMap<object, string>();

/** Two mappings of the same types to the same constructors are the same, whatever objects they are. */
function mappingText(typeMapping: object | undefined): string {
  if (typeMapping === undefined) return '';
  let text = mappings.get(typeMapping);
  if (text === undefined) {
    text = Object.entries(typeMapping as Record<string, unknown>)
      .filter(([, type]) => typeof type === 'function')
      .map(([reply, type]) => `m${reply}=${idOf(type as object)}`)
      .sort()
      .join('');
    mappings.set(typeMapping, text);
  }
  return text;
}

/** What a command lays aside for its own transformation: words that say which fields were asked for. */
function preserveText(preserve: unknown): string | undefined {
  if (preserve === undefined) return '';
  const words = Array.isArray(preserve) ? preserve : [preserve];
  if (!words.every((word) => typeof word === 'string')) return undefined;
  return `p${JSON.stringify(preserve)}`;
}

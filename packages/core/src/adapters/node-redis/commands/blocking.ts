/** Commands that may wait on the server whatever their arguments say, in capitals. */
const BLOCKING: ReadonlySet<string> = new Set([
  'BLMOVE',
  'BLMOVEM',
  'BLMPOP',
  'BLPOP',
  'BRPOP',
  'BRPOPLPUSH',
  'BZMPOP',
  'BZPOPMAX',
  'BZPOPMIN',
  'WAIT',
  'WAITAOF',
]);

/** Whether the server may let the connection wait before it answers this. `args`: the whole command. */
export function blocks(args: readonly (string | Buffer)[]): boolean {
  const [name] = args;
  if (name === undefined || !mayBlock(name)) return false;
  const upper = String(name).toUpperCase();
  return BLOCKING.has(upper) || ((upper === 'XREAD' || upper === 'XREADGROUP') && saysBlock(args));
}

/** This is asked of every command: all that block begin with one of three letters, few others do. */
function mayBlock(name: string | Buffer): boolean {
  const first = typeof name === 'string' ? name.charCodeAt(0) : name[0];
  switch ((first as number) | LOWER_CASE) {
    case LETTER_B:
    case LETTER_W:
    case LETTER_X:
      return true;
    default:
      return false;
  }
}

const LOWER_CASE = 0x20;
const LETTER_B = 0x62;
const LETTER_W = 0x77;
const LETTER_X = 0x78;

function saysBlock(args: readonly (string | Buffer)[]): boolean {
  for (let i = 1; i < args.length; i += 1) {
    const word = String(args[i]).toUpperCase();
    if (word === 'BLOCK') return true;
    if (word === 'STREAMS') return false;
    // A group and a consumer may be called as they like; the other options take numbers.
    if (word === 'GROUP') i += 2;
  }
  return false;
}

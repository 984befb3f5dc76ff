/**
 * Commands that node-redis calls cacheable but whose reply depends on more than the data of their
 * keys, so that no push would ever say it is outdated. Each with its reason.
 */
const NEVER: Readonly<Record<string, string>> = {
  TOUCH: 'is sent for its side effect',
  'MEMORY USAGE': 'depends on the allocator',
  'XINFO GROUPS': 'tells of consumers, which are no data of the key',
  'XINFO STREAM': 'tells of the implementation, which is no data of the key',
  VRANDMEMBER: 'is random',
};

/** `SORT_RO … BY pattern` and `GET pattern` read keys that are not in the command's key list. */
const SORT_BY_OTHER_KEYS = new Set(['BY', 'GET']);

/** Whether the reply of this command depends on its keys alone. `args`: the whole command. */
export function dependsOnKeysAlone(args: readonly (string | Buffer)[]): boolean {
  const name = String(args[0]).toUpperCase();
  if (name in NEVER) return false;
  if (args.length > 1 && `${name} ${String(args[1]).toUpperCase()}` in NEVER) return false;
  if (name === 'SORT_RO')
    return !args.slice(2).some((each) => SORT_BY_OTHER_KEYS.has(String(each).toUpperCase()));
  return true;
}

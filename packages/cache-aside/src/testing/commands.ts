/** What a command answers. Text is one character for each byte. */
export type Reply = null | number | string | Status | readonly Reply[];

/** `OK` and the like. */
export class Status {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const OK = new Status('OK');

/** What the server says is wrong with a command, which has changed nothing then. */
export class CommandError extends Error {}

type Value = string | Map<string, string> | Map<string, number>;

/** The keys of a server, while one of its clients has it do something. */
export interface Room {
  /** What stands under a key; from now on the client is told when that changes. */
  read(key: string): Value | undefined;
  /** The same, without being told. */
  look(key: string): Value | undefined;
  /** When it ends, by the clock of the server. */
  endOf(key: string): number | undefined;
  write(key: string, value: Value, endsAtMs: number | undefined): void;
  /** Whether there was anything. */
  remove(key: string): boolean;
  removeAll(): void;
  nowMs(): number;
}

type Command = (room: Room, args: readonly string[]) => Reply;

/**
 * Commands as Redis does them: those that redcache sends, or its scripts call. Which of them have the
 * client told of later changes is as in Redis: those that only read.
 */
export const COMMANDS: Readonly<Record<string, Command>> = {
  PING: () => new Status('PONG'),
  GET: (room, [key = '']) => text(room.read(key)) ?? null,
  MGET: (room, keys) =>
    keys.map((key) => {
      const value = room.read(key);
      return typeof value === 'string' ? value : null;
    }),
  GETRANGE: (room, [key = '', from, to]) =>
    (text(room.read(key)) ?? '').slice(integer(from), integer(to) + 1),
  STRLEN: (room, [key = '']) => (text(room.read(key)) ?? '').length,
  EXISTS: (room, keys) => keys.filter((key) => room.read(key) !== undefined).length,
  TYPE: (room, [key = '']) => new Status(typeOf(room.read(key))),
  PTTL: (room, [key = '']) => {
    if (room.read(key) === undefined) return -2;
    const endsAtMs = room.endOf(key);
    return endsAtMs === undefined ? -1 : Math.ceil(endsAtMs - room.nowMs());
  },
  SET: set,
  DEL: remove,
  UNLINK: remove,
  PEXPIRE: (room, [key = '', ms]) => {
    const value = room.look(key);
    if (value === undefined) return 0;
    if (integer(ms) <= 0) room.remove(key);
    else room.write(key, value, room.nowMs() + integer(ms));
    return 1;
  },
  TIME: (room) => {
    const us = Math.floor(room.nowMs() * 1_000);
    return [String(Math.floor(us / 1_000_000)), String(us % 1_000_000)];
  },
  FLUSHALL: (room) => {
    room.removeAll();
    return OK;
  },
  HGET: (room, [key = '', field = '']) => hash(room.read(key)).get(field) ?? null,
  HSET: (room, [key = '', field = '', value = '']) => {
    const fields = new Map(hash(room.look(key)));
    const isNew = !fields.has(field);
    room.write(key, fields.set(field, value), room.endOf(key));
    return isNew ? 1 : 0;
  },
  HDEL: (room, [key = '', field = '']) => {
    const fields = new Map(hash(room.look(key)));
    return fields.delete(field) ? shrink(room, key, fields) : 0;
  },
  ZADD: (room, [key = '', how, score, member = '']) => {
    if (how !== 'NX') throw new CommandError('ERR only ZADD NX is known here');
    const scores = new Map(ranking(room.look(key)));
    if (scores.has(member)) return 0;
    room.write(key, scores.set(member, Number(score)), room.endOf(key));
    return 1;
  },
  ZREM: (room, [key = '', member = '']) => {
    const scores = new Map(ranking(room.look(key)));
    return scores.delete(member) ? shrink(room, key, scores) : 0;
  },
  ZCARD: (room, [key = '']) => ranking(room.read(key)).size,
  ZRANK: (room, [key = '', member = '']) => {
    const place = ranked(room.read(key)).indexOf(member);
    return place < 0 ? null : place;
  },
  ZRANGE: (room, [key = '', from, to]) =>
    ranked(room.read(key)).slice(integer(from), integer(to) + 1),
  ZPOPMIN: (room, [key = '']) => {
    const scores = new Map(ranking(room.look(key)));
    const [first] = ranked(scores);
    if (first === undefined) return [];
    const score = String(scores.get(first));
    scores.delete(first);
    shrink(room, key, scores);
    return [first, score];
  },
};

function set(room: Room, [key = '', value = '', ...options]: readonly string[]): Reply {
  const before = room.look(key);
  const has = (option: string): boolean => options.includes(option);
  const endsAtMs = has('PX')
    ? room.nowMs() + positive(options[options.indexOf('PX') + 1])
    : has('KEEPTTL')
      ? room.endOf(key)
      : undefined;
  const answer = has('GET') ? (text(before) ?? null) : OK;
  const stays = has('NX') ? before !== undefined : has('XX') && before === undefined;
  if (stays) return has('GET') ? answer : null;
  room.write(key, value, endsAtMs);
  return answer;
}

function remove(room: Room, keys: readonly string[]): Reply {
  return keys.filter((key) => room.remove(key)).length;
}

/** What loses its last part is gone. */
function shrink(room: Room, key: string, value: Map<string, string> | Map<string, number>): 1 {
  if (value.size === 0) room.remove(key);
  else room.write(key, value, room.endOf(key));
  return 1;
}

const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value';

function text(value: Value | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new CommandError(WRONG_TYPE);
}

function hash(value: Value | undefined): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  const [first] = typeof value === 'string' ? [0] : value.values();
  if (typeof first === 'string') return value as Map<string, string>;
  throw new CommandError(WRONG_TYPE);
}

function ranking(value: Value | undefined): ReadonlyMap<string, number> {
  if (value === undefined) return new Map();
  const [first] = typeof value === 'string' ? [''] : value.values();
  if (typeof first === 'number') return value as Map<string, number>;
  throw new CommandError(WRONG_TYPE);
}

/** Members by their scores; those that have the same, by their names. */
function ranked(value: Value | undefined): string[] {
  return [...ranking(value)]
    .sort(([one, a], [other, b]) => a - b || (one < other ? -1 : 1))
    .map(([member]) => member);
}

function typeOf(value: Value | undefined): 'none' | 'string' | 'hash' | 'zset' {
  if (value === undefined) return 'none';
  if (typeof value === 'string') return 'string';
  const [first] = value.values();
  return typeof first === 'string' ? 'hash' : 'zset';
}

function integer(given: string | undefined): number {
  const value = Number(given);
  if (given === undefined || given === '' || !Number.isInteger(value))
    throw new CommandError('ERR value is not an integer or out of range');
  return value;
}

function positive(given: string | undefined): number {
  const value = integer(given);
  if (value <= 0) throw new CommandError("ERR invalid expire time in 'set' command");
  return value;
}

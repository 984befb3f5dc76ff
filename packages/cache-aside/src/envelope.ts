import { randomUUID } from 'node:crypto';
import { ConfigError } from '@redcache/core';

/**
 * How redcache writes into a key: a header line of ASCII, then the encoded value. Only the header
 * tells what it is, so that no value can be mistaken for anything else, whatever its bytes (I15).
 *
 * ```
 * rc1 v <id> <codec> <ttlMs> <tailMs> <loadMs>[ <field>…]\n<encoded value>     a value
 * rc1 n <id> <ttlMs> <tailMs> <loadMs>[ <field>…]\n                            known to be absent
 * rc1 l <holder>\n                                   being loaded under the lease of <holder>
 * rc1 w <id>\n                                       nothing, when a writer began
 *
 * field: z<algorithm>:<bytes>    the value is compressed, and has so many bytes when it is not
 *        e<epoch>                the epoch at which its load began
 *        t<tag>,<tag>…           its tags, percent-encoded
 * ```
 *
 * `id` is new with every write, so that a script can see whether a value is still the one that was
 * read. `ttlMs`: for how long it was written as fresh. `tailMs`: how long its key outlives that, so
 * freshness left = PTTL − tailMs. `loadMs`: how long the loader took. Durations only: no clock of one
 * machine means anything on another. The digit is the version of the format; a reader that meets
 * another one, or a field that it does not know, treats the key as absent.
 */
export type Stored =
  | {
      readonly is: 'value';
      readonly codec: string;
      readonly compressed: Compressed | undefined;
      readonly header: Header;
      /** Where the encoded value begins. */
      readonly bodyAt: number;
    }
  | { readonly is: 'absent'; readonly header: Header }
  | { readonly is: 'loading'; readonly holder: string }
  /** As good as nothing, but whatever happens to the key takes it away. */
  | { readonly is: 'writing' }
  /** Another program's. */
  | { readonly is: 'foreign' }
  /** Written by redcache, but not so that this version could read it. */
  | { readonly is: 'unreadable'; readonly reason: string };

export interface Compressed {
  readonly algorithm: string;
  readonly rawBytes: number;
}

/** What is known of a value beside the value. */
export interface Header {
  /** `''` for what another program wrote. */
  readonly id: string;
  readonly ttlMs: number;
  readonly tailMs: number;
  readonly loadMs: number;
  readonly epoch: number | undefined;
  readonly tags: readonly string[];
}

/** Of what another program wrote: nothing is known, and it is fresh for as long as it lives. */
export const FOREIGN_HEADER: Header = {
  id: '',
  ttlMs: 0,
  tailMs: 0,
  loadMs: 0,
  epoch: undefined,
  tags: [],
};

/** What a writer says of a value. */
export interface Facts {
  readonly ttlMs: number;
  readonly tailMs: number;
  readonly loadMs: number;
  readonly epoch?: number | undefined;
  readonly tags?: readonly string[] | undefined;
}

/** All tags of a value together, encoded. Every read of the value carries them. */
const MAX_TAGS_BYTES = 32 * 2 ** 10;

/** What has no end before this is not searched any further. */
export const MAX_HEADER_BYTES: number = MAX_TAGS_BYTES + 2 ** 10;

/** No header without tags is longer, so that one look into the bytes is enough for it. */
const PLAIN_HEADER_BYTES = 160;

const NO_TAGS: readonly string[] = [];

export function headerOf(facts: Facts): Header {
  return {
    id: newId(),
    ttlMs: Math.max(0, Math.round(facts.ttlMs)),
    tailMs: Math.max(0, Math.round(facts.tailMs)),
    loadMs: Math.max(0, Math.round(facts.loadMs)),
    epoch: facts.epoch,
    tags: facts.tags ?? NO_TAGS,
  };
}

/**
 * 48 random bits, which is plenty to tell apart what one key holds one after the other. Node keeps
 * random bytes ready for UUIDs; others have to be asked of the system each time.
 */
function newId(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(9, 13);
}

/** The first line of a value, its end included. */
export function valueHead(header: Header, codec: string, compressed?: Compressed): string {
  const packed = compressed ? ` z${compressed.algorithm}:${compressed.rawBytes}` : '';
  return `rc1 v ${header.id} ${codec} ${durations(header)}${packed}${fields(header)}\n`;
}

/** All that is written for a known absence. */
export function absentEnvelope(header: Header): string {
  return `rc1 n ${header.id} ${durations(header)}${fields(header)}\n`;
}

/** The same envelope, of another epoch: for what was made ready before its epoch was known, as of 0. */
export function atEpoch(envelope: string | Buffer, epoch: number): string | Buffer {
  const at = (head: string): string => head.replace(/ e0(?= t|\n)/, ` e${epoch}`);
  if (typeof envelope === 'string') {
    const end = envelope.indexOf('\n') + 1;
    return at(envelope.slice(0, end)) + envelope.slice(end);
  }
  const end = envelope.indexOf('\n') + 1;
  return Buffer.concat([
    Buffer.from(at(envelope.toString('latin1', 0, end))),
    envelope.subarray(end),
  ]);
}

/** What stands in a key that is being loaded. `holder`: visible ASCII. */
export function placeholder(holder: string): string {
  return `rc1 l ${holder}\n`;
}

/** What stands in a key that held nothing, while a writer runs; it is another one each time. */
export function writeMark(): string {
  return `rc1 w ${newId()}\n`;
}

function durations({ ttlMs, tailMs, loadMs }: Header): string {
  return `${ttlMs} ${tailMs} ${loadMs}`;
}

function fields({ epoch, tags }: Header): string {
  if (epoch === undefined && tags.length === 0) return '';
  const since = epoch === undefined ? '' : ` e${epoch}`;
  if (tags.length === 0) return since;
  if (!tags.every((tag) => tag.isWellFormed()))
    throw new ConfigError('a tag must be well-formed text, without half a surrogate pair');
  const list = tags.map(encodeURIComponent).join(',');
  if (list.length > MAX_TAGS_BYTES)
    throw new ConfigError(`the tags of a value must not be longer than ${MAX_TAGS_BYTES} bytes`);
  return `${since} t${list}`;
}

/** Reads the header of anything; never throws. Text and its bytes are read alike. */
export function readEnvelope(stored: string | Buffer): Stored {
  if (typeof stored === 'string') return read(stored);
  // latin1 is one character a byte, and makes nothing else look like ASCII.
  const seen = read(stored.toString('latin1', 0, PLAIN_HEADER_BYTES));
  if (seen !== CUT_OFF || stored.length <= PLAIN_HEADER_BYTES) return seen;
  return read(stored.toString('latin1', 0, MAX_HEADER_BYTES));
}

const FOREIGN: Stored = { is: 'foreign' };
const OTHER_VERSION = unreadable('another version of redcache wrote it');
const UNKNOWN_FIELD = unreadable('its header has a field that this version does not know');
const MALFORMED = unreadable('its header is malformed');
/** The header does not end; a longer look might show where it does. */
const CUT_OFF = unreadable('its header has no end');

function unreadable(reason: string): Stored {
  return { is: 'unreadable', reason };
}

function read(text: string): Stored {
  if (!text.startsWith('rc1 ')) return ANY_VERSION.test(text) ? OTHER_VERSION : FOREIGN;
  const scanner = new Scanner(text, 'rc1 v '.length);
  if (text.startsWith('v ', 4)) return readValue(scanner);
  if (text.startsWith('n ', 4)) return readAbsence(scanner);
  if (text.startsWith('l ', 4)) return readPlaceholder(scanner);
  if (text.startsWith('w ', 4)) return readMark(scanner);
  return CUT_OFF_KIND.test(text) ? CUT_OFF : UNKNOWN_KIND;
}

const ANY_VERSION = /^rc\d{1,9} /;
const CUT_OFF_KIND = /^rc1 [vnlw]?$/;
const UNKNOWN_KIND = unreadable('its header is of a kind that this version does not know');

function readValue(scanner: Scanner): Stored {
  const id = scanner.token();
  const codec = scanner.token();
  const ttlMs = scanner.count();
  const tailMs = scanner.count();
  const loadMs = scanner.count();
  if (scanner.sawEnd) {
    const header = { id, ttlMs, tailMs, loadMs, epoch: undefined, tags: NO_TAGS };
    return { is: 'value', codec, compressed: undefined, header, bodyAt: scanner.at };
  }
  const found = readFields(scanner);
  if ('is' in found) return found;
  const { compressed, epoch, tags } = found;
  const header = { id, ttlMs, tailMs, loadMs, epoch, tags };
  return { is: 'value', codec, compressed, header, bodyAt: scanner.at };
}

function readAbsence(scanner: Scanner): Stored {
  const id = scanner.token();
  const ttlMs = scanner.count();
  const tailMs = scanner.count();
  const loadMs = scanner.count();
  const found = readFields(scanner);
  if ('is' in found) return found;
  const { epoch, tags } = found;
  return { is: 'absent', header: { id, ttlMs, tailMs, loadMs, epoch, tags } };
}

function readPlaceholder(scanner: Scanner): Stored {
  const holder = scanner.token();
  return scanner.sawEnd ? { is: 'loading', holder } : scanner.flaw;
}

function readMark(scanner: Scanner): Stored {
  scanner.token();
  return scanner.sawEnd ? { is: 'writing' } : scanner.flaw;
}

interface Fields {
  readonly compressed: Compressed | undefined;
  readonly epoch: number | undefined;
  readonly tags: readonly string[];
}

/** What follows what every header has, each at most once, in any order. */
function readFields(scanner: Scanner): Fields | Stored {
  let compressed: Compressed | undefined;
  let epoch: number | undefined;
  let tags: readonly string[] | undefined;
  while (scanner.sawSpace) {
    const letter = scanner.letter();
    if (letter === 'z' && compressed === undefined) compressed = scanner.compressed();
    else if (letter === 'e' && epoch === undefined) epoch = scanner.count();
    else if (letter === 't' && tags === undefined) tags = scanner.tags();
    else return letter === '' ? scanner.flaw : UNKNOWN_FIELD;
  }
  return scanner.sawEnd ? { compressed, epoch, tags: tags ?? NO_TAGS } : scanner.flaw;
}

const SPACE = 0x20;
const LINE_END = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
const LONGEST_TOKEN = 64;

/**
 * Goes through a header word by word. Once a word was not what it should be, all that follow are
 * empty and neither a space nor the end was seen. By hand, since it is a good part of what a hit in
 * Redis costs: a regular expression with all its groups takes longer.
 */
class Scanner {
  /** Behind the space or line end that ended the last word. */
  at: number;
  readonly #text: string;
  /** The character that ended the last word; 0 for a flaw. */
  #stop = SPACE;

  constructor(text: string, at: number) {
    this.#text = text;
    this.at = at;
  }

  get sawEnd(): boolean {
    return this.#stop === LINE_END;
  }

  get sawSpace(): boolean {
    return this.#stop === SPACE;
  }

  /** Why a word was not what it should be. */
  get flaw(): Stored {
    return this.at >= this.#text.length ? CUT_OFF : MALFORMED;
  }

  /** A word of visible ASCII. */
  token(): string {
    const from = this.at;
    if (this.#stop !== SPACE) return this.#fail(from);
    const text = this.#text;
    let to = from;
    let code = text.charCodeAt(to);
    while (code > SPACE && code < 0x7f && to - from < LONGEST_TOKEN) {
      to += 1;
      code = text.charCodeAt(to);
    }
    if (to === from || (code !== SPACE && code !== LINE_END)) return this.#fail(to);
    this.#stop = code;
    this.at = to + 1;
    return text.slice(from, to);
  }

  /**
   * A whole number that is exact. The first nine digits, which are all but an epoch's, and the others
   * are gathered apart, since small integers are added much faster.
   */
  count(): number {
    const from = this.at;
    if (this.#stop !== SPACE) return this.#failCount(from);
    const text = this.#text;
    let to = from;
    let high = 0;
    let code = text.charCodeAt(to);
    while (code >= ZERO && code <= NINE && to - from < 9) {
      high = high * 10 + (code - ZERO);
      to += 1;
      code = text.charCodeAt(to);
    }
    let low = 0;
    let scale = 1;
    while (code >= ZERO && code <= NINE && to - from < 16) {
      low = low * 10 + (code - ZERO);
      scale *= 10;
      to += 1;
      code = text.charCodeAt(to);
    }
    if (to === from || (code !== SPACE && code !== LINE_END)) return this.#failCount(to);
    const count = scale === 1 ? high : high * scale + low;
    if (count > Number.MAX_SAFE_INTEGER) return this.#failCount(from);
    this.#stop = code;
    this.at = to + 1;
    return count;
  }

  /** The letter before a field; `''` if the text ends there. */
  letter(): string {
    const letter = this.#text.charAt(this.at);
    if (letter === '') this.#fail(this.at);
    else this.at += 1;
    return letter;
  }

  compressed(): Compressed | undefined {
    const [, algorithm, rawBytes] = /^([a-z]\w*):(\d{1,15})$/.exec(this.token()) ?? [];
    if (algorithm !== undefined) return { algorithm, rawBytes: Number(rawBytes) };
    if (this.#stop !== 0) this.#fail(this.at - 1);
    return undefined;
  }

  tags(): readonly string[] {
    const [list] = TAGS.exec(this.#text.slice(this.at, MAX_HEADER_BYTES)) as unknown as [string];
    const to = this.at + list.length;
    const code = this.#text.charCodeAt(to);
    // What is cut off may well end amid an escape.
    const tags = code === SPACE || code === LINE_END ? decoded(list) : undefined;
    if (tags === undefined) {
      this.#fail(to);
      return NO_TAGS;
    }
    this.#stop = code;
    this.at = to + 1;
    return tags;
  }

  #fail(at: number): string {
    this.#stop = 0;
    this.at = at;
    return '';
  }

  #failCount(at: number): number {
    this.#fail(at);
    return 0;
  }
}

const TAGS = /^[!-~]*/;

function decoded(list: string): readonly string[] | undefined {
  try {
    return list.split(',').map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

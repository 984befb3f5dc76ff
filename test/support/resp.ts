/** What a server may answer, in either version of the protocol. */
export type Reply =
  | string
  | number
  | bigint
  | boolean
  | null
  | ReplyError
  | Reply[]
  | Map<Reply, Reply>;

/** A reply belongs to a command; a push comes on its own. */
export type Frame =
  | { readonly is: 'reply'; readonly value: Reply }
  | { readonly is: 'push'; readonly kind: string; readonly data: readonly Reply[] };

/** An error the server answered; `code` is its first word, such as `WRONGTYPE`. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
  get code(): string {
    return this.message.split(' ', 1)[0] ?? '';
  }
}

const line = (text: string): Buffer => Buffer.from(`${text}\r\n`);
const aggregate = (sign: string, count: number, parts: readonly Buffer[]): Buffer =>
  Buffer.concat([line(`${sign}${count}`), ...parts]);

/** Frames as bytes, to be cut and joined at will. */
export const encode = {
  simple: (text: string): Buffer => line(`+${text}`),
  error: (text: string): Buffer => line(`-${text}`),
  integer: (value: number | bigint): Buffer => line(`:${value}`),
  bulk: (value: string | Buffer): Buffer => {
    const bytes = Buffer.from(value);
    return Buffer.concat([line(`$${bytes.length}`), bytes, line('')]);
  },
  nil: (): Buffer => line('_'),
  array: (...items: Buffer[]): Buffer => aggregate('*', items.length, items),
  map: (...pairs: (readonly [key: Buffer, value: Buffer])[]): Buffer =>
    aggregate('%', pairs.length, pairs.flat()),
  push: (kind: string, ...data: Buffer[]): Buffer =>
    aggregate('>', data.length + 1, [encode.bulk(kind), ...data]),
  /** "These keys changed." */
  invalidate: (...keys: string[]): Buffer =>
    encode.push('invalidate', encode.array(...keys.map((key) => encode.bulk(key)))),
  /** "Everything may have changed." */
  flush: (): Buffer => encode.push('invalidate', encode.nil()),
  /** As a client sends it. */
  command: (...words: readonly string[]): Buffer =>
    encode.array(...words.map((word) => encode.bulk(word))),
};

/** The bytes in pieces of `size`; the last may be shorter. */
export function inPieces(bytes: Buffer, size = 1): Buffer[] {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

/** The frame is not complete yet: more bytes have to come. */
const INCOMPLETE = Symbol('incomplete');

/** Turns bytes, in whatever pieces they come, into frames. */
export class RespReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Whether the bytes so far end where a frame ends. */
  get atBoundary(): boolean {
    return this.#bytes.length === 0;
  }

  /** The frames that are complete with this chunk. */
  push(chunk: Buffer): Frame[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const frames: Frame[] = [];
    let end = 0;
    this.#at = 0;
    try {
      while (this.#at < this.#bytes.length) {
        frames.push(this.#frame());
        end = this.#at;
      }
    } catch (reason) {
      if (reason !== INCOMPLETE) throw reason;
    }
    this.#bytes = this.#bytes.subarray(end);
    return frames;
  }

  #frame(): Frame {
    if (this.#bytes[this.#at] !== 0x3e) return { is: 'reply', value: this.#value() };
    this.#at += 1;
    const [kind, ...data] = this.#values(this.#count());
    return { is: 'push', kind: String(kind), data };
  }

  #value(): Reply {
    const sign = String.fromCharCode(this.#bytes[this.#at] ?? 0);
    if (this.#at >= this.#bytes.length) throw INCOMPLETE;
    this.#at += 1;
    switch (sign) {
      case '+':
        return this.#line();
      case '-':
        return new ReplyError(this.#line());
      case ':':
        return this.#count();
      case '(':
        return BigInt(this.#line());
      case ',':
        return Number(this.#line().replace('inf', 'Infinity'));
      case '#':
        return this.#line() === 't';
      case '_':
        this.#line();
        return null;
      case '$':
        return this.#blob();
      case '!':
        return new ReplyError(String(this.#blob()));
      case '=':
        // "txt:" or "mkd:" before the text itself.
        return String(this.#blob()).slice(4);
      case '*':
      case '~': {
        const count = this.#count();
        return count < 0 ? null : this.#values(count);
      }
      case '%': {
        const count = this.#count();
        return new Map(Array.from({ length: count }, () => [this.#value(), this.#value()]));
      }
      default:
        throw new Error(`not RESP: a frame begins with ${JSON.stringify(sign)}`);
    }
  }

  #values(count: number): Reply[] {
    return Array.from({ length: count }, () => this.#value());
  }

  #count(): number {
    return Number(this.#line());
  }

  #blob(): string | null {
    const length = this.#count();
    if (length < 0) return null;
    if (this.#at + length + 2 > this.#bytes.length) throw INCOMPLETE;
    const text = this.#bytes.toString('utf8', this.#at, this.#at + length);
    this.#at += length + 2;
    return text;
  }

  #line(): string {
    const end = this.#bytes.indexOf('\r\n', this.#at);
    if (end < 0) throw INCOMPLETE;
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 2;
    return text;
  }
}

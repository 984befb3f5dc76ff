/** A reply belongs to a command, in turn; a push comes on its own. */
export type Frame =
  | { readonly is: 'reply'; readonly value: unknown }
  | { readonly is: 'push'; readonly items: readonly unknown[] };

/** An error the server answered. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** One command, as it travels. */
export function encode(args: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg) : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

/** A part of a frame that pauses, with `undefined`, until more bytes are there. */
type Part<T> = Generator<undefined, T, void>;

/**
 * Turns the bytes of one connection, in whatever pieces they come, into frames. Text is UTF-8, but for
 * bulk strings of replies that are wanted as they are.
 */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #frames = this.#read();
  readonly #wantsBytes: () => boolean;
  #isBytes = false;

  /** `wantsBytes`: how the reply that comes next is wanted. */
  constructor(wantsBytes: () => boolean = () => false) {
    this.#wantsBytes = wantsBytes;
  }

  /** The frames that are complete with these bytes. Throws if they are no RESP3. */
  *push(chunk: Buffer): Generator<Frame, void, void> {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.#at = 0;
    for (;;) {
      const { value: frame } = this.#frames.next();
      if (frame === undefined) return;
      yield frame;
    }
  }

  *#read(): Generator<Frame | undefined, never, void> {
    for (;;) {
      const head = yield* this.#line();
      this.#isBytes = head[0] !== '>' && this.#wantsBytes();
      const value = yield* this.#value(head);
      if (head[0] === '>') yield { is: 'push', items: value as unknown[] };
      else yield { is: 'reply', value };
    }
  }

  *#value(head: string): Part<unknown> {
    const rest = head.slice(1);
    switch (head[0]) {
      case '+':
        return rest;
      case '-':
        return new ReplyError(rest);
      case ':':
        return Number(rest);
      case '(':
        return BigInt(rest);
      case ',':
        return Number(rest.replace('inf', 'Infinity'));
      case '#':
        return rest === 't';
      case '_':
        return null;
      case '$':
        return this.#isBytes ? yield* this.#bulk(Number(rest)) : yield* this.#text(Number(rest));
      case '!':
        return new ReplyError(String(yield* this.#text(Number(rest))));
      case '=':
        return String(yield* this.#text(Number(rest))).slice('txt:'.length);
      case '*':
      case '~':
      case '>':
        return rest === '-1' ? null : yield* this.#values(Number(rest));
      case '%': {
        const flat = yield* this.#values(2 * Number(rest));
        return new Map(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : [])));
      }
      case '|':
        // Attributes say something about the value that follows, and nobody here asked.
        yield* this.#values(2 * Number(rest));
        return yield* this.#value(yield* this.#line());
      default:
        throw new Error(`not RESP3: a frame begins with ${JSON.stringify(head.slice(0, 20))}`);
    }
  }

  *#values(count: number): Part<unknown[]> {
    const values: unknown[] = [];
    while (values.length < count) values.push(yield* this.#value(yield* this.#line()));
    return values;
  }

  *#text(length: number): Part<string | null> {
    const bytes = yield* this.#bulk(length);
    return bytes === null ? null : bytes.toString('utf8');
  }

  /** Long ones are gathered piece by piece, so that none is copied more than once or twice. */
  *#bulk(length: number): Part<Buffer | null> {
    if (length < 0) return null;
    const pieces: Buffer[] = [];
    for (let missing = length + 2; missing > 0; ) {
      if (this.#at === this.#bytes.length) yield;
      const piece = this.#bytes.subarray(this.#at, this.#at + missing);
      this.#at += piece.length;
      missing -= piece.length;
      pieces.push(piece);
    }
    const bytes = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
    return bytes.subarray(0, length);
  }

  *#line(): Part<string> {
    let end = this.#bytes.indexOf('\r\n', this.#at);
    while (end < 0) {
      yield;
      end = this.#bytes.indexOf('\r\n', this.#at);
    }
    const line = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 2;
    return line;
  }
}

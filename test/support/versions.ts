import { eventually } from './eventually.ts';

/** A read that was answered: when it was asked, when answered, and with which version. */
export interface Answered {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly version: number;
}

interface KeyReader {
  get(key: string): Promise<string | null>;
}

interface KeyWriter {
  set(key: string, value: string): Promise<unknown>;
}

/** By then, at the latest, the version was in the server. */
interface Written {
  readonly sentAtMs: number;
  readonly writtenAtMs: number;
}

const WRITE_EVERY_MS = 10;
const READ_EVERY_MS = 2;

/** Reads at the same time, so that those that hang do not end the history. */
const MAX_READS_UNDER_WAY = 40;

/** Somebody who counts a key up, and remembers when which version was overwritten. */
export class VersionWriter implements AsyncDisposable {
  readonly #written: Written[] = [];
  readonly #writing: Promise<void>;
  #isOver = false;
  #isHeld = false;

  constructor(writer: KeyWriter, key: string) {
    this.#writing = this.#write(writer, key);
  }

  /**
   * How long, at least, the version that a read was answered with had been overwritten when the read
   * was asked for; negative: it was the newest, or none had been written yet.
   */
  stalenessMs({ askedAtMs, version }: Answered): number {
    const next = this.#written[version + 1];
    return next === undefined ? Number.NEGATIVE_INFINITY : askedAtMs - next.writtenAtMs;
  }

  worstMs(reads: readonly Answered[]): number {
    return reads.reduce((worst, read) => Math.max(worst, this.stalenessMs(read)), 0);
  }

  /** Whether the version was sent after that moment, so that nobody can have read it before. */
  isAfter(version: number, sinceMs: number): boolean {
    return (this.#written[version]?.sentAtMs ?? Number.NEGATIVE_INFINITY) > sinceMs;
  }

  /** Writes nothing until {@link goOn}, as soon as what is under way is written. */
  hold(): void {
    this.#isHeld = true;
  }

  goOn(): void {
    this.#isHeld = false;
  }

  get newest(): number {
    return this.#written.length - 1;
  }

  async #write(writer: KeyWriter, key: string): Promise<void> {
    for (let version = 0; !this.#isOver; version += 1) {
      if (this.#isHeld) await eventually(() => !this.#isHeld || this.#isOver);
      const sentAtMs = Date.now();
      await writer.set(key, `${version}`);
      this.#written[version] = { sentAtMs, writtenAtMs: Date.now() };
      await pause(WRITE_EVERY_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#writing;
  }
}

/** Somebody who goes on reading a key, whatever becomes of the reads before. */
export class VersionReader implements AsyncDisposable {
  readonly reads: Answered[] = [];
  readonly failures: unknown[] = [];
  readonly #reading: Promise<void>;
  #isOver = false;
  #underWay = 0;

  constructor(reader: KeyReader, key: string) {
    this.#reading = this.#read(reader, key);
  }

  async #read(reader: KeyReader, key: string): Promise<void> {
    while (!this.#isOver) {
      if (this.#underWay < MAX_READS_UNDER_WAY) void this.#readOnce(reader, key);
      await pause(READ_EVERY_MS);
    }
  }

  async #readOnce(reader: KeyReader, key: string): Promise<void> {
    this.#underWay += 1;
    // The wall clock, since the writer may be another process.
    const askedAtMs = Date.now();
    try {
      const value = await reader.get(key);
      if (value !== null)
        this.reads.push({ askedAtMs, answeredAtMs: Date.now(), version: Number(value) });
    } catch (error) {
      this.failures.push(error);
    }
    this.#underWay -= 1;
  }

  /** Reads that hang are left to whoever closes the client. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#reading;
  }
}

/** Resolves after a while, as time goes in real servers; longer if the loop is busy. */
export async function pause(ms: number): Promise<void> {
  const untilMs = performance.now() + ms;
  await eventually(() => performance.now() >= untilMs, undefined, { everyMs: Math.ceil(ms) + 1 });
}

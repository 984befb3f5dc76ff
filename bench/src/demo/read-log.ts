/**
 * Where the answer of a read came from: this process's memory; a copy that had aged, which is served
 * while another is loaded; Redis, or a load that another caller ran meanwhile; a loader that this read
 * ran.
 */
const SOURCES = ['local', 'aged', 'shared', 'loaded'] as const;
export type Source = (typeof SOURCES)[number];

/** One finished read. */
export interface Read {
  /** Index of the key. */
  readonly key: number;
  readonly version: number;
  readonly beganAtMs: number;
  readonly tookMs: number;
  readonly source: Source;
}

/** Reads on their way between processes, as columns: some thousands travel in one message. */
export interface ReadBatch {
  readonly key: Uint16Array;
  readonly version: Uint32Array;
  readonly beganAtMs: Float64Array;
  readonly tookMs: Float32Array;
  readonly source: Uint8Array;
}

/** Collects reads until the next report. */
export class ReadLog {
  #reads: Read[] = [];

  add(read: Read): void {
    this.#reads.push(read);
  }

  /** All since the last call. */
  take(): ReadBatch {
    const reads = this.#reads;
    this.#reads = [];
    return {
      key: Uint16Array.from(reads, (read) => read.key),
      version: Uint32Array.from(reads, (read) => read.version),
      beganAtMs: Float64Array.from(reads, (read) => read.beganAtMs),
      tookMs: Float32Array.from(reads, (read) => read.tookMs),
      source: Uint8Array.from(reads, (read) => SOURCES.indexOf(read.source)),
    };
  }
}

export function* readsOf(batch: ReadBatch): Generator<Read> {
  for (let i = 0; i < batch.key.length; i += 1)
    yield {
      key: batch.key[i] as number,
      version: batch.version[i] as number,
      beganAtMs: batch.beganAtMs[i] as number,
      tookMs: batch.tookMs[i] as number,
      source: SOURCES[batch.source[i] as number] as Source,
    };
}

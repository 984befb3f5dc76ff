import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** A process's connection to the {@link SourceOfTruth}. */
export class SourceClient {
  readonly #by: string;
  readonly #socket: Socket;
  readonly #asked = new Map<number, (versions: number[]) => void>();
  #lastId = 0;

  private constructor(by: string, socket: Socket) {
    this.#by = by;
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      const [id, ...versions] = JSON.parse(line) as [number, ...number[]];
      this.#asked.get(id)?.(versions);
      this.#asked.delete(id);
    });
  }

  static async open(by: string, port: number): Promise<SourceClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new SourceClient(by, socket);
  }

  /** The versions of these keys, in their order. */
  read(keys: readonly string[]): Promise<number[]> {
    return this.#ask('read', keys);
  }

  /** Gives a key its next version, and answers that. */
  async change(key: string): Promise<number> {
    const [version] = await this.#ask('change', [key]);
    return version as number;
  }

  #ask(what: string, keys: readonly string[]): Promise<number[]> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#socket.write(`${JSON.stringify([id, this.#by, what, ...keys])}\n`);
    });
  }
}

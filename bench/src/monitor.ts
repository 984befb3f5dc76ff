import { type Client, connect, UNTIMED } from './connect.ts';
import { total } from './evenness.ts';

/** One line of MONITOR. */
interface Sent {
  /** The address of a client; `lua` for what a script calls. */
  readonly origin: string;
  /** In capitals. */
  readonly command: string;
}

/** Throws: for what is no line of MONITOR. */
export function sentOf(line: string): Sent {
  // 1700000000.000001 [0 127.0.0.1:40000] "SET" "key" "value"
  const [, origin, command] = /^\d+\.\d+ \[\d+ ([^\]]*(?:\]:\d+)?)\] "([^"]*)"/.exec(line) ?? [];
  if (origin === undefined || command === undefined) throw new Error(`no line of MONITOR: ${line}`);
  return { origin, command: command.toUpperCase() };
}

/** Counts what some lines of MONITOR say that clients sent, `others` left aside. */
export class SentCommands {
  readonly #others: ReadonlySet<string>;
  readonly #byName = new Map<string, number>();

  constructor(others: ReadonlySet<string>) {
    this.#others = others;
  }

  get byName(): ReadonlyMap<string, number> {
    return this.#byName;
  }

  get count(): number {
    return total([...this.#byName.values()]);
  }

  take(line: string): void {
    const { origin, command } = sentOf(line);
    if (origin === SCRIPT || this.#others.has(origin)) return;
    this.#byName.set(command, (this.#byName.get(command) ?? 0) + 1);
  }
}

const SCRIPT = 'lua';

/**
 * Counts the commands that a server is sent, by all clients but those that it had when this was
 * opened. What scripts call is not counted, which `INFO commandstats` does not tell apart. It costs
 * the server a line for each command, so nothing is timed meanwhile.
 */
export class Monitor implements AsyncDisposable {
  readonly #url: string;
  /** Its own commands are not to be counted, so it is there before the others are listed. */
  readonly #marker: Client;
  readonly #others: ReadonlySet<string>;

  private constructor(url: string, marker: Client, others: ReadonlySet<string>) {
    this.#url = url;
    this.#marker = marker;
    this.#others = others;
  }

  static async open(url: string): Promise<Monitor> {
    const marker = await connect(url, { commandOptions: UNTIMED });
    const list = String(await marker.sendCommand(['CLIENT', 'LIST']));
    const addresses = [...list.matchAll(/^id=\d+ addr=(\S+)/gm)].map(([, address]) => address);
    return new Monitor(url, marker, new Set(addresses as string[]));
  }

  /** What was sent while `work` ran, and what it answered. */
  async during<T>(
    work: () => Promise<T>,
  ): Promise<{ readonly sent: SentCommands; readonly result: T }> {
    const commands = new SentCommands(this.#others);
    const mark = `end-of-work-${performance.now()}`;
    let onEnd = (): void => {};
    const end = new Promise<void>((resolve) => {
      onEnd = resolve;
    });
    const listener = await connect(this.#url, { commandOptions: UNTIMED });
    try {
      await listener.monitor((line) => {
        const text = String(line);
        if (text.includes(mark)) onEnd();
        else commands.take(text);
      });
      const result = await work();
      await this.#marker.echo(mark);
      await end;
      return { sent: commands, result };
    } finally {
      listener.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#marker.destroy();
  }
}

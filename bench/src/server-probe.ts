import { type Client, connect, UNTIMED } from './connect.ts';

/** How often a command ran, and how long it took without its way through the sockets. */
export interface CommandCount {
  readonly calls: number;
  readonly usec: number;
}

/** Asks a server what it has spent, over a connection of its own. */
export class ServerProbe implements AsyncDisposable {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<ServerProbe> {
    return new ServerProbe(await connect(url, { commandOptions: UNTIMED }));
  }

  /** Of all threads, in user and system mode, sockets included. */
  async cpuUs(): Promise<number> {
    const cpu = await this.#info('cpu');
    return 1e6 * (Number(cpu.get('used_cpu_user')) + Number(cpu.get('used_cpu_sys')));
  }

  /** One figure of `INFO section`, such as `used_memory`. */
  async figure(section: string, field: string): Promise<number> {
    const text = await this.text(section, field);
    if (text === undefined) throw new Error(`INFO ${section} has no ${field}`);
    return Number(text);
  }

  /** None: the section has no such field. */
  async text(section: string, field: string): Promise<string | undefined> {
    return (await this.#info(section)).get(field);
  }

  /** Since the server was started or its statistics were reset; by name in small letters. */
  async commands(): Promise<ReadonlyMap<string, CommandCount>> {
    const counts = new Map<string, CommandCount>();
    for (const [field, text] of await this.#info('commandstats')) {
      const [, calls, usec] = /^calls=(\d+),usec=(\d+)/.exec(text) ?? [];
      counts.set(field.replace('cmdstat_', ''), { calls: Number(calls), usec: Number(usec) });
    }
    return counts;
  }

  async #info(section: string): Promise<Map<string, string>> {
    const text = String(await this.#client.sendCommand(['INFO', section]));
    const fields = text.split('\r\n').filter((line) => line.includes(':'));
    return new Map(
      fields.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1)];
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }
}

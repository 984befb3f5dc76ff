import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import type { ServerNode } from '../../support/server-node.ts';
import type { Given } from './history.ts';

const END = 'all is seen';

/** Sees every lock that a server gives, in its order: a SET of its key to `<holder>:<token>`. */
export class TokenWatch {
  readonly #server: ServerNode;
  readonly #connection: RawConnection;
  readonly #keyOf: ReadonlyMap<string, string>;

  private constructor(
    server: ServerNode,
    connection: RawConnection,
    keyOf: ReadonlyMap<string, string>,
  ) {
    this.#server = server;
    this.#connection = connection;
    this.#keyOf = keyOf;
  }

  /** `keyOf`: the key of each lock, by its key in Redis. */
  static async start(server: ServerNode, keyOf: ReadonlyMap<string, string>): Promise<TokenWatch> {
    const connection = await RawConnection.open({ port: server.port, protocol: 2 });
    await connection.send('MONITOR');
    return new TokenWatch(server, connection, keyOf);
  }

  /** All that was given out from the start until now. Once. */
  async given(): Promise<Given[]> {
    await this.#server.ask('ECHO', END);
    const lines: string[] = [];
    await eventually(() => {
      for (const frame of this.#connection.takeArrived())
        if (frame.is === 'reply') lines.push(String(frame.value));
      return lines.at(-1)?.includes(END) ?? false;
    });
    return lines.flatMap((line, i) => {
      const [, lock = '', holder = '', token = ''] =
        /"SET" "([^"]+)" "([^":]+):(\d+)/i.exec(line) ?? [];
      const key = this.#keyOf.get(lock);
      // A lock on offer has no token yet.
      if (key === undefined || token === '0') return [];
      // MONITOR does not say whether it was set. If it was, a token is reserved next.
      const isRefused = line.includes('"NX"') && lines[i + 1]?.includes(':fence"') !== true;
      return isRefused ? [] : [{ key, holder, token: BigInt(token) }];
    });
  }

  close(): void {
    this.#connection.close();
  }
}

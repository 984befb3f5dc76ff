import type { Source } from '../../store/source.ts';
import type { ClientConnection } from './connection.ts';

/**
 * Whether a read really was tracked, by the order in which its answers come: the server answers in
 * the order in which commands reached it, and a command of a client with `asap` overtakes others.
 *
 * A read that overtook our `CLIENT TRACKING ON`, or in optin mode our `CLIENT CACHING YES`, is
 * answered before it, and nobody would ever say that it is outdated.
 */
export class SendOrder {
  readonly #connection: ClientConnection;
  readonly #source: Source | undefined;
  readonly #overtakes: number;
  #isAnnounced = true;

  /** Make it right before the read is sent: in optin mode it sends what announces it. */
  constructor(connection: ClientConnection) {
    this.#connection = connection;
    this.#source = connection.session.source;
    this.#overtakes = connection.overtakes;
    if (connection.session.rules.mode === 'optin') this.#announce();
  }

  /** To be asked at the moment at which the reply is here. */
  get isTracked(): boolean {
    return this.#source?.tracked === true && this.#isAnnounced && !this.#wasOvertaken;
  }

  #announce(): void {
    this.#isAnnounced = false;
    this.#connection.send(['CLIENT', 'CACHING', 'YES']).then(
      () => {
        this.#isAnnounced = true;
      },
      () => {},
    );
  }

  /** Some other command may have taken what announced the read. */
  get #wasOvertaken(): boolean {
    return (
      this.#connection.session.rules.mode === 'optin' &&
      this.#connection.overtakes !== this.#overtakes
    );
  }
}

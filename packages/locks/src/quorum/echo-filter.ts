import { type Echoes, NO_ECHOES, pushSeen, unexplained, writeConfirmed } from '../lease/echoes.ts';

/**
 * Lets through the pushes of one server that our own writes there don't explain. Each server of a
 * quorum has its own: the first answers decide, and the echoes of the others come when nobody counts
 * them any more.
 */
export class EchoFilter {
  readonly #tell: () => void;
  #echoes: Echoes = NO_ECHOES;

  constructor(tell: () => void) {
    this.#tell = tell;
  }

  /** `isWriting`: this may be the echo of a write that is under way. */
  pushed(isWriting: boolean): void {
    this.#echoes = pushSeen(this.#echoes);
    if (!isWriting) this.judge();
  }

  confirmed(echoes: number): void {
    this.#echoes = writeConfirmed(this.#echoes, echoes);
  }

  /** No write is under way: what they don't explain now is somebody else's. */
  judge(): void {
    if (!unexplained(this.#echoes)) return;
    this.#echoes = NO_ECHOES;
    this.#tell();
  }

  /** The key is looked at anew, or over another connection. */
  forget(): void {
    this.#echoes = NO_ECHOES;
  }
}

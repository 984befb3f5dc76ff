import type { Argument, SendOptions } from '../../../ports.ts';
import type { ConnectionClient } from '../clients.ts';
import { sendOurs } from '../command-hook.ts';
import { notSent, Patience } from './patience.ts';

/** Lends one client for as long as what `use` answers is under way; may call it again after that failed. */
export type Lend = (use: (client: ConnectionClient) => Promise<void>) => Promise<unknown>;

/**
 * Sends commands over clients that are lent. Those of one tick go together over one, in their order,
 * and those that come while one is waited for go with it; so a burst of commands takes one client
 * from its other users, and gives it back when it is answered.
 */
export class Borrower {
  readonly #lend: Lend;
  readonly #patience = new Patience();
  #batch: Batch | undefined;

  constructor(lend: Lend) {
    this.#lend = lend;
  }

  /** Throws: `UnavailableError` if nobody lends a client that is connected within the patience. */
  send(args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    const batch = this.#batch ?? this.#borrow();
    return batch.send({ args, options }, this.#patience);
  }

  #borrow(): Batch {
    const batch = new Batch();
    this.#batch = batch;
    const close = (): void => {
      if (this.#batch === batch) this.#batch = undefined;
      batch.close();
    };
    const use = (client: ConnectionClient): Promise<void> => {
      // Perhaps within the first send, and the others of its tick are still to come.
      queueMicrotask(close);
      return batch.use(client);
    };
    this.#lend(use).then(close, (error: unknown) => {
      batch.fail(error);
      close();
    });
    return batch;
  }
}

interface Command {
  readonly args: readonly Argument[];
  readonly options: SendOptions | undefined;
}

/** A client that is lent, to be looked at and given back. */
export async function borrowed(lend: Lend): Promise<ConnectionClient> {
  let borrowedClient: ConnectionClient | undefined;
  const lent = lend(async (client) => {
    borrowedClient = client;
  });
  await new Patience().with(lent);
  if (borrowedClient === undefined) throw notSent();
  return borrowedClient;
}

/** Commands that go together. */
class Batch {
  readonly #lent: Promise<ConnectionClient>;
  #onLent: (client: ConnectionClient) => void = () => {};
  #onFailed: (error: unknown) => void = () => {};
  #client: ConnectionClient | undefined;
  #isOpen = true;
  /** Commands that are not answered, and those of them that are not sent yet. */
  #unanswered = 0;
  #unsent = 0;
  #giveBack: () => void = () => {};
  /** A reply that says that the client leads to no master any more. */
  #refusal: Error | undefined;

  constructor() {
    this.#lent = new Promise((resolve, reject) => {
      this.#onLent = resolve;
      this.#onFailed = reject;
    });
    this.#lent.catch(() => {});
  }

  send(command: Command, patience: Patience): Promise<unknown> {
    this.#unanswered += 1;
    const client = this.#client;
    const sent =
      client !== undefined && this.#unsent === 0
        ? this.#sendOn(client, command)
        : this.#sendLater(command, patience);
    sent.then(this.#onAnswer, this.#onError);
    return sent;
  }

  async #sendLater(command: Command, patience: Patience): Promise<unknown> {
    this.#unsent += 1;
    let client: ConnectionClient;
    try {
      client = await patience.with(this.#lent);
    } finally {
      this.#unsent -= 1;
    }
    return this.#sendOn(client, command);
  }

  /** It may have been lost since it was lent. */
  #sendOn(client: ConnectionClient, { args, options }: Command): Promise<unknown> {
    if (!client.isReady) return Promise.reject(notSent());
    return sendOurs(client, args, options);
  }

  /**
   * Resolves when all are answered. Rejects with a `READONLY` of the server, once, which has a
   * sentinel look for the master; nothing is sent again for that.
   */
  async use(client: ConnectionClient): Promise<void> {
    if (this.#client !== undefined) return;
    this.#client = client;
    this.#onLent(client);
    if (this.#isOpen || this.#unanswered > 0)
      await new Promise<void>((resolve) => {
        this.#giveBack = resolve;
      });
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  fail(error: unknown): void {
    this.#onFailed(error);
  }

  /** No more commands come. */
  close(): void {
    this.#isOpen = false;
    this.#check();
  }

  readonly #onAnswer = (): void => {
    this.#unanswered -= 1;
    this.#check();
  };

  readonly #onError = (error: unknown): void => {
    if (error instanceof Error && error.message.startsWith('READONLY')) this.#refusal ??= error;
    this.#onAnswer();
  };

  #check(): void {
    if (!this.#isOpen && this.#unanswered === 0) this.#giveBack();
  }
}

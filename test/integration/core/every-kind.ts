import type { Deployment } from '../../support/deployments.ts';
import { KINDS, type Kind, startFor } from './four-kinds.ts';

/** A deployment for each kind of client: `start` before all tests, `stop` after them whatever came of it. */
export class EveryKind {
  readonly #deployments = new Map<Kind, Deployment>();

  async start(): Promise<void> {
    await Promise.all(
      KINDS.map(async (kind) => {
        this.#deployments.set(kind, await startFor(kind));
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((each) => each.stop()));
  }

  get all(): readonly Deployment[] {
    return [...this.#deployments.values()];
  }

  of(kind: Kind): Deployment {
    const deployment = this.#deployments.get(kind);
    if (deployment === undefined) throw new Error(`nothing was started for ${kind}`);
    return deployment;
  }
}

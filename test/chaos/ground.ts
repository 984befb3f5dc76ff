import type { Handlers } from '../support/child.ts';
import {
  type SentinelDeployment,
  type StandaloneDeployment,
  startSentinel,
  startStandalone,
} from '../support/deployments.ts';
import type { ServerNode } from '../support/server-node.ts';
import type { Contact } from './contact.ts';
import { failover, type Stage } from './mishaps.ts';
import type { Mishap } from './nemesis.ts';
import { SentinelWay, SingleWay } from './way.ts';

export type GroundKind = 'standalone' | 'sentinel';

/** Of a master that sentinels do not hear. */
const DEAD_AFTER_MS = 3_000;

/** The servers of a scene, and the ways of its processes to them. */
export class Ground implements AsyncDisposable {
  readonly #deployment: StandaloneDeployment | SentinelDeployment;
  /** The server that all use, at the moment. */
  master: ServerNode;

  private constructor(deployment: StandaloneDeployment | SentinelDeployment) {
    this.#deployment = deployment;
    this.master = deployment.nodes[0] as ServerNode;
  }

  static async open(kind: GroundKind): Promise<Ground> {
    return new Ground(await (kind === 'sentinel' ? calmSentinels() : startStandalone()));
  }

  get kind(): GroundKind {
    return this.#deployment.kind as GroundKind;
  }

  /** `by`: led to a master that may change, or finding it by asking the sentinels. */
  openWay(by: Contact['is'] = 'client'): Promise<SingleWay | SentinelWay> {
    return by === 'sentinel'
      ? SentinelWay.open(this.#deployment as SentinelDeployment)
      : SingleWay.open(this.master);
  }

  contactOf(way: SingleWay | SentinelWay): Contact {
    if (way instanceof SingleWay) return { is: 'client', url: way.url };
    const { masterName: name } = this.#deployment as SentinelDeployment;
    const { roots: sentinelRootNodes, nodeAddressMap } = way;
    return { is: 'sentinel', name, sentinelRootNodes, nodeAddressMap };
  }

  /** What can happen here and nowhere else. */
  mishaps<H extends Handlers>(stage: Stage<H, SingleWay | SentinelWay>): Mishap[] {
    if (this.#deployment.kind !== 'sentinel') return [];
    return [
      failover(stage, this.#deployment, (master) => {
        this.master = master;
      }),
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#deployment.stop();
  }
}

/** Sentinels that do not take a busy machine for a dead master: that would be nobody's blow. */
async function calmSentinels(): Promise<SentinelDeployment> {
  const deployment = await startSentinel();
  for (const sentinel of deployment.nodesOf('sentinel'))
    await sentinel.ask(
      ...['SENTINEL', 'SET', deployment.masterName, 'down-after-milliseconds', `${DEAD_AFTER_MS}`],
    );
  return deployment;
}

import type { Handlers } from '../support/child.ts';
import { type Child, type Children, startChildren } from '../support/children.ts';
import type { Way } from './way.ts';

/** A process of a crew, and its own way to Redis. */
export interface Member<H extends Handlers, W extends Way = Way> {
  /** Of this process alone: who takes its place is called otherwise. */
  readonly name: string;
  readonly child: Child<H>;
  readonly way: W;
}

export interface CrewOptions<H extends Handlers, W extends Way> {
  /** In `test/children`. */
  readonly script: string;
  openWay(): Promise<W>;
  /** Has it begin its work; resolves when it has. */
  begin(member: Member<H, W>): Promise<void>;
}

/** Processes that all do the same, each on its own way, and are replaced when they are killed. */
export class Crew<H extends Handlers, W extends Way = Way> implements AsyncDisposable {
  readonly #options: CrewOptions<H, W>;
  readonly #members = new Map<string, { member: Member<H, W>; children: Children<H> }>();
  readonly #lost: string[] = [];
  #started = 0;

  constructor(options: CrewOptions<H, W>) {
    this.#options = options;
  }

  get members(): readonly Member<H, W>[] {
    return [...this.#members.values()].map(({ member }) => member);
  }

  /** How processes have ended that nobody had killed. */
  get lost(): readonly string[] {
    return this.#lost;
  }

  find(name: string): Member<H, W> | undefined {
    return this.#members.get(name)?.member;
  }

  async start(): Promise<void> {
    this.#started += 1;
    const name = `process ${this.#started}`;
    const { script, openWay, begin } = this.#options;
    const way = await openWay();
    const children = await startChildren<H>(script);
    const child = children.all[0] as Child<H>;
    const member = { name, child, way };
    this.#members.set(name, { member, children });
    void child.exited.then(({ code, signal }) => {
      if (this.#members.has(name))
        this.#lost.push(`${name} ended: ${signal ?? code}\n${child.output}`);
    });
    await begin(member);
  }

  /** SIGKILL; resolves when another process has taken its place. */
  async replace({ name }: Member<H, W>): Promise<void> {
    await this.#end(name);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.keys()].map((name) => this.#end(name)));
  }

  async #end(name: string): Promise<void> {
    const found = this.#members.get(name);
    this.#members.delete(name);
    await found?.children.stop();
    await found?.member.way.close();
  }
}

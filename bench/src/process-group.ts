import { BenchProcess } from './child-process.ts';
import type { RoleName } from './roles.ts';

/** Processes of one role that end together, also when one of them does not start. */
export class ProcessGroup<Task, Answer> implements AsyncDisposable {
  readonly members: readonly BenchProcess<Task, Answer>[];

  private constructor(members: readonly BenchProcess<Task, Answer>[]) {
    this.members = members;
  }

  /** `argumentsOfEach`: as many members. */
  static async start<Task, Answer>(
    role: RoleName,
    argumentsOfEach: readonly (readonly string[])[],
  ): Promise<ProcessGroup<Task, Answer>> {
    const members: BenchProcess<Task, Answer>[] = [];
    const group = new ProcessGroup(members);
    try {
      for (const args of argumentsOfEach) members.push(await BenchProcess.start(role, ...args));
      return group;
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}
